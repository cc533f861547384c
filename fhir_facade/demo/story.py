"""The main job, step by step over HTTP: sign in, connect, synchronise, look, be warned, be scored.

Each step checks what it says; `NotAsPromised` ends the story.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any, Final

import httpx

from fhir_facade.demo.browser import Browser
from fhir_facade.demo.checks import content, expect
from fhir_facade.demo.listener import Listener, listening
from fhir_facade.demo.smart_app import Person, SignedIn, SmartApp
from fhir_facade.demo.telling import Teller

LOINC: Final = "http://loinc.org"
SYNC_S: Final = 120
EVENT_S: Final = 20.0
COUNT_EVERY_S: Final = 1.0
VITALS: Final = {"height": 172, "blood_pressure": {"systolic": 124, "diastolic": 78}}


@dataclass(slots=True)
class Story:
    """Who and where, and what happened so far."""

    app: SmartApp
    patient: Person
    doctor: Person
    wearable_account: str
    tell: Teller
    http: httpx.AsyncClient
    stack: AsyncExitStack
    signed_in: dict[str, SignedIn] = field(default_factory=dict)
    browsers: dict[str, Browser] = field(default_factory=dict)
    listener: Listener = field(default_factory=Listener)
    connection: str = ""
    synced_at: float = 0.0
    written: int = 0

    @property
    def fhir(self) -> str:
        return f"{self.app.facade}/fhir"

    @property
    def api(self) -> str:
        return f"{self.app.facade}/api/v1"

    @property
    def patient_id(self) -> str:
        return str(self.signed_in[self.patient.username].granted["patient"])

    def headers(self, person: Person) -> dict[str, str]:
        return self.signed_in[person.username].headers

    async def sign_in(self, person: Person) -> SignedIn:
        """Each person has a browser of their own."""
        client = await self.stack.enter_async_context(httpx.AsyncClient(timeout=60))
        browser = self.browsers[person.username] = Browser(client)
        signed_in = await self.app.sign_in(self.http, browser, person)
        self.signed_in[person.username] = signed_in
        return signed_in

    async def found(self, query: str, person: Person) -> AsyncIterator[dict[str, Any]]:
        """All matches of a search, page by page."""
        url: str | None = f"{self.fhir}/{query}"
        while url is not None:
            bundle = content(await self.http.get(url, headers=self.headers(person)), 200)
            for entry in bundle.get("entry", ()):
                yield entry["resource"]
            url = next((link["url"] for link in bundle["link"] if link["relation"] == "next"), None)


async def patient_signs_in(story: Story) -> None:
    signed_in = await story.sign_in(story.patient)
    expect("patient" in signed_in.granted, "the token was expected to name the patient")
    patient = content(await story.http.get(f"{story.fhir}/Patient/{story.patient_id}", headers=signed_in.headers), 200)
    story.tell.line(f"{patient['name'][0]['text']}, born {patient['birthDate']}: Patient/{story.patient_id}")
    story.tell.line(f"granted: {signed_in.granted['scope']}")


async def doctor_listens(story: Story) -> None:
    signed_in = await story.sign_in(story.doctor)
    patients = [each["id"] async for each in story.found("Patient", story.doctor)]
    expect(patients == [story.patient_id], f"the doctor was expected to see one patient, not {patients}")
    url = f"{story.api}/alerts/stream"
    story.listener = await story.stack.enter_async_context(listening(story.http, url, signed_in.headers))
    story.tell.line(f"sees {', '.join(patients)} and nobody else; listens to {url}")


async def patient_connects(story: Story) -> None:
    headers, browser = story.headers(story.patient), story.browsers[story.patient.username]
    body = {"vendor": "google-health"}
    begun = content(await story.http.post(f"{story.api}/connections", json=body, headers=headers), 201)
    page = await browser.open(f"{begun['authorize_url']}&login_hint={story.wearable_account}")
    story.tell.line(f"the vendor asks {story.wearable_account} for consent at {page.url.copy_with(query=None)}")
    back = await browser.submit(page, "/consent", decision="allow")
    story.connection = f"{story.api}/connections/{begun['id']}"
    connection = content(await story.http.get(story.connection, headers=headers), 200)
    expect(connection["state"] == "active", f"the connection was expected to be active: {connection}")
    story.tell.line(f"back at {back.url.copy_with(query=None)}: {connection['state']}")


async def wearable_is_read(story: Story) -> None:
    counting = asyncio.create_task(_count_aloud(story))
    headers, story.synced_at = story.headers(story.patient), time.monotonic()
    url, body = f"{story.connection}/sync", {"full": False, "wait_s": SYNC_S}
    try:
        report = content(await story.http.post(url, json=body, headers=headers, timeout=SYNC_S + 30), 200)
    finally:
        counting.cancel()
        await asyncio.gather(counting, return_exceptions=True)
    expect(report["error"] is None, f"the synchronisation was expected to succeed: {report['error']}")
    for name, metric in sorted(report["metrics"].items()):
        expect(metric["error"] is None, f"{name} was expected to be read: {metric['error']}")
        written = metric["created"] + metric["updated"] + metric["unchanged"]
        story.written += written
        story.tell.line(f"{metric['read']:>6} records of {name:<30} {written:>5} Observations")
    story.tell.line(f"in {time.monotonic() - story.synced_at:.1f} s, told by {report['provenance']}")


async def _count_aloud(story: Story) -> None:
    """How many Observations there are, beside the bar, while they arrive."""
    url = f"{story.fhir}/Observation?patient={story.patient_id}&_summary=count"
    while True:
        await asyncio.sleep(COUNT_EVERY_S)
        counted = content(await story.http.get(url, headers=story.headers(story.patient)), 200)
        story.tell.now(f"{counted['total']:,} Observations")


async def record_is_shown(story: Story) -> None:
    names: dict[str, str] = {}
    counts: Counter[str] = Counter()
    query = f"Observation?patient={story.patient_id}&_elements=code&_count=500"
    async for observation in story.found(query, story.patient):
        coding = observation["code"]["coding"][0]
        code = coding["code"] if coding["system"] == LOINC else f"- {coding['code']}"
        counts[code] += 1
        names[code] = coding["display"]
    expect(counts.total() >= story.written, f"{story.written} Observations were expected, not {counts.total()}")
    for code, count in sorted(counts.items(), key=lambda one: (-one[1], one[0])):
        if not code.startswith("-"):
            story.tell.line(f"{count:>6}  {code:<8}  {names[code]}")
    others = sorted(code for code in counts if code.startswith("-"))
    story.tell.line(
        f"{sum(counts[code] for code in others):>6}  with other codes: {', '.join(names[code] for code in others)}"
    )
    story.tell.line(f"{counts.total():>6}  Observations")


async def alert_was_raised(story: Story) -> None:
    event = await story.listener.wait_for_one(timeout_s=EVENT_S)
    after = event.heard_at - story.synced_at
    story.tell.line(f"live event: {event.data['kind']}, {after:.1f} s after the reading began")
    url = f"{story.api}/alerts?patient={story.patient_id}"
    alerts = content(await story.http.get(url, headers=story.headers(story.doctor)), 200)["alerts"]
    expect(alerts, "the doctor was expected to see the alert")
    for alert in alerts:
        limit = f"{alert['comparator']} {alert['threshold']:g} {alert['unit']}"
        story.tell.line(f"{alert['title']}: {alert['observed']:g} {alert['unit']} (rule: {limit}), {alert['state']}")
        for reference in (alert["issue"], f"Task/{alert['id']}", alert["evidence"][0]):
            await _exists(story, reference)
        story.tell.line(f"   {alert['issue']} because of {alert['evidence'][0]}")


async def _exists(story: Story, reference: str) -> None:
    """As FHIR, for the doctor."""
    content(await story.http.get(f"{story.fhir}/{reference}", headers=story.headers(story.doctor)), 200)


async def patient_adds_readings(story: Story) -> None:
    url, headers = f"{story.api}/patients/{story.patient_id}/vitals", story.headers(story.patient)
    written = content(await story.http.post(url, json=VITALS, headers=headers), 201)["observations"]
    expect(len(written) == len(VITALS), f"an Observation per reading was expected, not {written}")
    for reference in written:
        observation = content(await story.http.get(f"{story.fhir}/{reference}", headers=headers), 200)
        parts = observation.get("component", [observation])
        amount = "/".join(str(part["valueQuantity"]["value"]) for part in parts)
        coding = observation["code"]["coding"][0]
        story.tell.line(f"{coding['code']:<8} {coding['display']}: {amount} {parts[0]['valueQuantity']['unit']}")


async def score_explains_itself(story: Story) -> None:
    url = f"{story.api}/patients/{story.patient_id}/score"
    scored = content(await story.http.post(url, headers=story.headers(story.patient)), 200)
    summary, observation = scored["summary"], scored["observation"]
    known = [part for part in summary["parts"] if part["points"] is not None]
    expect(len(known) + len(summary["missing"]) == len(summary["parts"]), "each part was expected known or missing")
    expect(known, "some parts of the score were expected to be known")
    story.tell.line(f"{summary['value']} of 100, {summary['status']}: {summary['observation']}")
    for part in summary["parts"]:
        points = "missing" if part["points"] is None else f"{part['points']:g}"
        story.tell.line(f"{points:>9}  {part['name']}" + (f" ({part['absent']})" if part["absent"] else ""))
    story.tell.line(f"from {len(observation['derivedFrom'])} Observations. {summary['explanation']}")
    story.tell.line(summary["next_step"] or "")


STEPS: Final[tuple[tuple[str, Callable[[Story], Awaitable[None]]], ...]] = (
    ("The patient signs in to an app: SMART authorization code with PKCE", patient_signs_in),
    ("The doctor signs in and listens for alerts", doctor_listens),
    ("The patient connects a wearable through the vendor's OAuth pages", patient_connects),
    ("The wearable is read: 90 days", wearable_is_read),
    ("What is in the record now, by LOINC code", record_is_shown),
    ("A threshold raised an alert, and the doctor heard of it", alert_was_raised),
    ("The patient types in a height and a blood pressure", patient_adds_readings),
    ("The score explains itself", score_explains_itself),
)


async def tell_story(app: SmartApp, patient: Person, doctor: Person, wearable_account: str, tell: Teller) -> Story:
    """All steps in order. `NotAsPromised`: the step that was begun last did not do what it says."""
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(httpx.AsyncClient(timeout=60))
        story = Story(app, patient, doctor, wearable_account, tell, http, stack)
        for title, step in STEPS:
            tell.step(title)
            await step(story)
        return story
