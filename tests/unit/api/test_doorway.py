"""Who comes while the server is still loading."""

import asyncio
from dataclasses import replace

import httpx
import pytest

from fhir_facade.api.doorway import Doorway
from tests.facade import PUBLIC, embedded_facade
from tests.patience import PATIENCE_S
from tests.unit.api.test_health import Away


@pytest.fixture
async def facade(tmp_path):
    async with embedded_facade(tmp_path) as facade:
        yield facade


def probe(doorway):
    return httpx.AsyncClient(transport=httpx.ASGITransport(doorway), base_url=PUBLIC)


async def test_a_dependency_that_is_down_is_told_while_the_rest_is_loaded(facade):
    async with probe(Doorway(replace(facade.ports, store=Away()))) as app:
        answer = await app.get("/health")

    assert answer.status_code == 503
    assert answer.json()["dependencies"]["store"]["error"] == "Unavailable"


async def test_those_who_wait_are_refused_when_the_server_ends_before_it_is_ready(facade):
    doorway = Doorway(facade.ports)
    async with probe(doorway) as app:
        waiting = asyncio.create_task(app.get("/fhir/metadata"))
        await app.get("/health")
        doorway.stop()
        answer = await waiting

    assert answer.status_code == 503


async def test_a_probe_that_asks_for_the_head_alone_is_answered_before_and_after(facade):
    """https://www.rfc-editor.org/rfc/rfc9110#section-9.1"""
    doorway = Doorway(facade.ports)
    async with probe(doorway) as app:
        async with asyncio.timeout(PATIENCE_S):
            before = await app.head("/health")
        doorway.open(facade.app)
        after = await app.head("/health")

    assert before.status_code == after.status_code == 200


async def test_health_says_the_same_before_and_after(facade):
    doorway = Doorway(facade.ports)
    async with probe(doorway) as app:
        before = await app.get("/health", headers={"X-Request-ID": "probe-1"})
        doorway.open(facade.app)
        after = await app.get("/health", headers={"X-Request-ID": "probe-1"})

    assert before.status_code == after.status_code == 200
    assert dict(before.headers).keys() == dict(after.headers).keys()
    assert before.headers["X-Request-ID"] == "probe-1"
    assert before.json().keys() == after.json().keys()
    assert before.json()["version"] == after.json()["version"]


async def test_what_is_asked_too_early_is_answered_when_all_is_there(facade):
    doorway = Doorway(facade.ports)
    async with probe(doorway) as app:
        waiting = [asyncio.create_task(app.get(path)) for path in ("/fhir/metadata", "/login", "/metrics")]
        await app.get("/health")
        assert not any(task.done() for task in waiting)
        doorway.open(facade.app)
        answers = await asyncio.gather(*waiting)

    assert [answer.status_code for answer in answers] == [200, 200, 200]
