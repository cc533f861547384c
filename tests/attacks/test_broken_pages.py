"""Records that break what others see: a name, a number, a time or a forged score in one record took the worklist, the
alerts or the page of that record from whoever cares for it.

https://cwe.mitre.org/data/definitions/754.html
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio

from terminology.canonical import HEALTH_SCORE
from tests.attacks.hospital import JSON_PATCH, PASSWORD, STORES, Hospital, hospital_on
from tests.forms import sign_in

pytestmark = pytest.mark.asyncio(loop_scope="module")
FHIR = {"Content-Type": "application/fhir+json"}
VITAL = "http://terminology.hl7.org/CodeSystem/observation-category"
SURVEY = [{"coding": [{"system": VITAL, "code": "survey"}]}]
SIGN = [{"coding": [{"system": VITAL, "code": "vital-signs"}]}]
SCORE = {"coding": [{"system": HEALTH_SCORE, "code": "le8-composite"}]}


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=STORES)
async def hospital(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Hospital]:
    async with hospital_on(request.param, request, tmp_path_factory.mktemp("hospital")) as opened:
        yield opened


@pytest_asyncio.fixture(loop_scope="module")
async def doctor(hospital: Hospital) -> AsyncIterator[httpx.AsyncClient]:
    """The doctor's browser."""
    async with hospital.facade.anonymous as browser:
        browser.headers["Accept"] = "text/html"
        await sign_in(browser, await browser.get("/login?next=/"), hospital.id("doctor"), PASSWORD)
        yield browser


@pytest.mark.parametrize("name", [{"given": [None]}, {"given": [None], "family": "Rossi"}], ids=["alone", "beside"])
async def test_a_name_without_letters_takes_the_worklist_from_the_doctor(
    hospital: Hospital, doctor: httpx.AsyncClient, name: dict[str, Any]
) -> None:
    """A given name may say nothing but why it is missing: the list of all patients, with the alerts of all, and the
    choice of a patient for an app were a defect from then on."""
    why = {"url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason", "valueCode": "masked"}
    change = [{"op": "add", "path": "/name", "value": [{**name, "_given": [{"extension": [why]}]}]}]
    anna = hospital.id("anna")
    written = await hospital.anna.patch(f"/fhir/Patient/{anna}", content=json.dumps(change), headers=JSON_PATCH)
    pages = [await doctor.get("/"), await doctor.get(f"/patients/{anna}")]

    assert written.status_code == 200, written.text
    assert [page.status_code for page in pages] == [200, 200]
    assert name.get("family", anna) in pages[0].text


def pressure(systolic: str, **time: Any) -> str:
    """A blood pressure as JSON, with the number as it is written."""
    parts = [("8480-6", 123456789), ("8462-4", 80)]
    unit = {"unit": "mmHg", "system": "http://unitsofmeasure.org", "code": "mm[Hg]"}
    reading = {
        "resourceType": "Observation",
        "status": "final",
        "category": SIGN,
        "code": {"coding": [{"system": "http://loinc.org", "code": "85354-9"}]},
        "component": [
            {
                "code": {"coding": [{"system": "http://loinc.org", "code": code}]},
                "valueQuantity": {"value": value, **unit},
            }
            for code, value in parts
        ],
        **time,
    }
    return json.dumps(reading).replace("123456789", systolic)


BREAKING = {
    "huge": ("1e308", {"effectiveDateTime": "NOW"}),
    "huge below": ("-1e308", {"effectiveDateTime": "NOW"}),
    "tiny": ("5e-324", {"effectiveDateTime": "NOW"}),
    "end of all times": ("120", {"effectiveDateTime": "9999-12-31T23:59:59Z"}),
    "last day of all": ("120", {"effectiveDateTime": "9999-12-31"}),
    "beginning of all times": ("120", {"effectiveDateTime": "0001-01-01T00:00:00Z"}),
    "all times": ("120", {"effectivePeriod": {"start": "0001-01-01", "end": "9999-12-31"}}),
    "until the beginning": ("120", {"effectivePeriod": {"end": "0001-01-01T00:00:00Z"}}),
}


@pytest.mark.parametrize("name", BREAKING)
async def test_a_reading_takes_the_page_and_the_alerts_of_its_patient_from_the_doctor(
    hospital: Hospital, doctor: httpx.AsyncClient, name: str
) -> None:
    """The page was a defect from then on, and so was every later reading: none was stored, and none raised an alert."""
    anna, (number, time) = hospital.id("anna"), BREAKING[name]
    subject = {"subject": {"reference": f"Patient/{anna}"}}
    now = hospital.facade.ports.clock.now().isoformat()
    time = {key: now if value == "NOW" else value for key, value in time.items()}
    usual = pressure("118", effectiveDateTime=now, **subject)

    written = await hospital.anna.post("/fhir/Observation", content=pressure(number, **time, **subject), headers=FHIR)
    later = await hospital.doctor.post("/fhir/Observation", content=usual, headers=FHIR)
    page = await doctor.get(f"/patients/{anna}")

    assert (written.status_code, later.status_code, page.status_code) == (201, 201, 200), written.text + later.text


@pytest.mark.parametrize("attacker", ["anna", "doctor"])
async def test_a_score_that_nobody_computed(hospital: Hospital, doctor: httpx.AsyncClient, attacker: str) -> None:
    """Whoever may write readings wrote the score itself: of a day to come it stayed the newest, and one without its
    notes was a defect of whatever shows it."""
    anna, client = hospital.id("anna"), getattr(hospital, attacker)
    forged = hospital.reading("anna", code=SCORE, category=SURVEY, effectivePeriod={"end": "2090-01-01"})
    own = hospital.reading("anna", effectiveDateTime="2026-01-01")

    made = await client.post("/fhir/Observation", json=forged)
    plain = (await client.post("/fhir/Observation", json=own)).json()
    turned = await client.put(f"/fhir/Observation/{plain['id']}", json=plain | {"code": SCORE})
    answers = [await client.get(f"/api/v1/patients/{anna}/score"), await doctor.get(f"/patients/{anna}")]

    assert (made.status_code, turned.status_code) == (403, 403), made.text + turned.text
    assert max(answer.status_code for answer in answers) < 500


async def test_a_score_that_was_computed_is_changed_by_nobody(hospital: Hospital) -> None:
    """Its words stay those of the engine; whose it is may still delete it."""
    anna = hospital.id("anna")
    born = [{"op": "add", "path": "/birthDate", "value": "1980-05-17"}]
    await hospital.anna.patch(f"/fhir/Patient/{anna}", content=json.dumps(born), headers=JSON_PATCH)
    computed = await hospital.doctor.post(f"/api/v1/patients/{anna}/score")
    score = computed.json()["observation"]

    changed = [
        await client.put(f"/fhir/Observation/{score['id']}", json=score | {"note": [{"text": "perfect"}], **more})
        for client in (hospital.anna, hospital.doctor)
        for more in ({}, {"code": {"text": "something else"}})
    ]
    deleted = await hospital.anna.delete(f"/fhir/Observation/{score['id']}")

    assert [each.status_code for each in changed] == [403] * 4, changed[0].text
    assert deleted.status_code == 200, deleted.text


async def test_an_alert_that_a_colleague_emptied(hospital: Hospital, doctor: httpx.AsyncClient) -> None:
    """Whoever may change the work and the finding took so much out of them that the list of all alerts was a defect,
    and so was every further reading that belongs to the alert."""
    anna, about = hospital.id("anna"), {"subject": {"reference": f"Patient/{hospital.id('anna')}"}}
    now = hospital.facade.ports.clock.now().isoformat()
    high = pressure("250", effectiveDateTime=now, **about)
    raised = await hospital.anna.post("/fhir/Observation", content=high, headers=FHIR)
    alerts = (await hospital.doctor.get(f"/api/v1/alerts?patient={anna}")).json()["alerts"]
    alert = alerts[0]
    work = (await hospital.doctor.get(f"/fhir/Task/{alert['id']}")).json()
    finding = (await hospital.doctor.get(f"/fhir/{alert['issue']}")).json()
    kept = {"resourceType", "id", "identifier", "status", "intent", "code", "for", "businessStatus"}
    emptied = [
        {name: value for name, value in work.items() if name in kept} | {"authoredOn": "2026"},
        {name: finding[name] for name in ("resourceType", "id", "identifier", "status", "patient")},
    ]

    changed = [await hospital.doctor.put(f"/fhir/{each['resourceType']}/{each['id']}", json=each) for each in emptied]
    forged = await hospital.doctor.post("/fhir/Task", json={k: v for k, v in emptied[0].items() if k != "id"})
    listed = await hospital.doctor.get(f"/api/v1/alerts?patient={anna}")
    pages = [await doctor.get("/"), await doctor.get(f"/patients/{anna}")]
    more = [
        await hospital.anna.post(
            "/fhir/Observation", content=pressure(value, effectiveDateTime=at, **about), headers=FHIR
        )
        for value in ("251", "118")
        for at in [hospital.facade.ports.clock.now().isoformat()]
    ]

    assert raised.status_code == 201, raised.text
    assert [each.status_code for each in (*changed, forged)] == [200, 200, 201], changed[0].text + changed[1].text
    assert {each["id"] for each in listed.json()["alerts"]} == {each["id"] for each in alerts}, listed.text
    assert [page.status_code for page in pages] == [200, 200]
    assert [each.status_code for each in more] == [201, 201], more[0].text + more[1].text


async def test_days_at_the_ends_of_time_on_the_page_of_who_looked(hospital: Hospital) -> None:
    async with hospital.facade.anonymous as browser:
        browser.headers["Accept"] = "text/html"
        await sign_in(browser, await browser.get("/login?next=/"), hospital.id("anna"), PASSWORD)
        page = await browser.get("/access-log?from=0001-01-01&to=9999-12-31")

    assert page.status_code == 200
