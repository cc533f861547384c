"""Connections to HAPI: kept, given up, never mixed up."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from fhir_facade.adapters.hapi.connections import Address, Connections

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


def plain(body: bytes, *lines: bytes) -> bytes:
    head = b"\r\n".join([b"HTTP/1.1 200 ", *lines, b"Content-Length: %d" % len(body)])
    return head + b"\r\n\r\n" + body


class Scripted:
    """A server that sends the answers it was given, one for each request; None closes the connection instead."""

    def __init__(self, answers: list[bytes | None]) -> None:
        self.answers = answers
        self.asked: list[int] = []
        self.opened = 0
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.hears = asyncio.Semaphore(0)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.opened += 1
        number = self.opened
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                self.asked.append(number)
                self.hears.release()
                await self.may_answer.wait()
                answer = self.answers.pop(0)
                if answer is None:
                    break
                writer.write(answer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def scripted(*answers: bytes | None, limit: int = 4) -> AsyncIterator[tuple[Scripted, Connections]]:
    server = Scripted(list(answers))
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    connections = Connections(Address(f"http://127.0.0.1:{port}/fhir"), limit=limit)
    try:
        yield server, connections
    finally:
        connections.close()
        server.may_answer.set()
        listening.close()
        await listening.wait_closed()


@pytest.mark.parametrize("answer", [b"nonsense\r\n\r\n", None], ids=["no http", "nothing"])
async def test_what_is_no_answer_is_an_error(answer: bytes | None) -> None:
    async with scripted(answer) as (_, connections):
        with pytest.raises(ConnectionError):
            await connections.ask(GET, repeatable=True)


async def test_an_answer_that_cannot_be_unpacked_is_an_error() -> None:
    async with scripted(plain(b"not packed", b"Content-Encoding: gzip")) as (_, connections):
        with pytest.raises(ConnectionError):
            await connections.ask(GET, repeatable=True)


@pytest.mark.parametrize("url", ["ftp://host/fhir", "/fhir", "http:///fhir"])
def test_an_address_that_is_none_of_http_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="no http or https address"):
        Address(url)


def test_the_host_is_told_as_the_address_names_it_and_its_credentials_apart() -> None:
    address = Address("https://ann:s%40fe@hapi.example:8443/fhir")

    assert (address.host, address.port, address.path) == ("hapi.example", 8443, "/fhir")
    assert address.headers == "Host: hapi.example:8443\r\nAuthorization: Basic YW5uOnNAZmU=\r\n"


@pytest.mark.parametrize(("url", "port"), [("http://h/fhir", 80), ("https://h/fhir", 443)])
def test_an_address_without_a_port_has_that_of_its_scheme(url: str, port: int) -> None:
    assert Address(url).port == port


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(plain(b"body"), id="with a length"),
        pytest.param(
            b"HTTP/1.1 200 \r\nTransfer-Encoding: chunked\r\n\r\n2\r\nbo\r\n2\r\ndy\r\n0\r\n\r\n", id="in chunks"
        ),
        pytest.param(plain(gzip.compress(b"body"), b"Content-Encoding: gzip"), id="packed"),
        pytest.param(b"HTTP/1.1 103 \r\n\r\n" + plain(b"body"), id="after a hint"),
    ],
)
async def test_an_answer_comes_whole(answer: bytes) -> None:
    async with scripted(answer) as (_, connections):
        received = await connections.ask(GET, repeatable=True)

    assert (received.status, received.body) == (200, b"body")


PACKED = (b"Content-Encoding: gzip",)


@pytest.mark.parametrize(
    ("answer", "kept"),
    [
        pytest.param(plain(b"x" * 200_000), False, id="too long to be read"),
        pytest.param(plain(gzip.compress(b"x" * 200_000), *PACKED), True, id="too long unpacked"),
    ],
)
async def test_an_answer_longer_than_wanted_is_not_read_to_its_end(answer: bytes, kept: bool) -> None:
    async with scripted(answer, plain(b"next")) as (server, connections):
        overlong = await connections.ask(GET, repeatable=True, most=1000)
        following = await connections.ask(GET, repeatable=True)

    assert (overlong.status, overlong.overlong, overlong.body) == (200, True, b"")
    assert (following.overlong, following.body) == (False, b"next")
    assert server.opened == (1 if kept else 2)


@pytest.mark.parametrize("lines", [(), PACKED], ids=["plain", "packed"])
async def test_an_answer_as_long_as_wanted_comes_whole(lines: tuple[bytes, ...]) -> None:
    body = b"x" * 1000
    async with scripted(plain(gzip.compress(body) if lines else body, *lines)) as (_, connections):
        received = await connections.ask(GET, repeatable=True, most=1000)

    assert (received.overlong, received.body) == (False, body)


async def test_a_packed_answer_that_ends_too_early_is_an_error_with_a_limit_too() -> None:
    cut = gzip.compress(bytes(range(256)) * 4)[:-20]
    async with scripted(plain(cut, *PACKED)) as (_, connections):
        with pytest.raises(ConnectionError):
            await connections.ask(GET, repeatable=True, most=2000)


async def test_a_connection_is_kept_for_the_next_request() -> None:
    async with scripted(plain(b"1"), plain(b"2")) as (server, connections):
        bodies = [(await connections.ask(GET, repeatable=True)).body for _ in range(2)]

        assert bodies == [b"1", b"2"]
        assert server.asked == [1, 1]


async def test_a_connection_that_the_server_ends_is_not_used_again() -> None:
    async with scripted(plain(b"1", b"Connection: close"), plain(b"2")) as (server, connections):
        bodies = [(await connections.ask(GET, repeatable=False)).body for _ in range(2)]

        assert bodies == [b"1", b"2"]
        assert server.asked == [1, 2]


async def test_a_read_is_sent_again_when_a_kept_connection_was_dead() -> None:
    async with scripted(plain(b"1"), None, plain(b"2")) as (server, connections):
        await connections.ask(GET, repeatable=True)

        assert (await connections.ask(GET, repeatable=True)).body == b"2"
        assert server.asked == [1, 1, 2]


async def test_what_may_have_been_done_is_never_sent_again() -> None:
    async with scripted(plain(b"1"), None, plain(b"2")) as (server, connections):
        await connections.ask(GET, repeatable=False)

        with pytest.raises(ConnectionError):
            await connections.ask(GET, repeatable=False)
        assert server.asked == [1, 1]


async def test_an_answer_that_nobody_waits_for_is_not_the_next_ones() -> None:
    async with scripted(plain(b"late"), plain(b"own")) as (server, connections):
        server.may_answer.clear()
        impatient = asyncio.ensure_future(connections.ask(GET, repeatable=True))
        await server.hears.acquire()
        impatient.cancel()
        await asyncio.wait([impatient])
        server.may_answer.set()

        assert (await connections.ask(GET, repeatable=True)).body == b"own"
        assert server.asked == [1, 2]


async def test_more_callers_than_connections_wait_for_one() -> None:
    async with scripted(plain(b"1"), plain(b"2"), plain(b"3"), limit=1) as (server, connections):
        received = await asyncio.gather(*(connections.ask(GET, repeatable=True) for _ in range(3)))

        assert [each.body for each in received] == [b"1", b"2", b"3"]
        assert server.opened == 1


async def test_words_that_nobody_asked_for_end_a_connection() -> None:
    async with scripted(plain(b"1") + plain(b"more"), plain(b"2")) as (server, connections):
        await connections.ask(GET, repeatable=True)

        assert (await connections.ask(GET, repeatable=True)).body == b"2"
        assert server.asked == [1, 2]
