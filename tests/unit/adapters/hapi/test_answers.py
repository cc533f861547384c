"""What the facade makes of a HAPI that is down, slow or talks nonsense, and what it takes off resources."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from fhir_facade.adapters.hapi import open_store, request_id
from fhir_facade.adapters.hapi.asking import follow
from fhir_facade.adapters.hapi.content import without_request_id
from fhir_facade.adapters.hapi.session import HapiSession
from fhir_facade.errors import FacadeError, Gone, InvalidResource, NotSupported, TooLarge, Unavailable, UpstreamError
from fhir_facade.values import Ref, SearchQuery, Write

PATIENT = Ref("Patient", "p")
Answering = Callable[[web.Request], Awaitable[web.Response]]


@asynccontextmanager
async def answering(handler: Answering) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_route("*", "/fhir{path:.*}", handler)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/fhir"
    finally:
        await runner.cleanup()


def always(status: int, body: str) -> Answering:
    async def handler(request: web.Request) -> web.Response:
        return web.Response(status=status, text=body)

    return handler


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        pytest.param(200, "<html>", UpstreamError, id="a page"),
        pytest.param(200, '{"resourceType":"Patient"}', UpstreamError, id="no id and version"),
        pytest.param(302, "", UpstreamError, id="a redirection"),
        pytest.param(401, "", UpstreamError, id="a demand for sign-in"),
        pytest.param(501, "", NotSupported, id="what it cannot do"),
        pytest.param(413, "", TooLarge, id="too large"),
        pytest.param(500, "", Unavailable, id="a failure"),
        pytest.param(503, "", Unavailable, id="overload"),
    ],
)
async def test_a_read_that_cannot_be_used_is_an_error_of_ours(status: int, body: str, error: type[FacadeError]) -> None:
    async with answering(always(status, body)) as url, open_store(url) as store:
        with pytest.raises(error):
            await store.read(PATIENT)


async def test_nobody_at_the_address_is_unavailable() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        async with open_store(f"http://127.0.0.1:{unused.getsockname()[1]}/fhir") as store:
            with pytest.raises(Unavailable, match="cannot be reached"):
                await store.ping()


async def test_a_slow_answer_is_unavailable() -> None:
    waited_enough = asyncio.Event()

    async def handler(request: web.Request) -> web.Response:
        await waited_enough.wait()
        return web.Response()

    async with answering(handler) as url:
        session = HapiSession(url, pool_size=1)
        with pytest.raises(Unavailable, match=r"within 0\.05 s"):
            await session.send("GET", "/Patient/p", timeout_s=0.05)
        waited_enough.set()
        await session.close()


async def test_a_database_that_is_down_fails_the_ping() -> None:
    async with answering(always(500, "")) as url, open_store(url) as store:
        with pytest.raises(Unavailable):
            await store.ping()


async def test_entries_without_a_resource_are_no_search_result() -> None:
    async with answering(always(200, '{"resourceType":"Bundle","entry":[{}]}')) as url, open_store(url) as store:
        with pytest.raises(UpstreamError):
            await store.search(SearchQuery("Patient"))


async def test_a_transaction_answered_with_other_entries_is_an_error() -> None:
    async with answering(always(200, '{"resourceType":"Bundle","entry":[]}')) as url, open_store(url) as store:
        with pytest.raises(UpstreamError):
            await store.write([Write("delete", PATIENT), Write("delete", Ref("Patient", "q"))])


async def test_a_refused_resource_is_told_without_codes_of_hapi() -> None:
    outcome = '{"resourceType":"OperationOutcome","issue":[{"diagnostics":"HAPI-0450: Failed to parse"}]}'

    async with answering(always(400, outcome)) as url, open_store(url) as store:
        with pytest.raises(InvalidResource, match=r"^Failed to parse$"):
            await store.write([Write("put", PATIENT, b'{"resourceType":"Patient","id":"p"}')])


INSIDE = [
    "HAPI-0450: Failed to parse request body as JSON resource. Error was: ca.uhn.fhir.parser.DataFormatException: x",
    "HAPI-0389: could not execute statement [ERROR: null value in column of HFJ_RESOURCE]",
    'HAPI-0417: Search ID "7c1d" does not exist and may have expired',
    "Failed to call access method: java.lang.NullPointerException",
    "HAPI-0550 (HAPI-0825): The operation has failed with a unique index constraint failure of SQL",
]


@pytest.mark.parametrize("status", [400, 404, 409, 410, 412, 413, 422, 500, 501])
@pytest.mark.parametrize("said", INSIDE)
async def test_what_is_inside_hapi_is_told_to_nobody(said: str, status: int) -> None:
    outcome = {"resourceType": "OperationOutcome", "issue": [{"diagnostics": said}]}

    async with answering(always(status, json.dumps(outcome))) as url:
        session = HapiSession(url, pool_size=1)
        refusal = str((await session.send("GET", "/Patient")).refusal("a search of Patient"))
        await session.close()

    assert "a search of Patient" in refusal
    for word in ("HAPI-", "ca.uhn", "java.", "Exception", "HFJ_", "SQL", "Search ID"):
        assert word not in refusal


@pytest.mark.parametrize(
    "said",
    [
        "Invalid reference at path[Observation.component.value] - mailto:x@example.org",
        "Fulltext search is not enabled on this service, can not process parameter: _text",
    ],
)
async def test_what_says_nothing_of_the_inside_is_passed_on(said: str) -> None:
    outcome = {"resourceType": "OperationOutcome", "issue": [{"diagnostics": f"HAPI-0505: {said}"}]}

    async with answering(always(400, json.dumps(outcome))) as url:
        session = HapiSession(url, pool_size=1)
        refusal = str((await session.send("GET", "/Patient")).refusal("a search of Patient"))
        await session.close()

    assert refusal == said


async def test_an_expired_page_of_hapi_is_told_as_an_expired_link() -> None:
    outcome = {"resourceType": "OperationOutcome", "issue": [{"diagnostics": INSIDE[2]}]}

    async with answering(always(410, json.dumps(outcome))) as url:
        session = HapiSession(url, pool_size=1)
        with pytest.raises(Gone, match="expired: repeat the search"):
            await follow(session, "Patient", f"{url}?_getpages=7c1d")
        await session.close()


@pytest.mark.parametrize(
    "said",
    [
        "could not execute batch [Batch entry 0 was aborted: ERROR: value too long for type character varying(500)",
        "could not execute batch [Value too long for column 'SP_URI CHARACTER VARYING(500)': 'http://e.. (513)'",
    ],
    ids=["PostgreSQL", "H2"],
)
async def test_a_text_that_has_no_room_is_no_conflict(said: str) -> None:
    """It would be the same with every try. The columns of `hapi/` are wide; those of another HAPI may not be."""
    asked: list[str] = []

    async def handler(request: web.Request) -> web.Response:
        asked.append(request.method)
        outcome = f'{{"resourceType":"OperationOutcome","issue":[{{"diagnostics":"HAPI-0550: {said}"}}]}}'
        return web.Response(status=409, text=outcome)

    async with answering(handler) as url, open_store(url) as store:
        with pytest.raises(InvalidResource, match="Patient/p has a text that is too long"):
            await store.write([Write("put", PATIENT, b'{"resourceType":"Patient","id":"p"}')])
    assert asked == ["PUT"]


@pytest.mark.parametrize(
    ("given", "kept"),
    [pytest.param("abc-1", True, id="fit for a header"), pytest.param("a b\r\n", False, id="unfit")],
)
async def test_the_id_of_the_request_goes_with_what_is_written(given: str, kept: bool) -> None:
    seen: list[str] = []

    async def handler(request: web.Request) -> web.Response:
        seen.append(request.headers["X-Request-ID"])
        return web.Response(status=404)

    token = request_id.set(given)
    try:
        async with answering(handler) as url, open_store(url) as store:
            with pytest.raises(FacadeError):
                await store.write([Write("put", PATIENT, b'{"resourceType":"Patient","id":"p"}')])
    finally:
        request_id.reset(token)

    assert (seen == [given]) is kept


@pytest.mark.parametrize(
    ("body", "freed"),
    [
        pytest.param(b'{"meta":{"a":1,"source":"#r"}}', b'{"meta":{"a":1}}', id="last"),
        pytest.param(b'{"meta":{"source":"#r","a":1}}', b'{"meta":{"a":1}}', id="first"),
        pytest.param(b'{"meta":{"a":1,"source":"#r","b":2}}', b'{"meta":{"a":1,"b":2}}', id="between"),
        pytest.param(b'{"meta":{"source":"#r"}}', b'{"meta":{}}', id="alone"),
        pytest.param(b'{"meta":{"source":"u:\\"x#r"},"x":1}', b'{"meta":{"source":"u:\\"x"},"x":1}', id="after a uri"),
        pytest.param(b'{"meta":{"source":"u:x"}}', b'{"meta":{"source":"u:x"}}', id="not there"),
    ],
)
def test_the_request_id_leaves_the_source(body: bytes, freed: bytes) -> None:
    assert without_request_id(body) == freed
