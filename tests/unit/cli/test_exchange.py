"""Answers on a connection, as they go over the wire, against the real protocol on loopback."""

import asyncio

import pytest

from fhir_facade.cli.heads import BoundedHeads
from tests.patience import PATIENCE_S
from tests.unit.cli.test_heads import connected, until_closed

START = {"type": "http.response.start", "status": 200}
LENGTH = (b"content-length", b"5")


def answering(*messages):
    async def app(scope, receive, send):
        for message in messages:
            await send(message)

    return app


def body(content, *, more=False):
    return {"type": "http.response.body", "body": content, "more_body": more}


async def answer(app, asked=b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"):
    async with connected(BoundedHeads, app) as (reader, writer):
        writer.write(asked)
        return await until_closed(reader)


@pytest.mark.parametrize("value", [b"a\r\nset-cookie: b=c", b"a\nb", b"a\rb", b"a\0b"])
async def test_a_header_that_would_begin_another_is_an_error_of_the_server_and_leaves_nothing(value):
    told = await answer(answering({**START, "headers": [LENGTH, (b"x-of-callers", value)]}, body(b"12345")))

    assert told.startswith(b"HTTP/1.1 500 ")
    assert b"x-of-callers" not in told
    assert b"cookie" not in told


@pytest.mark.parametrize("content", [b"1234", b"123456"])
async def test_a_body_of_another_length_than_told_is_no_answer(content):
    told = await answer(answering({**START, "headers": [LENGTH]}, body(content)))

    assert b"\r\n\r\n12345" not in told
    assert not told.endswith(b"123456")


async def test_an_application_that_ends_behind_the_head_is_an_error_of_the_server():
    assert (await answer(answering({**START, "headers": [LENGTH]}))).startswith(b"HTTP/1.1 500 ")


async def test_an_answer_of_known_length_has_its_headers_and_its_body():
    told = await answer(answering({**START, "headers": [LENGTH, (b"etag", b'W/"1"')]}, body(b"12345")))

    assert told == b'HTTP/1.1 200 OK\r\ncontent-length: 5\r\netag: W/"1"\r\nconnection: close\r\n\r\n12345'


async def test_a_head_is_answered_without_the_body_whose_length_it_tells():
    told = await answer(
        answering({**START, "headers": [LENGTH]}, body(b"")), b"HEAD / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    )

    assert told == b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: close\r\n\r\n"


async def test_a_body_in_parts_follows_its_head():
    told = await answer(answering({**START, "headers": [LENGTH]}, body(b"12", more=True), body(b"345")))

    assert told.endswith(b"\r\n\r\n12345")


async def test_a_head_without_a_length_leaves_at_once():
    """Whoever listens to events is told that there are some before the first comes."""
    silent = asyncio.Event()

    async def app(scope, receive, send):
        await send({**START, "headers": [(b"content-type", b"text/event-stream")]})
        await silent.wait()

    async with connected(BoundedHeads, app) as (reader, writer):
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")

        assert b"text/event-stream" in await reader.readuntil(b"\r\n\r\n")
        silent.set()


async def test_requests_that_come_at_once_are_answered_in_their_order():
    async def app(scope, receive, send):
        content = scope["path"].encode()
        await send({**START, "headers": [(b"content-length", b"%d" % len(content))]})
        await send(body(content))

    asked = b"".join(b"GET /%d HTTP/1.1\r\nHost: x\r\n\r\n" % number for number in range(5))
    async with connected(BoundedHeads, app) as (reader, writer):
        writer.write(asked)

        for number in range(5):
            assert (await reader.readuntil(b"\r\n\r\n/%d" % number)).startswith(b"HTTP/1.1 200 OK")


@pytest.mark.parametrize(
    ("target", "path"), [(b"/a%20b?c=%20", "/a b"), (b"http://x/y", "/y"), (b"http://x", "/"), (b"/", "/")]
)
async def test_the_target_of_a_request_is_read_as_the_server_reads_it(target, path):
    seen = []

    async def app(scope, receive, send):
        seen.append((scope["path"], scope["query_string"]))
        await send({**START, "headers": [(b"content-length", b"0")]})
        await send(body(b""))

    await answer(app, b"GET %b HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n" % target)

    assert seen == [(path, b"c=%20" if b"?" in target else b"")]


@pytest.mark.parametrize("version", [b"1.0", b"0.9"])
async def test_who_does_not_know_chunks_is_sent_none(version):
    """https://www.rfc-editor.org/rfc/rfc9112#section-6.1"""
    app = answering({**START, "headers": []}, body(b"12", more=True), body(b"345", more=True), body(b""))

    told = await answer(app, b"GET / HTTP/%b\r\nHost: x\r\n\r\n" % version)

    assert told == b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n12345"


async def test_who_does_not_know_chunks_is_sent_what_has_a_length_as_anybody():
    app = answering({**START, "headers": [LENGTH]}, body(b"12", more=True), body(b"345"))

    told = await answer(app, b"GET / HTTP/1.0\r\nHost: x\r\n\r\n")

    assert told == b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: close\r\n\r\n12345"


EXPECT = b"POST / HTTP/%b\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n"


async def reading(scope, receive, send):
    await receive()
    await send({**START, "headers": [LENGTH]})
    await send(body(b"12345"))


async def test_who_does_not_know_of_going_on_is_not_told_to():
    """https://www.rfc-editor.org/rfc/rfc9110#section-10.1.1"""
    assert (await answer(reading, EXPECT % b"1.0" + b"abcde")).startswith(b"HTTP/1.1 200")


async def test_who_waits_to_go_on_is_told_to():
    async with connected(BoundedHeads, reading) as (reader, writer):
        writer.write(EXPECT % b"1.1")

        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(b"abcde")
        assert (await reader.readuntil(b"12345")).startswith(b"HTTP/1.1 200")


async def test_a_refused_body_that_was_not_sent_yet_ends_the_connection():
    """Whether it still comes is open: the next request would be taken for it, or it for the next request."""
    told = await answer(answering({**START, "status": 401, "headers": [LENGTH]}, body(b"12345")), EXPECT % b"1.1")

    assert told == b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 5\r\nconnection: close\r\n\r\n12345"


async def ends(scope, receive, send):
    """As a server does it that waited long enough for its last requests."""
    asyncio.current_task().cancel()
    await asyncio.sleep(PATIENCE_S)


async def test_who_is_not_answered_when_the_server_ends_is_told_so_and_it_is_no_defect(caplog):
    told = await answer(ends, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")

    assert told.startswith(b"HTTP/1.1 503 ")
    assert b"\r\nconnection: close\r\n" in told
    assert told.endswith(b"look whether it was done before you ask again")
    assert not caplog.records


async def test_an_answer_that_the_end_of_the_server_cuts_off_does_not_look_whole(caplog):
    async def app(scope, receive, send):
        await send({**START, "headers": []})
        await send(body(b"12", more=True))
        await ends(scope, receive, send)

    told = await answer(app, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")

    assert told.endswith(b"2\r\n12\r\n")
    assert not caplog.records


async def test_what_a_request_waits_for_and_is_ended_is_a_defect(caplog):
    async def app(scope, receive, send):
        waited_for = asyncio.get_running_loop().create_future()
        waited_for.cancel()
        await waited_for

    assert (await answer(app)).startswith(b"HTTP/1.1 500 ")
    assert caplog.records[0].exc_info
