"""SIGTERM on the real serve process while somebody waits for a sync: an answer, a clean log, and nothing lost."""

from __future__ import annotations

import asyncio
import json
import re
import signal
from urllib.parse import parse_qs, urlsplit

import httpx

from fhir_facade.simulator.app import DEFAULT_CLIENT
from fhir_facade.simulator.data_types import SCOPES
from tests.facade import facade_env, run_command, served
from tests.patience import PATIENCE_S
from tests.wearables import ALEX, running_simulator

CONNECTIONS = "/api/v1/connections"


async def _clicked(vendor: httpx.AsyncClient, url: str) -> str:
    """The address the vendor sends the browser back to."""
    query = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
    page = await vendor.get(url, params={**query, "login_hint": ALEX})
    handle = re.search(r'name="request" value="([^"]+)"', page.text)
    assert handle is not None
    form = {"request": handle[1], "account": ALEX, "scope": list(SCOPES), "decision": "allow"}
    return (await vendor.post("/o/oauth2/v2/consent", data=form)).headers["location"]


async def test_who_waits_for_a_sync_is_answered_before_the_process_ends(tmp_path):
    async with running_simulator() as url:
        env = facade_env(
            tmp_path / "data",
            GOOGLE_AUTHORIZE_URL=f"{url}/o/oauth2/v2/auth",
            GOOGLE_TOKEN_URL=f"{url}/token",
            GOOGLE_REVOKE_URL=f"{url}/revoke",
            GOOGLE_HEALTH_API_BASE=url,
            GOOGLE_CLIENT_ID=DEFAULT_CLIENT.client_id,
            GOOGLE_CLIENT_SECRET=DEFAULT_CLIENT.client_secret,
        )
        patient = tmp_path / "patient.json"
        entry = {
            "resource": {"resourceType": "Patient", "id": "p1", "birthDate": "1980-05-17"},
            "request": {"method": "PUT", "url": "Patient/p1"},
        }
        patient.write_text(json.dumps({"resourceType": "Bundle", "type": "transaction", "entry": [entry]}))
        await asyncio.to_thread(run_command, env, "import", str(patient))
        log = tmp_path / "log"
        with served(env, log) as facade:
            token = await asyncio.to_thread(facade.token, "patient/*.cruds", "--patient", "p1")
            headers = {"Authorization": f"Bearer {token}"}
            async with (
                httpx.AsyncClient(base_url=url, timeout=PATIENCE_S) as vendor,
                httpx.AsyncClient(base_url=facade.url, headers=headers, timeout=PATIENCE_S) as app,
            ):
                begun = (await app.post(CONNECTIONS, json={"vendor": "google-health"})).json()
                await vendor.post(
                    "/simulator/faults", json={"kind": "slow", "where": "steps", "times": -1, "seconds": 8}
                )
                await app.get(await _clicked(vendor, begun["authorize_url"]))
                waiting = asyncio.create_task(app.post(f"{CONNECTIONS}/{begun['id']}/sync", json={"wait_s": 120}))
                await app.get("/health")  # needs a new connection: the request that waits is there by now
                facade.process.send_signal(signal.SIGTERM)
                answer = await waiting
            code = await asyncio.to_thread(facade.process.wait, PATIENCE_S)

    assert answer.status_code == 202
    assert code == 0
    assert log.read_text() == ""


async def test_who_listens_to_alerts_sees_a_stream_that_ends(tmp_path):
    log = tmp_path / "log"
    with served(facade_env(tmp_path / "data"), log) as facade:
        token = await asyncio.to_thread(facade.token)
        headers = {"Authorization": f"Bearer {token}"}
        async with (
            httpx.AsyncClient(base_url=facade.url, headers=headers, timeout=PATIENCE_S) as app,
            app.stream("GET", "/api/v1/alerts/stream") as stream,
        ):
            lines = stream.aiter_lines()
            first = await anext(lines)
            facade.process.send_signal(signal.SIGTERM)
            rest = [line async for line in lines]
        code = await asyncio.to_thread(facade.process.wait, PATIENCE_S)

    assert first == ": listening"
    assert not any(line.startswith("data") for line in rest)
    assert code == 0
    assert log.read_text() == ""
