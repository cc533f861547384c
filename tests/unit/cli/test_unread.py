"""Answers that nobody reads, against the real protocol on loopback and on both event loops that it may run on."""

from __future__ import annotations

import asyncio
import socket
from contextlib import asynccontextmanager

import pytest
import uvicorn
import uvloop
from sse_starlette import EventSourceResponse
from uvicorn.server import ServerState

from fhir_facade.cli.connections import Connections
from fhir_facade.cli.heads import BoundedHeads
from fhir_facade.cli.port import bind
from fhir_facade.cli.unread import LEAST, WITHIN_S, Unread, give_up_unread
from fhir_facade.settings import Settings
from tests.patience import PATIENCE_S

ASK = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
LITTLE = 4096
"""For the buffers of the kernel, which holds megabytes by itself."""
LARGE = b"l" * 8_000_000
SMALL = b"s" * 50_000
"""Less than what makes a connection hold back the application, more than the kernel takes here."""


class Hasty(BoundedHeads):
    unread_s = 0.1


class Patient(BoundedHeads):
    unread_s = 3600.0


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def run(request):
    with asyncio.Runner(loop_factory=request.param) as runner:
        yield lambda scenario: runner.run(asyncio.wait_for(scenario, PATIENCE_S))


def answering(body, *headers):
    """Answers everything with this."""

    async def app(scope, receive, send):
        length = (b"content-length", b"%d" % len(body))
        await send({"type": "http.response.start", "status": 200, "headers": [length, *headers]})
        await send({"type": "http.response.body", "body": body[:-1], "more_body": True})
        await send({"type": "http.response.body", "body": body[-1:]})

    return app


class Watched:
    """An application, and when a call of it has ended."""

    def __init__(self, app):
        self.app = app
        self.ended = asyncio.Event()

    async def __call__(self, scope, receive, send):
        try:
            await self.app(scope, receive, send)
        finally:
            self.ended.set()


@asynccontextmanager
async def asked(app, protocol, *, kernel_s=None, keep_alive_s=3600):
    """Somebody who asks; and the protocol of that connection, which is lost when its place is free."""
    config = uvicorn.Config(app, lifespan="off", log_config=None, timeout_keep_alive=keep_alive_s)
    config.load()
    places = Connections(1, 1)
    counted = type("Counted", (protocol,), {"places": places})
    listening = socket.socket()
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, LITTLE)
    if kernel_s is not None:
        give_up_unread(listening, kernel_s)
    listening.bind(("127.0.0.1", 0))
    loop, state = asyncio.get_running_loop(), ServerState()
    made = lambda: counted(config=config, server_state=state, app_state={})  # noqa: E731
    server = await loop.create_server(made, sock=listening)
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, LITTLE)
        client.setblocking(False)
        await loop.sock_connect(client, listening.getsockname())
        await loop.sock_sendall(client, ASK)
        yield client, places
    server.close()


async def until_free(places):
    while not places.take("127.0.0.1"):
        await asyncio.sleep(0.005)


def test_a_large_answer_that_nobody_reads_is_given_up_and_its_place_is_free(run):
    async def scenario():
        app = Watched(answering(LARGE))
        async with asked(app, Hasty) as (_, places):
            await app.ended.wait()
            await until_free(places)

    run(scenario())


def test_a_stream_whose_events_nobody_reads_ends(run):
    async def scenario():
        closed = asyncio.Event()

        async def events():
            try:
                while True:
                    await asyncio.sleep(0)
                    yield {"data": "e" * 1000}
            finally:
                closed.set()

        app = Watched(EventSourceResponse(events()))
        async with asked(app, Hasty) as (_, places):
            await app.ended.wait()
            await closed.wait()
            await until_free(places)

    run(scenario())


@pytest.mark.parametrize("body", [SMALL, LARGE], ids=["small", "large"])
def test_a_connection_that_is_closed_does_not_wait_for_a_reader_that_does_not_read(run, body):
    """The keep-alive of the server, or of the client, is over while the answer waits: closing waits for it."""

    async def scenario():
        async with asked(answering(body), Hasty, keep_alive_s=0) as (_, places):
            await until_free(places)

    run(scenario())


def test_events_so_small_that_they_wait_in_the_kernel_are_given_up_by_it(run):
    async def scenario():
        async def listening(scope, receive, send):
            await send({"type": "http.response.start", "status": 200, "headers": []})
            for _ in range(len(SMALL) // 100):
                await send({"type": "http.response.body", "body": SMALL[:100], "more_body": True})
            while (await receive())["type"] != "http.disconnect":
                pass

        app = Watched(listening)
        async with asked(app, Patient, kernel_s=0.5) as (_, places):
            await app.ended.wait()
            await until_free(places)

    run(scenario())


def test_an_answer_that_is_read_comes_whole_and_the_connection_serves_on(run):
    async def scenario():
        loop = asyncio.get_running_loop()
        async with asked(answering(LARGE), Patient, kernel_s=3600) as (client, _):
            for _ in range(2):
                head = len(b"HTTP/1.1 200 OK\r\ncontent-length: 8000000\r\n\r\n")
                got = 0
                while got < head + len(LARGE):
                    got += len(await loop.sock_recv(client, 1 << 16))
                assert got == head + len(LARGE)
                await loop.sock_sendall(client, ASK)

    run(scenario())


class Line:
    """A transport of which is known what it will have left at each look."""

    def __init__(self, *left):
        self.left = list(left)
        self.aborted = asyncio.Event()
        self.ends = socket.socketpair()

    def get_write_buffer_size(self):
        return self.left.pop(0)

    def get_extra_info(self, name):
        return self.ends[0]

    def abort(self):
        for end in self.ends:
            end.close()
        self.aborted.set()


@pytest.mark.parametrize(
    "taken",
    [[LEAST, LEAST, 0], [LEAST + 1, LEAST - 1], [1]],
    ids=["slow and then no more", "too slow", "a byte at a time"],
)
async def test_a_slow_reader_is_waited_for_as_long_as_it_takes_the_least(taken):
    left = [1_000_000]
    for bytes_taken in taken:
        left.append(left[-1] - bytes_taken)
    line = Line(*left, "not looked at")

    Unread(line, 0.0).watch()
    async with asyncio.timeout(PATIENCE_S):
        await line.aborted.wait()

    assert line.left == ["not looked at"]


async def test_what_was_read_after_all_is_not_looked_at_any_more():
    line = Line(1000, 1000)
    unread = Unread(line, 0.0)

    unread.watch()
    unread.end()
    await asyncio.sleep(0)
    await asyncio.sleep(0)

    assert line.left == [1000]
    line.abort()


def test_what_is_waiting_in_the_kernel_counts_as_not_read():
    """Of what a slow reader takes, the process itself is told only now and then."""
    line = Line(0, 0)
    for end in line.ends:
        end.close()
    with socket.create_server(("127.0.0.1", 0)) as server:
        near = socket.create_connection(server.getsockname())
        far = server.accept()[0]
    line.ends = (near, far)
    near.setblocking(False)
    sent = 0
    while True:
        try:
            sent += near.send(b"x" * 65_536)
        except BlockingIOError:
            break

    async def scenario():
        unread = Unread(line, 3600.0)
        unread.watch()
        unread.end()
        return vars(unread)["_left"]

    assert 0 < asyncio.run(scenario()) <= sent
    line.aborted = asyncio.Event()
    line.abort()


def test_the_kernel_is_told_for_every_connection_of_the_server():
    with bind(Settings(port=0)) as listening:
        listening.listen()
        with socket.create_connection(listening.getsockname()) as near, listening.accept()[0] as taken:
            assert taken.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == WITHIN_S * 1000
            assert near.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 0
