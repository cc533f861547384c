"""By which parameters a record is referred to: one request of the server of `hapi/`, one more of another HAPI, and all
where its answer cannot tell."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence

import pytest
from aiohttp import web

from fhir_facade.adapters.hapi import open_store
from fhir_facade.adapters.hapi.gathering import AT_ONCE
from fhir_facade.adapters.hapi.session import HapiSession
from fhir_facade.errors import Unavailable, UpstreamError
from fhir_facade.values import Ref, Ways
from tests.unit.adapters.hapi.test_answers import Answering, always, answering
from tests.unit.adapters.hapi.test_connections import Scripted, plain

WAYS = {"Condition": ("patient", "asserter"), "Goal": ("patient",), "Observation": ("subject",)}
PATIENT = Ref("Patient", "p")


def bundle(*kinds: str) -> str:
    entries = [{"resource": {"resourceType": kind, "id": str(number)}} for number, kind in enumerate(kinds)]
    return json.dumps({"resourceType": "Bundle", "entry": entries})


def told(*names: str) -> str:
    named = [{"name": "referrer", "valueString": name} for name in names]
    return json.dumps({"resourceType": "Parameters", **({"parameter": named} if named else {})})


def another_hapi(status: int, body: str) -> Answering:
    """One that has no such operation, with this answer to the search."""

    async def handler(request: web.Request) -> web.Response:
        refused = request.path.endswith("$referrers")
        return web.Response(status=400) if refused else web.Response(status=status, text=body)

    return handler


@pytest.mark.parametrize(
    ("names", "ways"),
    [
        pytest.param((), {}, id="nothing"),
        pytest.param(("Goal:patient",), {"Goal": ["patient"]}, id="one"),
        pytest.param(
            ("Condition:asserter", "Condition:patient"), {"Condition": ["patient", "asserter"]}, id="in order"
        ),
        pytest.param(("Goal:subject", "Task:patient"), {}, id="none that was not asked about"),
    ],
)
async def test_the_server_of_ours_names_the_parameters(names: Sequence[str], ways: Ways) -> None:
    async with answering(always(200, told(*names))) as url, open_store(url) as store:
        assert await store.referring([PATIENT], WAYS) == ways


async def test_all_targets_are_asked_about_in_one_request() -> None:
    asked: list[list[str]] = []

    async def answer(request: web.Request) -> web.Response:
        asked.append(request.query.getall("target"))
        return web.Response(text=told())

    async with answering(answer) as url, open_store(url) as store:
        await store.referring([PATIENT, Ref("Patient", "q")], WAYS)

    assert asked == [["Patient/p", "Patient/q"]]


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        pytest.param(500, "", Unavailable, id="it cannot now"),
        pytest.param(200, '{"parameter":[{"name":"referrer"}]}', UpstreamError, id="a name that is none"),
    ],
)
async def test_an_answer_that_names_nothing_is_an_error(status: int, body: str, error: type[Exception]) -> None:
    async with answering(always(status, body)) as url, open_store(url) as store:
        with pytest.raises(error):
            await store.referring([PATIENT], WAYS)


@pytest.mark.parametrize(
    ("status", "body", "kinds"),
    [
        pytest.param(200, bundle("Patient", "Goal", "Goal"), {"Goal", "Observation"}, id="what comes, and Observation"),
        pytest.param(200, bundle("Patient", "Task"), {"Observation"}, id="no type that was not asked about"),
        pytest.param(200, bundle(*["Goal"] * AT_ONCE), set(WAYS), id="all of them when the rest was cut off"),
        pytest.param(400, "", set(WAYS), id="all of them when it takes fewer words"),
        pytest.param(413, "", set(WAYS), id="all of them when it finds too much"),
    ],
)
async def test_over_another_hapi_they_are_those_of_the_types_that_come_with_the_record(
    status: int, body: str, kinds: set[str]
) -> None:
    async with answering(another_hapi(status, body)) as url, open_store(url) as store:
        assert await store.referring([PATIENT], WAYS) == {kind: WAYS[kind] for kind in kinds}


async def test_an_answer_that_holds_no_resources_is_an_error_of_ours() -> None:
    answer = json.dumps({"resourceType": "Bundle", "entry": [{"resource": {"id": "1"}}]})
    async with answering(another_hapi(200, answer)) as url, open_store(url) as store:
        with pytest.raises(UpstreamError):
            await store.referring([PATIENT], WAYS)


async def test_another_hapi_is_asked_for_each_parameter_but_those_of_observations_in_one_request() -> None:
    asked: list[list[str]] = []

    async def answer(request: web.Request) -> web.Response:
        if request.path.endswith("$referrers"):
            return web.Response(status=404)
        asked.append(request.query.getall("_revinclude"))
        return web.Response(text=bundle("Patient"))

    async with answering(answer) as url, open_store(url) as store:
        await store.referring([PATIENT], WAYS)

    assert asked == [["Condition:patient", "Condition:asserter", "Goal:patient"]]


async def test_a_search_by_post_is_sent_again_when_the_kept_connection_was_dead() -> None:
    server = Scripted([plain(b"1"), None, plain(b"2")])
    async with await asyncio.start_server(server.serve, "127.0.0.1", 0) as listening:
        session = HapiSession(f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/fhir", pool_size=1)
        bodies = [(await session.send("POST", "/Patient/_search")).body for _ in range(2)]
        await session.close()

    assert bodies == [b"1", b"2"]
