"""Emergency access: opened with a reason, told to the patient, over after a while, and never against a denial."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from fhir_facade.flows.accounts import NewAccount, add_account
from fhir_facade.flows.emergency import LASTS
from fhir_facade.interactions.circle import circle
from fhir_facade.rows.audit import AuditLine
from fhir_facade.values import Principal
from tests.facade import Facade, embedded_facade
from tests.forms import sign_in, submit

PASSWORD = "correct horse battery"
REASON = "found unconscious, allergies unknown"
PRIVACY = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy"}]}


@pytest.fixture
async def facade(tmp_path: Path, deployment: dict[str, Any]) -> AsyncIterator[Facade]:
    """On the embedded store, and on HAPI with its rows in PostgreSQL where the test is marked so."""
    name = [{"text": "Dr. Bo Berg"}]
    async with embedded_facade(tmp_path, **deployment) as opened:
        service = await opened.client()
        doctor = {"resourceType": "Practitioner", "id": "doctor", "name": name}
        for resource in ({"resourceType": "Patient", "id": "anna"}, doctor):
            answer = await service.put(f"/fhir/{resource['resourceType']}/{resource['id']}", json=resource)
            assert answer.status_code == 201
        await add_account(opened.ports, NewAccount("anna", "patient", PASSWORD, patient_id="anna"))
        await add_account(opened.ports, NewAccount("doctor", "practitioner", PASSWORD, practitioner_id="doctor"))
        yield opened


async def opened(client: httpx.AsyncClient, patient: str = "anna", reason: str = REASON) -> httpx.Response:
    return await client.post(f"/api/v1/patients/{patient}/emergency-access", json={"reason": reason})


async def test_who_is_no_practitioner_gives_no_reason_or_names_nobody_is_refused_and_it_is_audited(
    facade: Facade,
) -> None:
    doctor = await facade.client("user/*.cruds", username="doctor")
    patient = await facade.client("patient/*.cruds", username="anna")

    assert (await opened(patient)).status_code == 403
    assert (await opened(await facade.client())).status_code == 403
    assert (await opened(doctor, reason="x")).status_code == 400
    assert (await opened(doctor, reason=" " * 20)).status_code == 400
    assert (await opened(doctor, "nobody")).status_code == 404
    assert (await doctor.get("/fhir/Patient/anna")).status_code == 404
    lines = await facade.ports.state.read(lambda tx: tx.find(AuditLine, ("action", "=", "emergency"), order=("id",)))
    assert [line.outcome for line in lines] == ["refused", "refused", "failed", "refused"]


@pytest.mark.both_stores
async def test_the_record_is_open_for_a_while_and_the_patient_knows_who_and_why(facade: Facade) -> None:
    doctor = await facade.client("user/*.cruds", username="doctor")
    anna = await facade.client("patient/*.rs", username="anna")

    answer = await opened(doctor)

    assert answer.status_code == 201, answer.text
    assert (await doctor.get("/fhir/Patient/anna")).status_code == 200
    notice = (await anna.get(f"/fhir/{answer.json()['notice']}")).json()
    assert REASON in notice["payload"][0]["contentString"]
    assert notice["sender"]["reference"] == "Practitioner/doctor"
    log = (await anna.get("/api/v1/me/access-log")).json()["entries"]
    of_staff = [(each["action"], each["emergency"], each["reason"]) for each in log if each["role"] == "staff"]
    assert ("E", True, REASON) in of_staff
    assert ("R", True, "") in of_staff

    class Later:
        def now(self) -> Any:
            return facade.ports.clock.now() + LASTS + timedelta(seconds=1)

    later = replace(facade.ports, clock=Later())
    later.memory.forget("circle")
    assert await circle(later, Principal("practitioner", practitioner="doctor")) == frozenset()


@pytest.mark.both_stores
@pytest.mark.parametrize("who", [{"reference": "Practitioner/doctor"}, None], ids=["by name", "everybody"])
async def test_a_denial_of_the_patient_holds_in_an_emergency_too(facade: Facade, who: dict[str, str] | None) -> None:
    doctor = await facade.client("user/*.cruds", username="doctor")
    anna = await facade.client("patient/*.cruds", username="anna")
    actor = {} if who is None else {"actor": [{"role": {"text": "treats"}, "reference": who}]}
    consent = {
        "resourceType": "Consent",
        "status": "active",
        "scope": PRIVACY,
        "category": [{"coding": [{"system": "http://loinc.org", "code": "59284-0"}]}],
        "patient": {"reference": "Patient/anna"},
        "policyRule": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "OPTOUT"}]},
        "provision": {"type": "deny", **actor},
    }
    assert (await opened(doctor)).status_code == 201

    written = await anna.post("/fhir/Consent", json=consent)

    assert written.status_code == 201, written.text
    assert (await doctor.get("/fhir/Patient/anna")).status_code == 404
    assert (await opened(doctor)).status_code == 403


@pytest.mark.both_stores
async def test_the_pages_open_a_record_and_tell_the_patient(facade: Facade) -> None:
    async with facade.anonymous as doctor, facade.anonymous as anna:
        for browser, name in ((doctor, "doctor"), (anna, "anna")):
            browser.headers["Accept"] = "text/html"
            await sign_in(browser, await browser.get("/login"), name, PASSWORD)  # type: ignore[no-untyped-call]
        page = await doctor.get("/emergency")
        problems = [
            (await submit(doctor, page, "/emergency", patient=patient, reason=reason)).text  # type: ignore[no-untyped-call]
            for patient, reason in (("anna", "x"), ("nobody", REASON), ("", REASON))
        ]
        answer = await submit(doctor, page, "/emergency", patient="anna", reason=REASON)  # type: ignore[no-untyped-call]
        record = await doctor.get(answer.headers["location"])
        home = await anna.get("/")
        refused = await anna.get("/emergency")
        log = await anna.get("/access-log")
        only = await anna.get("/access-log?show=emergency")

    assert "at least 10 characters" in problems[0]
    assert all("There is no patient with this id" in text for text in problems[1:])
    assert (answer.status_code, answer.headers["location"], record.status_code) == (303, "/patients/anna", 200)
    assert "opened your record in an emergency (today, " in home.text
    assert REASON in home.text
    assert refused.status_code == 403
    for text in (log.text, only.text):
        assert "Dr. Bo Berg" in text
        assert "emergency access" in text
        assert REASON in text
    assert "Looked at: name, address" in log.text
