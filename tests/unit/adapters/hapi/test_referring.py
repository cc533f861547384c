"""Which types refer to a record: one request, and every type where HAPI's answer cannot tell."""

from __future__ import annotations

import asyncio
import json

import pytest
from aiohttp import web

from fhir_facade.adapters.hapi import open_store
from fhir_facade.adapters.hapi.gathering import AT_ONCE
from fhir_facade.adapters.hapi.session import HapiSession
from fhir_facade.errors import UpstreamError
from fhir_facade.values import Ref
from tests.unit.adapters.hapi.test_answers import always, answering
from tests.unit.adapters.hapi.test_connections import Scripted, plain

WAYS = {"Condition": ("patient", "asserter"), "Goal": ("patient",), "Observation": ("subject",)}
PATIENT = Ref("Patient", "p")


def bundle(*kinds: str) -> str:
    entries = [{"resource": {"resourceType": kind, "id": str(number)}} for number, kind in enumerate(kinds)]
    return json.dumps({"resourceType": "Bundle", "entry": entries})


@pytest.mark.parametrize(
    ("status", "body", "told"),
    [
        pytest.param(200, bundle("Patient", "Goal", "Goal"), {"Goal", "Observation"}, id="what comes, and Observation"),
        pytest.param(200, bundle("Patient", "Task"), {"Observation"}, id="no type that was not asked about"),
        pytest.param(200, bundle(*["Goal"] * AT_ONCE), WAYS, id="all of them when the rest was cut off"),
        pytest.param(400, "", WAYS, id="all of them when it takes fewer words"),
        pytest.param(413, "", WAYS, id="all of them when it finds too much"),
    ],
)
async def test_the_types_are_those_that_come_with_the_record(status: int, body: str, told: set[str]) -> None:
    async with answering(always(status, body)) as url, open_store(url) as store:
        assert await store.referring([PATIENT], WAYS) == set(told)


async def test_an_answer_that_holds_no_resources_is_an_error_of_ours() -> None:
    answer = json.dumps({"resourceType": "Bundle", "entry": [{"resource": {"id": "1"}}]})
    async with answering(always(200, answer)) as url, open_store(url) as store:
        with pytest.raises(UpstreamError):
            await store.referring([PATIENT], WAYS)


async def test_each_parameter_but_those_of_observations_is_asked_for_in_one_request() -> None:
    asked: list[list[str]] = []

    async def answer(request: web.Request) -> web.Response:
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
