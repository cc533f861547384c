"""A facade on an embedded store, the vendor simulator on loopback beside it, and people who click through its pages."""

from __future__ import annotations

import asyncio
import json
import re
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import uvicorn

from fhir_facade.adapters.vendors.calls import READ_TIMEOUT_S, VendorCalls
from fhir_facade.adapters.vendors.google_health import GoogleHealth
from fhir_facade.flows.connect import begin, finish
from fhir_facade.flows.connections import look
from fhir_facade.flows.score import CODE as SCORE
from fhir_facade.flows.sync import sync
from fhir_facade.interactions.dispatch import dispatch
from fhir_facade.ports import Ports
from fhir_facade.rules.observations import has_code
from fhir_facade.simulator.app import DEFAULT_CLIENT, create_simulator
from fhir_facade.simulator.data_types import SCOPES
from fhir_facade.values import FhirRequest, Interaction, PatientId, Principal, Scope
from tests.facade import embedded_facade
from tests.patience import PATIENCE_S

CALLBACK = "http://127.0.0.1:8000/connections/callback"
IMPORT = Principal(kind="engine", name="import")
ALEX, SAM, KIM = "alex@example.com", "sam@example.com", "kim@example.com"
HASTE_S, HOPELESS_S = 1.0, 0.2


def person(patient: str, letters: str = "cruds") -> Principal:
    scope = Scope("patient", "*", frozenset(letters))
    return Principal(kind="patient", user=f"account-{patient}", patient=PatientId(patient), scopes=(scope,))


async def _no_pause(_seconds: float) -> None:
    return None


class MovedClock:
    """The real time, and as much later as a test says."""

    def __init__(self, ports: Ports) -> None:
        self._real = ports.clock
        self._later = timedelta()

    def now(self) -> Any:
        return self._real.now() + self._later

    def forward(self, **delta: float) -> None:
        self._later += timedelta(**delta)


@dataclass
class World:
    """`ports` of the facade; `vendor` an HTTP client of the simulator; `clock` moves the facade's time only."""

    ports: Ports
    vendor: httpx.AsyncClient
    clock: MovedClock
    google: GoogleHealth
    hasty: GoogleHealth
    """Waits a second for an answer, which on a busy machine is too short for some that come."""
    hopeless: GoogleHealth
    """Waits for no answer, because all are slow."""

    async def fault(self, **fault: Any) -> None:
        """While the vendor is slow it is asked by who is hasty, and while it is slow everywhere by who has no hope."""
        if fault["kind"] == "slow":
            vendor = self.hasty if "where" in fault else self.hopeless
            self.ports = replace(self.ports, vendors={vendor.name: vendor})
        (await self.vendor.post("/simulator/faults", json=fault)).raise_for_status()

    async def calm(self) -> None:
        self.ports = replace(self.ports, vendors={self.google.name: self.google})
        await self.vendor.delete("/simulator/faults")

    async def asked(self, path: str = "/v4/users/me/dataTypes") -> list[dict[str, Any]]:
        """The logged requests to addresses that contain `path`."""
        log = (await self.vendor.get("/simulator/log")).json()["requests"]
        return [each for each in log if path in each["path"]]

    async def forget_log(self) -> None:
        await self.vendor.delete("/simulator/log")

    async def click(
        self, url: str, account: str, scopes: tuple[str, ...] = tuple(SCOPES), decision: str = "allow"
    ) -> dict[str, str]:
        return await click(self.vendor, url, account, scopes, decision)

    async def connect(self, patient: str = "p1", account: str = ALEX, scopes: tuple[str, ...] = tuple(SCOPES)) -> Any:
        begun = await begin(self.ports, person(patient), vendor="google-health", redirect_uri=CALLBACK)
        answer = await self.click(begun.authorize_url, account, scopes)
        return await finish(self.ports, state=answer["state"], code=answer["code"])

    async def sync(self, connection: Any, **options: Any) -> Any:
        return await sync(self.ports, connection.id, **options)

    async def state(self, connection: Any) -> str:
        return (await look(self.ports, person(connection.patient), connection.id)).state

    async def read(self, type_name: str, resource_id: str) -> dict[str, Any]:
        found = await dispatch(self.ports, IMPORT, FhirRequest(Interaction.READ, type_name, resource_id))
        return json.loads(found.body)

    async def search(self, type_name: str, **params: str) -> list[dict[str, Any]]:
        """All matches, all pages."""
        asked: tuple[tuple[str, str], ...] = (*params.items(), ("_count", "1000"))
        found: list[dict[str, Any]] = []
        while asked:
            request = FhirRequest(Interaction.SEARCH_TYPE, type_name, params=asked)
            bundle = json.loads((await dispatch(self.ports, IMPORT, request)).body)
            found += [entry["resource"] for entry in bundle.get("entry", ())]
            links = [link["url"] for link in bundle.get("link", ()) if link["relation"] == "next"]
            asked = tuple(_query(links[0]).items()) if links else ()
        return found

    async def observations(self, patient: str = "p1") -> dict[str, dict[str, Any]]:
        """What was measured: without the score that follows a sync."""
        found = {each["id"]: each for each in await self.search("Observation", patient=patient)}
        return {key: each for key, each in found.items() if not has_code(each, SCORE)}

    async def versions(self, patient: str = "p1") -> dict[str, str]:
        return {key: each["meta"]["versionId"] for key, each in (await self.observations(patient)).items()}


def _query(url: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}


async def click(
    vendor: httpx.AsyncClient,
    url: str,
    account: str,
    scopes: tuple[str, ...] = tuple(SCOPES),
    decision: str = "allow",
) -> dict[str, str]:
    """What the vendor's redirect carries after the person decided."""
    page = await vendor.get(url, params={**_query(url), "login_hint": account})
    handle = re.search(r'name="request" value="([^"]+)"', page.text)
    assert handle is not None, page.text
    form = {"request": handle[1], "account": account, "scope": list(scopes), "decision": decision}
    answer = await vendor.post("/o/oauth2/v2/consent", data=form)
    return _query(answer.headers["location"])


@asynccontextmanager
async def running_simulator(**options: Any) -> AsyncIterator[str]:
    """The simulator on a free loopback port."""
    with socket.socket(proto=socket.IPPROTO_TCP) as listener:  # said, so that asyncio lets no answer wait for an ACK
        listener.bind(("127.0.0.1", 0))
        config = uvicorn.Config(create_simulator(**options), log_level="warning", lifespan="off")
        server = uvicorn.Server(config)
        task = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            await task


@asynccontextmanager
async def wearable_world(folder: Path, **settings: Any) -> AsyncIterator[World]:
    """Two patients, p1 and p2, and the vendor."""
    async with running_simulator() as url, embedded_facade(folder, **settings) as facade:
        clock = MovedClock(facade.ports)
        waits = (READ_TIMEOUT_S, HASTE_S, HOPELESS_S)
        google, hasty, hopeless = (_google(url, clock, seconds) for seconds in waits)
        ports = replace(facade.ports, vendors={google.name: google}, clock=clock)
        for patient in ("p1", "p2"):
            body = json.dumps({"resourceType": "Patient", "id": patient, "birthDate": "1980-05-17"}).encode()
            await dispatch(ports, IMPORT, FhirRequest(Interaction.UPDATE, "Patient", patient, body=body))
        async with httpx.AsyncClient(base_url=url, timeout=PATIENCE_S, verify=False) as vendor:
            yield World(ports, vendor, clock, google, hasty, hopeless)
        for each in (google, hasty, hopeless):
            await each.close()


def _google(url: str, clock: MovedClock, read_timeout_s: float) -> GoogleHealth:
    return GoogleHealth(
        authorize_url=f"{url}/o/oauth2/v2/auth",
        token_url=f"{url}/token",
        revoke_url=f"{url}/revoke",
        api_base=url,
        client_id=DEFAULT_CLIENT.client_id,
        client_secret=DEFAULT_CLIENT.client_secret,
        clock=clock,
        calls=VendorCalls("Google Health", now=clock.now, pause=_no_pause, read_timeout_s=read_timeout_s),
    )
