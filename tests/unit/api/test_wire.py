"""Bytes on the wire."""

import asyncio
import gzip
import os
from datetime import UTC, datetime, timedelta, timezone
from email.utils import format_datetime

import pytest

from fhir_facade.api.wire import AT_ONCE, Answer, http_date, read_body, respond
from fhir_facade.errors import BadRequest, TooLarge, UnsupportedFormat


@pytest.mark.parametrize(
    "moment",
    [
        datetime(2026, 11, 21, 17, 4, 9, 999_000, UTC),
        datetime(2024, 2, 29, 23, 59, 59, tzinfo=UTC),
        datetime(1969, 12, 31, 23, 59, 58, tzinfo=UTC),
        datetime(2026, 1, 1, 1, 0, tzinfo=timezone(timedelta(hours=2))),
    ],
    ids=str,
)
def test_a_moment_is_written_as_http_writes_dates(moment):
    assert http_date(moment).decode() == format_datetime(moment.astimezone(UTC), usegmt=True)


LIMIT = 8 * AT_ONCE
SMALL, LARGE, TOO_LARGE = (b"x" * size for size in (1000, LIMIT, LIMIT + 1))


def reading(body, encoding=b"gzip"):
    """A task that reads a body that is there already."""

    async def receive():
        return {"type": "http.request", "body": body, "more_body": False}

    return asyncio.create_task(read_body(receive, {b"content-encoding": encoding}, limit=LIMIT))


@pytest.mark.parametrize(
    ("body", "error", "says"),
    [
        pytest.param(gzip.compress(TOO_LARGE), TooLarge, "larger than", id="too large"),
        pytest.param(gzip.compress(LARGE)[:-9], BadRequest, "ends too early", id="large, cut"),
        pytest.param(gzip.compress(LARGE) + b"x", BadRequest, "goes on after its end", id="large, with more behind"),
        pytest.param(gzip.compress(SMALL) + b"x", BadRequest, "goes on after its end", id="small, with more behind"),
        pytest.param(
            gzip.compress(os.urandom(2 * AT_ONCE))[:-8] + b"x" * 8, BadRequest, "cannot be", id="large, broken"
        ),
        pytest.param(SMALL, BadRequest, "cannot be unpacked", id="no gzip"),
    ],
)
async def test_a_packed_body_that_is_none_is_refused(body, error, says):
    with pytest.raises(error, match=says):
        await reading(body)


async def test_another_packing_is_refused():
    with pytest.raises(UnsupportedFormat, match="gzip"):
        await reading(SMALL, b"br")


@pytest.mark.parametrize(("body", "at_once"), [(SMALL, True), (LARGE, False)], ids=["small", "large"])
async def test_a_packed_body_is_unpacked_beside_the_others_when_it_is_large(body, at_once):
    task = reading(gzip.compress(body))
    await asyncio.sleep(0)

    assert task.done() is at_once
    assert await task == body


@pytest.mark.parametrize(("body", "at_once"), [(SMALL * 2, True), (LARGE, False)], ids=["small", "large"])
async def test_an_answer_is_packed_beside_the_others_when_it_is_large(body, at_once):
    sent = []

    async def send(message):
        sent.append(message)

    task = asyncio.create_task(respond(send, Answer(200, body, ()), {b"accept-encoding": b"gzip"}))
    await asyncio.sleep(0)

    assert task.done() is at_once
    await task
    start, answer = sent
    assert (b"content-encoding", b"gzip") in start["headers"]
    assert gzip.decompress(answer["body"]) == body


@pytest.mark.parametrize("status", [204, 304])
async def test_an_answer_that_has_no_body_tells_no_length(status):
    """https://www.rfc-editor.org/rfc/rfc9110#section-8.6: it would be that of another answer."""
    sent = []

    async def send(message):
        sent.append(message)

    await respond(send, Answer(status, b"", [(b"etag", b'W/"1"')]), {})

    assert sent[0]["headers"] == [(b"etag", b'W/"1"')]
    assert sent[1]["body"] == b""
