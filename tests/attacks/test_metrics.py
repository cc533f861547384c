"""Attacks on the counts of what everybody does. No store takes part: they are kept by the processes themselves."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from tests.facade import Facade, embedded_facade

TOKEN = "0123456789abcdef0123456789abcdef"
HERE, ELSEWHERE = "127.0.0.1", "198.51.100.7"
COUNTS = "fhir_facade_requests_total"


@pytest.fixture
async def facade(tmp_path: Path) -> AsyncIterator[Facade]:
    async with embedded_facade(tmp_path, metrics_token=TOKEN, trusted_proxies=HERE) as opened:
        yield opened


async def metrics(
    facade: Facade, peer: str, headers: dict[str, str] | None = None, origin: str = "http://127.0.0.1:8000"
) -> httpx.Response:
    transport = httpx.ASGITransport(facade.app, client=(peer, 4711))
    async with httpx.AsyncClient(transport=transport, base_url=origin, headers=headers) as client:
        return await client.get("/metrics")


@pytest.mark.parametrize(
    ("peer", "headers", "origin"),
    [
        pytest.param(ELSEWHERE, {}, "http://127.0.0.1:8000", id="another machine"),
        pytest.param(ELSEWHERE, {"X-Forwarded-For": HERE}, "http://127.0.0.1:8000", id="a stranger says it is here"),
        pytest.param(HERE, {"X-Forwarded-For": ELSEWHERE}, "http://127.0.0.1:8000", id="a proxy we trust"),
        pytest.param(HERE, {"X-Forwarded-For": HERE}, "http://127.0.0.1:8000", id="a proxy that was told lies"),
        pytest.param(HERE, {"Forwarded": "for=_hidden"}, "http://127.0.0.1:8000", id="a proxy of another kind"),
        pytest.param(HERE, {}, "http://fhir.example.org", id="a proxy that adds nothing, or a name led here"),
        pytest.param(ELSEWHERE, {"Authorization": "Bearer "}, "http://127.0.0.1", id="an empty token"),
        pytest.param(ELSEWHERE, {"Authorization": f"Bearer {TOKEN[:-1]}"}, "http://127.0.0.1", id="half a token"),
        pytest.param(ELSEWHERE, {"Authorization": f"Basic {TOKEN}"}, "http://127.0.0.1", id="another scheme"),
    ],
)
async def test_reading_what_everybody_does(facade: Facade, peer: str, headers: dict[str, str], origin: str) -> None:
    answer = await metrics(facade, peer, headers, origin)

    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert "FHIR_FACADE_METRICS_TOKEN" in answer.json()["detail"]
    assert COUNTS not in answer.text


async def test_reading_what_everybody_does_with_an_access_token(facade: Facade) -> None:
    headers = {"Authorization": f"Bearer {await facade.token('system/*.cruds')}"}

    assert (await metrics(facade, ELSEWHERE, headers)).status_code == 401


async def test_an_empty_token_where_the_operator_chose_none(tmp_path: Path) -> None:
    async with embedded_facade(tmp_path) as facade:
        answers = [await metrics(facade, ELSEWHERE, {"Authorization": said}) for said in ("Bearer ", "Bearer", "")]

    assert {answer.status_code for answer in answers} == {401}


async def test_a_program_of_this_machine_and_who_has_the_token_read_them(facade: Facade) -> None:
    local = await metrics(facade, HERE)
    prometheus = await metrics(facade, ELSEWHERE, {"Authorization": f"Bearer {TOKEN}"}, "http://facade:8000")

    for answer in (local, prometheus):
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/plain")
    assert COUNTS in prometheus.text
