"""Whom a proxy, an institution's staff and a doctor with a role there reach, on both stores, and how it ends."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
import pytest_asyncio

from fhir_facade.flows.accounts import NewAccount
from tests.accounts import with_account
from tests.facade import Facade
from tests.ward import facade_on

STORES = ["embedded", pytest.param("hapi", marks=(pytest.mark.hapi, pytest.mark.postgres))]
PASSWORD = "correct horse battery"
PRIVACY = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy"}]}
DOCTOR = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/practitioner-role", "code": "doctor"}]}
pytestmark = pytest.mark.asyncio(loop_scope="module")


@dataclass
class House:
    """A ward with the patient `anna`; `bert` is a patient of nobody."""

    facade: Facade
    mark: str
    service: httpx.AsyncClient

    def ref(self, kind: str, name: str) -> dict[str, str]:
        return {"reference": f"{kind}/{name}-{self.mark}"}

    async def put(self, kind: str, id_: str, /, **elements: Any) -> None:
        resource = {"resourceType": kind, "id": f"{id_}-{self.mark}", **elements}
        answer = await self.service.put(f"/fhir/{kind}/{resource['id']}", json=resource)
        assert answer.status_code in (200, 201), answer.text

    async def someone(self, role: str, name: str, **person: str) -> httpx.AsyncClient:
        username = f"{name}-{self.mark}"
        await with_account(self.facade.ports, NewAccount(username, role, PASSWORD, **person))
        return await self.facade.client("user/*.cruds", username=username)

    async def seen(self, client: httpx.AsyncClient) -> list[str]:
        """The patients that somebody finds, and whether what is found can be read."""
        found = await client.get("/fhir/Patient?_count=50")
        assert found.status_code == 200, found.text
        ids = [entry["resource"]["id"].removesuffix(f"-{self.mark}") for entry in found.json().get("entry", ())]
        anna = await client.get(f"/fhir/Patient/anna-{self.mark}")
        assert (anna.status_code == 200) == ("anna" in ids)
        return ids


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=STORES)
async def house(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    async with facade_on(request.param, request, tmp_path_factory.mktemp("house")) as facade:
        house = House(facade, uuid.uuid4().hex[:10], await facade.client())
        await house.put("Organization", "ward", name="Ward")
        await house.put("Patient", "anna", managingOrganization=house.ref("Organization", "ward"))
        await house.put("Patient", "bert")
        yield house


async def test_a_proxy_reaches_the_patient_while_the_relationship_is_active(house: House) -> None:
    related = {"patient": house.ref("Patient", "anna")}
    await house.put("RelatedPerson", "mother", **related)
    mother = await house.someone("proxy", "mother", related_person_id=f"mother-{house.mark}")
    reading = {
        "resourceType": "Observation",
        "status": "final",
        "code": {"text": "a reading"},
        "subject": house.ref("Patient", "anna"),
    }

    assert await house.seen(mother) == ["anna"]
    assert (await mother.post("/fhir/Observation", json=reading)).status_code == 201
    bert = await mother.post("/fhir/Observation", json=reading | {"subject": house.ref("Patient", "bert")})
    assert bert.status_code == 403

    await house.put("RelatedPerson", "mother", active=False, **related)
    assert await house.seen(mother) == []


async def test_the_staff_of_an_institution_reach_its_patients_and_prescribe_nothing(house: House) -> None:
    await house.put("Patient", "carl", managingOrganization=house.ref("Organization", "ward"))
    staff = await house.someone("staff", "desk", organization_id=f"ward-{house.mark}")

    assert sorted(await house.seen(staff)) == ["anna", "carl"]
    condition = {"resourceType": "Condition", "subject": house.ref("Patient", "anna"), "code": {"text": "x"}}
    assert (await staff.post("/fhir/Condition", json=condition)).status_code == 403
    given_away = {"resourceType": "Patient", "id": f"carl-{house.mark}"}
    assert (await staff.put(f"/fhir/Patient/carl-{house.mark}", json=given_away)).status_code == 403

    await house.put("Patient", "carl")
    assert await house.seen(staff) == ["anna"]


async def test_a_doctor_reaches_the_patients_of_an_institution_by_a_role_with_permission(house: House) -> None:
    await house.put("Practitioner", "doctor")
    doctor = await house.someone("practitioner", "doctor", practitioner_id=f"doctor-{house.mark}")
    role = {
        "practitioner": house.ref("Practitioner", "doctor"),
        "organization": house.ref("Organization", "ward"),
        "code": [DOCTOR],
    }
    assert await house.seen(doctor) == []

    await house.put("PractitionerRole", "role", active=True, **role)
    assert await house.seen(doctor) == ["anna"]
    own = {"resourceType": "PractitionerRole", "active": True, **role}
    assert (await doctor.post("/fhir/PractitionerRole", json=own)).status_code == 403

    await house.put("PractitionerRole", "role", active=False, **role)
    assert await house.seen(doctor) == []


async def test_a_consent_that_denies_wins_over_every_relationship(house: House) -> None:
    await house.put("Practitioner", "named")
    care = [house.ref("Practitioner", "named")]
    ward = house.ref("Organization", "ward")
    await house.put("Patient", "anna", managingOrganization=ward, generalPractitioner=care)
    doctor = await house.someone("practitioner", "named", practitioner_id=f"named-{house.mark}")
    staff = await house.someone("staff", "office", organization_id=f"ward-{house.mark}")
    actor = [{"role": {"text": "treats"}, "reference": care[0]}]
    rule = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "OPTOUT"}]}
    consent = {
        "status": "active",
        "scope": PRIVACY,
        "category": [{"coding": [{"system": "http://loinc.org", "code": "59284-0"}]}],
        "patient": house.ref("Patient", "anna"),
        "policyRule": rule,
        "provision": {"type": "deny", "actor": actor},
    }
    assert await house.seen(doctor) == await house.seen(staff) == ["anna"]

    await house.put("Consent", "denial", **consent)
    assert (await house.seen(doctor), await house.seen(staff)) == ([], ["anna"])

    await house.put("Consent", "denial", **consent | {"status": "inactive"})
    assert await house.seen(doctor) == ["anna"]
