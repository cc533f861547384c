"""The serve process is killed in the middle of a sync, again and again; the record ends as if nothing had happened.

The points are random: FHIR_FACADE_TEST_SEED repeats those of an earlier run, whose seed is printed when a test fails.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from fhir_facade.adapters.intents import LOOK_AGAIN, LOOKS
from fhir_facade.app import open_ports
from fhir_facade.flows.connect import begin, finish
from fhir_facade.flows.launch.tokens import mint_token
from fhir_facade.interactions.dispatch import dispatch
from fhir_facade.settings import Settings
from fhir_facade.simulator.app import DEFAULT_CLIENT
from fhir_facade.values import FhirRequest, Interaction
from tests.facade import Served, facade_env, served
from tests.hapi_server import empty_hapi
from tests.patience import PATIENCE_S
from tests.wearables import ALEX, CALLBACK, IMPORT, click, person

SEED = int(os.environ.get("FHIR_FACADE_TEST_SEED", random.SystemRandom().randrange(1_000_000)))
STORIES, KILLS, KILLS_OVER_HAPI = 4, 5, 3
ATTEMPTS = 5  # a sync may be faster than its killer, who then comes earlier
LONGEST_DELAY_S = 0.2
REQUESTS = 12  # the least for data that a sync makes: one for each kind
LOOKBACK_DAYS = "14"  # not less than the eight days of a repeat, or what was killed reads a day more than what was not
TYPES = (
    "Patient",
    "Device",
    "Consent",
    "Observation",
    "Provenance",
    "DetectedIssue",
    "Task",
    "Flag",
    "Goal",
    "CarePlan",
)
OF_THE_CLOCK = frozenset(
    ("lastUpdated", "dateTime", "period", "recorded", "occurredPeriod", "authoredOn", "lastModified", "issued")
)


@dataclass
class Story:
    """A deployment with one patient, whose wearable is connected; `env` starts its server."""

    env: dict[str, str]
    vendor_url: str
    folder: Path
    token: str
    connection: str

    @asynccontextmanager
    async def server(self) -> AsyncIterator[tuple[Served, httpx.AsyncClient]]:
        headers = {"Authorization": f"Bearer {self.token}"}
        with served(self.env, self.folder / "log.txt") as running:
            async with httpx.AsyncClient(base_url=running.url, headers=headers, timeout=PATIENCE_S) as app:
                yield running, app

    async def sync(self, app: httpx.AsyncClient) -> dict[str, Any]:
        answer = await app.post(f"/api/v1/connections/{self.connection}/sync", json={"wait_s": 110})
        assert answer.status_code == 200, answer.text
        report: dict[str, Any] = answer.json()
        assert report["error"] is None
        return report

    async def killed_after(self, requests: int, delay_s: float) -> bool:
        """Kill the server so long after it asked the vendor so often; whether that met a sync under way."""
        async with httpx.AsyncClient(base_url=self.vendor_url, timeout=PATIENCE_S) as vendor:
            await vendor.delete("/simulator/log")
            async with self.server() as (running, app):
                syncing = asyncio.create_task(self.sync(app))
                while not syncing.done() and await asked(vendor) < requests:
                    await asyncio.wait([syncing], timeout=0.01)
                await asyncio.wait([syncing], timeout=delay_s)
                met = not syncing.done()
                running.kill()
                await asyncio.gather(syncing, return_exceptions=True)
        return met

    async def end(self) -> dict[str, Any]:
        """What is stored and remembered after one sync to the end."""
        async with self.server() as (_, app):
            await self.sync(app)
            await self.settled()
            resources = {kind: await stored(app, kind) for kind in TYPES}
        return {**of_resources(resources), **self.rows()}

    async def settled(self) -> None:
        """An intent of which HAPI never heard, because its writer died first, is given up after several looks only."""
        with contextlib.suppress(TimeoutError):  # what is open then is seen by who compares
            async with asyncio.timeout(LOOKS * LOOK_AGAIN.total_seconds() + PATIENCE_S):
                while self.rows()["intents"]:
                    await asyncio.sleep(0.1)

    def rows(self) -> dict[str, Any]:
        with contextlib.closing(sqlite3.connect(Settings(data_dir=self.folder).data_file)) as database:
            return {
                "cursors": sorted(database.execute("SELECT data_type, through FROM sync_cursor")),
                "syncs": database.execute("SELECT * FROM sync_run").fetchall(),
                "intents": database.execute("SELECT * FROM intent").fetchall(),
                "connection": database.execute("SELECT state, last_error FROM connection").fetchall(),
                "events": sorted(database.execute("SELECT topic, kind, patient FROM event WHERE topic != 'sync'")),
            }


async def asked(vendor: httpx.AsyncClient) -> int:
    """How many requests for data the vendor has answered."""
    requests = (await vendor.get("/simulator/log")).json()["requests"]
    return sum("/dataTypes/" in each["path"] for each in requests)


async def stored(app: httpx.AsyncClient, kind: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    url: str | None = f"/fhir/{kind}?_count=1000"
    while url:
        page = (await app.get(url)).raise_for_status().json()
        found += [entry["resource"] for entry in page.get("entry", ())]
        url = next((link["url"] for link in page["link"] if link["relation"] == "next"), None)
    return found


def of_resources(resources: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """Everything but the moments of writing; of Provenances, which have ids by chance, what they say was written."""
    provenances = resources.pop("Provenance")
    written = [target["reference"] for each in provenances for target in each["target"]]
    bodies = {f"{kind}/{each['id']}": timeless(each) for kind, found in resources.items() for each in found}
    return {"resources": bodies, "written": sorted(each for each in written if not each.startswith("Patient/"))}


def timeless(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: timeless(member) for name, member in value.items() if name not in OF_THE_CLOCK}
    return [timeless(member) for member in value] if isinstance(value, list) else value


@contextmanager
def simulator() -> Iterator[str]:
    """The vendor in a process of its own, at one moment for ever."""
    command = [sys.executable, "-m", "fhir_facade.simulator", "--port", "0", "--now", datetime.now(UTC).isoformat()]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    with process.stdout as told:
        try:
            yield told.readline().split()[-1]
        finally:
            process.terminate()
            process.wait()


@pytest.fixture(scope="session")
def vendor_url() -> Iterator[str]:
    with simulator() as url:
        yield url


async def connected(folder: Path, vendor_url: str, **settings: str) -> Story:
    """A patient signs up and connects the wearable; nothing is read yet."""
    vendor = {
        "GOOGLE_AUTHORIZE_URL": f"{vendor_url}/o/oauth2/v2/auth",
        "GOOGLE_TOKEN_URL": f"{vendor_url}/token",
        "GOOGLE_REVOKE_URL": f"{vendor_url}/revoke",
        "GOOGLE_HEALTH_API_BASE": vendor_url,
        "GOOGLE_CLIENT_ID": DEFAULT_CLIENT.client_id,
        "GOOGLE_CLIENT_SECRET": DEFAULT_CLIENT.client_secret,
        "SYNC_LOOKBACK_DAYS": LOOKBACK_DAYS,
    }
    chosen = Settings(**{name.lower(): value for name, value in (vendor | settings).items()}, data_dir=folder)
    async with (
        open_ports(chosen, guest=True) as ports,
        httpx.AsyncClient(base_url=vendor_url, timeout=PATIENCE_S) as browser,
    ):
        patient = {"resourceType": "Patient", "id": "p1", "birthDate": "1980-05-17"}
        body = json.dumps(patient).encode()
        await dispatch(ports, IMPORT, FhirRequest(Interaction.UPDATE, "Patient", "p1", body=body))
        begun = await begin(ports, person("p1"), vendor="google-health", redirect_uri=CALLBACK)
        redirect = await click(browser, begun.authorize_url, ALEX)
        await finish(ports, state=redirect["state"], code=redirect["code"])
        token = await mint_token(ports, scope="system/*.cruds", patient="p1")
    return Story(facade_env(folder, WORKERS="2", **vendor, **settings), vendor_url, folder, token, begun.connection.id)


def copied(story: Story, folder: Path, workers: int = 1) -> Story:
    """The same deployment again, on an address of its own."""
    shutil.copytree(story.folder, folder)
    own = ("FHIR_FACADE_DATA_DIR", "FHIR_FACADE_PORT", "FHIR_FACADE_PUBLIC_URL", "FHIR_FACADE_WORKERS")
    fresh = facade_env(folder, WORKERS=str(workers))
    return replace(story, folder=folder, env={**story.env, **{name: fresh[name] for name in own}})


@dataclass
class Embedded:
    """A connected deployment to copy, and how it ends when nobody disturbs it."""

    base: Story
    undisturbed: dict[str, Any]


@pytest.fixture(scope="session")
def embedded(tmp_path_factory: pytest.TempPathFactory, vendor_url: str) -> Embedded:
    folder = tmp_path_factory.mktemp("sigkill")
    base = asyncio.run(connected(folder / "base", vendor_url))
    return Embedded(base, asyncio.run(copied(base, folder / "undisturbed").end()))


async def kill(story: Story, kills: int, chance: random.Random) -> None:
    """So many kills that met a sync under way."""
    met, reach = 0, 1.0
    for _ in range(ATTEMPTS * kills):
        requests, delay_s = (
            chance.randint(1, max(1, round(reach * REQUESTS))),
            chance.uniform(0, reach * LONGEST_DELAY_S),
        )
        caught = await story.killed_after(requests, delay_s)
        met, reach = met + caught, 1.0 if caught else reach / 2
        if met == kills:
            return
    pytest.fail(f"only {met} kills met a sync under way, {kills} were wanted")


@pytest.mark.parametrize("number", range(STORIES))
async def test_a_server_that_is_killed_during_a_sync_loses_and_repeats_nothing(
    tmp_path: Path, embedded: Embedded, number: int
) -> None:
    print(f"FHIR_FACADE_TEST_SEED={SEED}")
    story = copied(embedded.base, tmp_path / "data", workers=1 + number % 2)

    await kill(story, KILLS, random.Random(SEED + number))

    assert await story.end() == embedded.undisturbed


@pytest.mark.hapi
async def test_over_hapi_what_a_killed_server_left_open_is_settled(
    tmp_path: Path, empty_hapi_url: str, vendor_url: str
) -> None:
    print(f"FHIR_FACADE_TEST_SEED={SEED}")
    hapi = {"STORE": "hapi", "HAPI_URL": empty_hapi_url}
    undisturbed = await (await connected(tmp_path / "calm", vendor_url, **hapi)).end()
    empty_hapi(empty_hapi_url)
    story = await connected(tmp_path / "killed", vendor_url, **hapi)

    await kill(story, KILLS_OVER_HAPI, random.Random(SEED))

    assert await story.end() == undisturbed
