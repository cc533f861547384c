"""What a probe is told about each dependency."""

import asyncio
from dataclasses import replace

import httpx

from fhir_facade.api.readiness import check
from fhir_facade.app import create_app
from fhir_facade.errors import Unavailable
from tests.facade import embedded_facade


class Away:
    """A dependency that is down."""

    async def ping(self):
        raise Unavailable("10.0.0.7 refused the connection")


async def test_one_dependency_that_is_down_makes_the_whole_503(tmp_path):
    async with embedded_facade(tmp_path) as facade:
        app = create_app(facade.settings, replace(facade.ports, store=Away()))
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1") as probe:
            answer = await probe.get("/health")
        await app.close()

    assert answer.status_code == 503
    assert answer.json()["status"] == "down"
    assert answer.json()["dependencies"]["store"]["error"] == "Unavailable"
    assert answer.json()["dependencies"]["database"]["status"] == "up"
    assert "10.0.0.7" not in answer.text


async def test_a_dependency_that_does_not_answer_is_down():
    silence = asyncio.Event()

    found = await check(silence.wait, patience_s=0.01)

    assert (found["status"], found["error"]) == ("down", "TimeoutError")
    assert found["response_time_ms"] > 0
