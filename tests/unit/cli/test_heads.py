"""Connections whose head never ends, and too many of them, against the real protocol on loopback."""

import asyncio
from contextlib import asynccontextmanager
from typing import ClassVar

import pytest
import uvicorn
from uvicorn.server import ServerState

from fhir_facade.cli.connections import Connections
from fhir_facade.cli.heads import LARGEST, BoundedHeads, limited_to
from tests.patience import PATIENCE_S


class Hasty(BoundedHeads):
    within_s = 0.1


class Brisk(BoundedHeads):
    """Waits long enough for a head that is on its way on a busy machine."""

    within_s = 1.0


async def echo(scope, receive, send):
    """Answers with the number of bytes of the body."""
    size, more = 0, True
    while more:
        message = await receive()
        size, more = size + len(message.get("body", b"")), message.get("more_body", False)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"8")]})
    await send({"type": "http.response.body", "body": b"%08d" % size})


@asynccontextmanager
async def connected(protocol, app=echo, *, keep_alive_s=3600):
    config = uvicorn.Config(app, lifespan="off", log_config=None, timeout_keep_alive=keep_alive_s)
    config.load()
    state = ServerState()

    def connection():
        return protocol(config=config, server_state=state, app_state={})

    server = await asyncio.get_running_loop().create_server(connection, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    try:
        yield reader, writer
    finally:
        writer.close()
        server.close()


async def until_closed(reader):
    async with asyncio.timeout(PATIENCE_S):
        try:
            return await reader.read()
        except ConnectionResetError:
            return b""


@pytest.mark.parametrize("begun", [b"", b"GET /", b"GET / HTTP/1.1\r\nHost: x\r\nX: "])
async def test_a_head_that_does_not_come_is_not_waited_for(begun):
    async with connected(Hasty) as (reader, writer):
        writer.write(begun)

        assert await until_closed(reader) == b""


async def test_a_second_head_that_does_not_come_is_not_waited_for_either():
    async with connected(Brisk) as (reader, writer):
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await reader.readuntil(b"00000000")).startswith(b"HTTP/1.1 200")
        writer.write(b"GET / HTTP/1.1\r\nX: ")

        assert await until_closed(reader) == b""


async def test_a_connection_that_rests_is_closed_and_one_that_asks_again_in_time_is_not():
    loop, asked = asyncio.get_running_loop(), 0
    async with connected(BoundedHeads, keep_alive_s=0.5) as (reader, writer):
        began = loop.time()
        while loop.time() < began + 1.0:
            writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert (await reader.readuntil(b"00000000")).startswith(b"HTTP/1.1 200")
            asked += 1

        assert asked > 1
        assert await until_closed(reader) == b""


async def test_a_connection_is_at_work_for_as_long_as_an_answer_takes():
    asked = asyncio.Event()

    async def slow(scope, receive, send):
        await asyncio.wait_for(asked.wait(), PATIENCE_S)
        await echo(scope, receive, send)

    async with connected(BoundedHeads, slow, keep_alive_s=0.1) as (reader, writer):
        for _ in range(2):
            asked.clear()
            writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            asyncio.get_running_loop().call_later(0.3, asked.set)
            assert (await reader.readuntil(b"00000000")).startswith(b"HTTP/1.1 200")

        assert await until_closed(reader) == b""


@pytest.mark.parametrize(
    "begun", [b"GET /?", b"GET / HTTP/1.1\r\nX: ", b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1;x="]
)
async def test_a_head_without_end_is_not_kept(begun):
    async with connected(BoundedHeads) as (reader, writer):
        writer.write(begun)
        for _ in range(3 * LARGEST // 1024):
            writer.write(b"a" * 1024)

        assert b"HTTP/1.1 200" not in await until_closed(reader)


@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
async def test_a_large_body_is_no_large_head_and_the_connection_serves_on(chunked):
    body = b"b" * (5 * LARGEST)
    head = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: %d" % len(body)
    sent = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body) if chunked else body
    async with connected(Brisk) as (reader, writer):
        for _ in range(2):
            writer.write(b"POST / HTTP/1.1\r\nHost: x\r\n" + head + b"\r\n\r\n" + sent)

            assert (await reader.readuntil(b"%08d" % len(body))).startswith(b"HTTP/1.1 200")


async def answer(reader):
    return await reader.readuntil(b"00000000")


async def test_idle_connections_of_one_address_end_at_a_number_and_a_closed_one_makes_room():
    ask = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
    async with connected(limited_to(Connections(in_all=9, of_one=2))) as (reader, writer):
        address = writer.get_extra_info("peername")
        _, idle = await asyncio.open_connection(*address)
        writer.write(ask)
        assert (await answer(reader)).startswith(b"HTTP/1.1 200")

        refused_reader, refused = await asyncio.open_connection(*address)
        told = await until_closed(refused_reader)

        assert told.startswith(b"HTTP/1.1 503")
        assert b"Retry-After" in told
        refused.close()
        writer.write(ask)
        assert (await answer(reader)).startswith(b"HTTP/1.1 200")

        idle.close()
        assert (await as_soon_as_there_is_room(address, ask)).startswith(b"HTTP/1.1 200")


async def as_soon_as_there_is_room(address, ask):
    async with asyncio.timeout(PATIENCE_S):
        while True:
            reader, writer = await asyncio.open_connection(*address)
            writer.write(ask)
            told = await reader.readuntil(b"\r\n\r\n")
            writer.close()
            if not told.startswith(b"HTTP/1.1 503"):
                return told


@pytest.mark.parametrize("behind", [b"GET /second HTTP/1.1\r\nHost: x\r\n\r\n", b"nonsense"])
async def test_who_goes_away_is_gone_for_the_request_that_is_answered(behind):
    """The server tells only the last one that came: the answer to the first was written to a closed connection."""
    gone = asyncio.Event()

    async def wait(scope, receive, send):
        while (await receive())["type"] != "http.disconnect":
            pass
        await send({"type": "http.response.start", "status": 200, "headers": []})
        gone.set()

    async with connected(BoundedHeads, wait) as (_, writer):
        writer.write(b"GET /first HTTP/1.1\r\nHost: x\r\n\r\n" + behind)
        await writer.drain()
        writer.close()

        async with asyncio.timeout(PATIENCE_S):
            await gone.wait()


GET = b"GET / HTTP/1.1\r\nHost: x\r\n"
MANY = 3000


@pytest.mark.parametrize("piece", [1, 70, 10_000], ids=["bytes", "pieces", "at once"])
@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
async def test_the_body_of_who_asks_for_another_protocol_is_no_request(piece, chunked):
    """Java's own client asks so with its first request to a host."""
    body = b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
    length = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: %d" % len(body)
    sent = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body) if chunked else body
    asked = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAM\r\n"
    whole = b"POST / HTTP/1.1\r\nHost: x\r\n" + asked + length + b"\r\n\r\n" + sent + GET + b"Connection: close\r\n\r\n"
    async with connected(BoundedHeads) as (reader, writer):
        for at in range(0, len(whole), piece):
            writer.write(whole[at : at + piece])
            await writer.drain()
            await asyncio.sleep(0)
        told = await until_closed(reader)

    assert told.count(b"HTTP/1.1 200") == told.count(b"HTTP/1.1 ") == 2
    assert b"\r\n\r\n%08dHTTP/1.1" % len(body) in told


async def test_who_asks_for_another_protocol_over_and_over_is_answered_in_order():
    asked = GET + b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    async with connected(BoundedHeads) as (reader, writer):
        writer.write(MANY * asked + GET + b"Connection: close\r\n\r\n")

        assert (await until_closed(reader)).count(b"HTTP/1.1 200") == MANY + 1


async def test_who_asks_for_another_protocol_and_for_the_end_gets_one_answer_and_the_end():
    async with connected(BoundedHeads) as (reader, writer):
        writer.write(GET + b"Connection: Upgrade, close\r\nUpgrade: websocket\r\n\r\n" + GET + b"\r\n")
        told = await until_closed(reader)

    assert told.startswith(b"HTTP/1.1 200")
    assert told.count(b"HTTP/1.1 ") == 1
    assert b"connection: close" in told


@pytest.mark.parametrize(
    "head",
    [
        b"CONNECT x:80 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"CONNECT / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
        b"GET / HTTP/1.0\r\nHost: x\r\nHost: x\r\n\r\n",
    ],
)
async def test_a_tunnel_another_version_and_a_host_that_is_not_clear_are_refused(head):
    async with connected(BoundedHeads) as (reader, writer):
        writer.write(head)
        told = await until_closed(reader)

    assert told.startswith(b"HTTP/1.1 400 ")
    assert told.count(b"HTTP/1.1 ") == 1


@pytest.mark.parametrize(
    "wrong",
    [
        b"nonsense\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        GET + b"Host: y\r\n\r\n",
    ],
    ids=["no head", "no chunk", "two hosts"],
)
async def test_what_came_before_nonsense_is_answered_before_the_nonsense_is_refused(wrong):
    goes_on = asyncio.Event()

    async def slow(scope, receive, send):
        await asyncio.wait_for(goes_on.wait(), PATIENCE_S)
        await echo(scope, receive, send)

    async with connected(BoundedHeads, slow) as (reader, writer):
        writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc")
        writer.write(GET + b"\r\n" + wrong)
        await writer.drain()
        await asyncio.sleep(0.05)
        writer.write(GET + b"\r\n")
        await writer.drain()
        await asyncio.sleep(0.05)
        goes_on.set()
        told = await until_closed(reader)

    assert [part[:3] for part in told.split(b"HTTP/1.1 ")[1:]] == [b"200", b"200", b"400"]
    assert told.index(b"00000003") < told.index(b"00000000")


async def test_a_body_that_is_nonsense_is_refused_at_once():
    async with connected(BoundedHeads) as (reader, writer):
        writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n")
        await writer.drain()
        await asyncio.sleep(0.05)
        writer.write(b"zz\r\n")
        told = await until_closed(reader)

    assert told.startswith(b"HTTP/1.1 400 ")
    assert told.count(b"HTTP/1.1 ") == 1


class Known(BoundedHeads):
    """Of which a test can end the connections."""

    made: ClassVar[list[BoundedHeads]] = []

    def connection_made(self, transport):
        super().connection_made(transport)
        self.made.append(self)


async def test_a_request_that_is_on_its_way_when_the_server_ends_is_answered_and_the_connection_ends():
    async with connected(Known) as (reader, writer):
        writer.write(GET + b"\r\n")
        await answer(reader)
        writer.write(GET + b"\r\n")
        Known.made.pop().shutdown()

        assert (await until_closed(reader)).startswith(b"HTTP/1.1 200")


async def test_a_request_that_is_being_answered_when_the_server_ends_is_told_that_the_connection_ends():
    async def slow(scope, receive, send):
        Known.made.pop().shutdown()
        await echo(scope, receive, send)

    async with connected(Known, slow) as (reader, writer):
        writer.write(GET + b"\r\n")
        told = await until_closed(reader)

    assert told.startswith(b"HTTP/1.1 200")
    assert b"\r\nconnection: close\r\n" in told


async def told_to_who_is_done(app, asked):
    """What comes to somebody who ends their own side of the connection behind what they ask."""
    async with connected(BoundedHeads, app) as (reader, writer):
        writer.write(asked)
        writer.write_eof()
        return await until_closed(reader)


async def slowly(scope, receive, send):
    await asyncio.sleep(0.05)
    await echo(scope, receive, send)


TRAILED = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nConnection: close\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc"


@pytest.mark.parametrize("asked", [GET + b"\r\n", POST, 3 * POST, 2 * (GET + b"\r\n")], ids=["GET", "POST", "3", "2"])
async def test_who_asks_and_ends_their_side_is_answered_and_then_the_connection_ends(asked):
    told = await told_to_who_is_done(slowly, asked)

    assert told.count(b"HTTP/1.1 200 OK") == asked.count(b"HTTP/1.1")
    assert told.count(b"connection: close") == 1
    assert told.endswith(b"00000003" if b"POST" in asked else b"00000000")


@pytest.mark.parametrize("begun", [GET, POST[:-1], TRAILED[:-40]])
async def test_what_was_asked_before_a_request_that_is_cut_off_is_answered_and_the_rest_is_not(begun):
    assert (await told_to_who_is_done(slowly, POST + begun)).count(b"HTTP/1.1 ") == 1
    assert await told_to_who_is_done(slowly, begun) == b""


async def test_what_came_before_nonsense_is_answered_to_who_ends_their_side_behind_it():
    told = await told_to_who_is_done(slowly, POST + GET + b"\r\nnonsense\r\n\r\n")

    assert [part[:3] for part in told.split(b"HTTP/1.1 ")[1:]] == [b"200", b"200", b"400"]


async def test_an_answer_in_parts_comes_whole_to_who_has_ended_their_side():
    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for part in (b"1", b"2", b"3"):
            await asyncio.sleep(0.02)
            await send({"type": "http.response.body", "body": part, "more_body": part != b"3"})

    assert (await told_to_who_is_done(app, GET + b"\r\n")).endswith(b"1\r\n3\r\n0\r\n\r\n")


@pytest.mark.parametrize("late", [0.0, 0.05], ids=["listening by then", "listening later"])
async def test_a_stream_that_looks_whether_somebody_listens_ends_with_their_side_of_the_connection(late, caplog):
    """Who is gone looks the same, and a stream that went on would keep the place of one who listens."""
    left = asyncio.Event()

    async def stream(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"first", "more_body": True})
        await asyncio.sleep(late)
        while (await receive())["type"] != "http.disconnect":
            pass
        left.set()

    for before in (b"", POST):
        left.clear()
        told = await told_to_who_is_done(stream, before + GET + b"\r\n")
        async with asyncio.timeout(PATIENCE_S):
            await left.wait()
        assert not told.endswith(b"0\r\n\r\n")
    assert not caplog.records


async def unread(scope, receive, send):
    await send({"type": "http.response.start", "status": 401, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body"})


@pytest.mark.parametrize("app", [slowly, unread])
@pytest.mark.parametrize("pause", [0, 0.05])
async def test_a_connection_that_a_trailer_ends_is_not_kept(app, pause):
    """The parser takes nothing behind it: who asked on waited half a minute for nothing."""
    async with connected(BoundedHeads, app) as (reader, writer):
        writer.write(TRAILED[:-24])
        await asyncio.sleep(pause)
        writer.write(TRAILED[-24:] + GET + b"\r\n")
        told = await until_closed(reader)

    assert told.count(b"HTTP/1.1 ") == 1
