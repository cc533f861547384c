"""What people, apps and devices ask of a facade, one visit after the other at a steady rate.

Each visit checks what it was answered; refusals are visits too.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections import Counter, deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import urlsplit

import httpx

from fhir_facade.demo.browser import Browser
from fhir_facade.demo.checks import answer, content
from fhir_facade.demo.listener import listening
from fhir_facade.demo.smart_app import Person, SmartApp

AT_ONCE: Final = 24
"""Visits under way; more wait, and the rate is not reached."""
BEHIND_S: Final = 1.0
"""Of what is behind the rate so much is caught up with."""
KEPT: Final = 400
"""Observations that visits come back to; older ones are deleted."""
LISTEN_S: Final = 2.0
ALARMING, USUAL = 190, (55, 95)
VITAL_SIGN = {
    "coding": [{"system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": "vital-signs"}]
}
FHIR_JSON = {"Content-Type": "application/fhir+json"}


@dataclass
class Visitors:
    """Who comes: a program that may do everything, a person with an app, and a browser without a session.

    `granted` is the app's latest answer of the token endpoint; `connection` the address of the person's wearable.
    """

    http: httpx.AsyncClient
    app: SmartApp
    person: Person
    system: dict[str, str]
    patients: tuple[str, ...]
    granted: dict[str, Any] = field(default_factory=dict)
    connection: str = ""
    observations: deque[str] = field(default_factory=deque)
    chance: random.Random = field(default_factory=lambda: random.Random(4))
    refreshing: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def fhir(self) -> str:
        return f"{self.app.facade}/fhir"

    @property
    def personal(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.granted['access_token']}"}

    def patient(self) -> str:
        return self.chance.choice(self.patients)

    async def get(self, path: str, status: int = 200, **headers: str) -> httpx.Response:
        return answer(await self.http.get(f"{self.fhir}/{path}", headers={**self.system, **headers}), status)

    async def send(self, method: str, path: str, body: Any, *statuses: int, **headers: str) -> httpx.Response:
        sent = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = {**self.system, **FHIR_JSON, **headers}
        return answer(await self.http.request(method, f"{self.fhir}/{path}", content=sent, headers=headers), *statuses)

    def reading(self, value: int | None = None) -> dict[str, Any]:
        value = self.chance.randint(*USUAL) if value is None else value
        return {
            "resourceType": "Observation",
            "status": "final",
            "category": [VITAL_SIGN],
            "code": {"coding": [{"system": "http://loinc.org", "code": "8867-4"}]},
            "subject": {"reference": f"Patient/{self.patient()}"},
            "effectiveDateTime": datetime.now(UTC).isoformat(timespec="seconds"),
            "valueQuantity": {"value": value, "unit": "/min", "system": "http://unitsofmeasure.org", "code": "/min"},
        }


# --- what is stored ----------------------------------------------------------------------------------------------


async def reads(who: Visitors) -> None:
    await who.get(f"Patient/{who.patient()}")


async def creates(who: Visitors) -> None:
    written = await who.send("POST", "Observation", who.reading(), 201)
    who.observations.append(written.json()["id"])
    if len(who.observations) > KEPT:
        answer(
            await who.http.delete(f"{who.fhir}/Observation/{who.observations.popleft()}", headers=who.system), 200, 204
        )


async def alarms(who: Visitors) -> None:
    """What a finding refers to stays."""
    await who.send("POST", "Observation", who.reading(ALARMING), 201)


async def updates(who: Visitors) -> None:
    if who.observations:
        at = who.observations[-1 - who.chance.randrange(min(len(who.observations), KEPT // 2))]
        await who.send("PUT", f"Observation/{at}", {**who.reading(), "id": at}, 200)
        await who.get(f"Observation/{at}/_history?_count=3")


async def searches(who: Visitors) -> None:
    day = datetime.now(UTC).date().isoformat()
    await who.get(f"Observation?patient={who.patient()}&code=http://loinc.org|8867-4&date=ge{day}&_count=20")


async def searches_deep(who: Visitors) -> None:
    page = (await who.get(f"Observation?subject:Patient.active=true&_sort=-date&_include=*&_count={10}")).json()
    for link in page.get("link", ()):
        if link["relation"] == "next":
            answer(await who.http.get(link["url"], headers=who.system), 200)
    await who.get("Patient?_has:Observation:patient:code=8867-4&_revinclude=Observation:subject&_count=2")


async def transactions(who: Visitors) -> None:
    entry = [{"resource": who.reading(), "request": {"method": "POST", "url": "Observation"}} for _ in range(5)]
    made = await who.send("POST", "", {"resourceType": "Bundle", "type": "transaction", "entry": entry}, 200)
    who.observations.extend(each["response"]["location"].split("/")[-3] for each in made.json()["entry"])
    delete = [
        {"request": {"method": "DELETE", "url": f"Observation/{who.observations.popleft()}"}}
        for _ in range(len(who.observations) - KEPT)
    ]
    if delete:
        await who.send("POST", "", {"resourceType": "Bundle", "type": "batch", "entry": delete}, 200)


async def everything(who: Visitors) -> None:
    await who.get(f"Patient/{who.patient()}/$everything?_count=50")
    await who.get("metadata")


# --- what is refused ---------------------------------------------------------------------------------------------


async def refusals(who: Visitors) -> None:
    await who.get("Patient/nobody", 404)
    await who.get("Observation?no-such-parameter=1", 400, Prefer="handling=strict")
    await who.get(f"Patient/{who.patient()}", 401, Authorization="Bearer nonsense")
    await who.send("POST", "Observation", b'{"resourceType": "Observation", ', 400)
    await who.send("POST", "Observation", {"resourceType": "Observation", "status": "final"}, 400, 422)
    reading = {**who.reading(), "id": "never"}
    await who.send("PUT", "Observation/never", reading, 412, 404, **{"If-Match": 'W/"7"'})


# --- a person --------------------------------------------------------------------------------------------------


async def looks_at_pages(who: Visitors) -> None:
    answer(await who.http.get(f"{who.app.facade}/login"), 200)
    answer(await who.http.get(f"{who.app.facade}/docs"), 200)
    answer(await who.http.get(f"{who.app.facade}/metrics"), 200)


async def refreshes(who: Visitors) -> None:
    """One after the other: a refresh token that is used twice ends its grant."""
    async with who.refreshing:
        form = {
            "grant_type": "refresh_token",
            "refresh_token": who.granted["refresh_token"],
            "client_id": who.app.client_id,
        }
        who.granted |= content(await who.http.post(f"{who.app.facade}/oauth/token", data=form), 200)


async def signs_in_and_out(who: Visitors) -> None:
    """With a new browser, whose session is over afterwards."""
    async with httpx.AsyncClient(timeout=60) as client:
        browser = Browser(client)
        await who.app.sign_in(who.http, browser, who.person)
        home = await browser.open(f"{who.app.facade}/")
        await browser.submit(home, "/logout")


async def listens(who: Visitors) -> None:
    async with listening(who.http, f"{who.app.facade}/api/v1/alerts/stream", who.personal):
        await asyncio.sleep(LISTEN_S)


async def synchronises(who: Visitors) -> None:
    body = {"full": False, "wait_s": 60}
    report = content(await who.http.post(f"{who.connection}/sync", json=body, headers=who.personal), 200)
    assert report["error"] is None, report


async def is_scored(who: Visitors) -> None:
    patient = who.granted["patient"]
    content(await who.http.post(f"{who.app.facade}/api/v1/patients/{patient}/score", headers=who.personal), 200)


SHARES: Final[dict[Callable[[Visitors], Awaitable[None]], int]] = {
    reads: 150,
    creates: 60,
    alarms: 1,
    updates: 40,
    searches: 80,
    searches_deep: 8,
    transactions: 6,
    everything: 4,
    refusals: 10,
    looks_at_pages: 10,
    refreshes: 6,
    signs_in_and_out: 1,
    listens: 4,
    synchronises: 1,
    is_scored: 1,
}
"""How often each visit is among them all."""


class Traffic:
    """`answers` counts all; `failed` those that were not as promised, by the visit, with an example of each."""

    def __init__(self, who: Visitors, per_second: float) -> None:
        self._who = who
        self._pause = 1 / per_second
        self._under_way: set[asyncio.Task[None]] = set()
        self.answers = 0
        self.visits: Counter[str] = Counter()
        self.failed: dict[str, str] = {}
        who.http.event_hooks["response"].append(self._count)

    async def run(self, seconds: float) -> None:
        """Answers, not visits, come at the rate: a visit that takes several requests is followed by a longer pause. What
        a busy machine did not give is not made up for: a burst would hold memory that the load does not."""
        visits = [visit for visit, share in SHARES.items() for _ in range(share)]
        self._who.chance.shuffle(visits)
        began, number = time.monotonic(), 0
        until = began + seconds
        while (now := time.monotonic()) < until:
            began = max(began, now - self.answers * self._pause - BEHIND_S)
            if len(self._under_way) >= AT_ONCE or self.answers * self._pause > now - began:
                await asyncio.sleep(self._pause)
                continue
            task = asyncio.create_task(self._visit(visits[number % len(visits)]))
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)
            number += 1
            await asyncio.sleep(0)
        await asyncio.gather(*self._under_way)

    async def _visit(self, visit: Callable[[Visitors], Awaitable[None]]) -> None:
        self.visits[visit.__name__] += 1
        try:
            await visit(self._who)
        except Exception as error:  # noqa: BLE001 - the load goes on, and the run fails at its end
            self.failed.setdefault(visit.__name__, f"{type(error).__name__}: {error}")

    async def _count(self, response: httpx.Response) -> None:
        self.answers += 1


def patient_with(number: int) -> dict[str, Any]:
    """One of those whose readings come and go."""
    return {"resourceType": "Patient", "id": f"soak-{number}", "active": True, "birthDate": "1970-01-01"}


async def connect(who: Visitors, browser: Browser, account: str) -> str:
    """The person's wearable, through the vendor's pages; its address."""
    api, body = f"{who.app.facade}/api/v1", {"vendor": "google-health"}
    begun = content(await who.http.post(f"{api}/connections", json=body, headers=who.personal), 201)
    assert urlsplit(begun["authorize_url"]).hostname == "127.0.0.1"
    page = await browser.open(f"{begun['authorize_url']}&login_hint={account}")
    await browser.submit(page, "/consent", decision="allow")
    return f"{api}/connections/{begun['id']}"
