"""A facade with clients, and a patient of one test's own on it."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any

import httpx

from fhir_facade.flows.accounts import NewAccount
from tests.accounts import with_account
from tests.facade import PUBLIC, Facade

PASSWORD = "correct horse battery"
Resource = dict[str, Any]


@dataclass
class World:
    """`system` may do everything FHIR."""

    facade: Facade
    system: httpx.AsyncClient

    async def put(self, resource: Resource) -> Resource:
        answer = await self.system.put(f"/fhir/{resource['resourceType']}/{resource['id']}", json=resource)
        assert answer.status_code in (200, 201), answer.text
        return answer.json()

    async def new_patient(self) -> Bedside:
        id_ = uuid.uuid4().hex[:20]
        await self.put({"resourceType": "Patient", "id": id_, "active": True})
        return Bedside(self, id_)

    async def person(self, patient: str, scope: str = "patient/*.cruds") -> httpx.AsyncClient:
        """An app of the patient herself."""
        await with_account(self.facade.ports, NewAccount(patient, "patient", PASSWORD, patient_id=patient))
        return await self.facade.client(scope, username=patient)


@dataclass
class Bedside:
    """A patient, and readings of that patient."""

    world: World
    patient: str

    @property
    def reference(self) -> str:
        return f"Patient/{self.patient}"

    async def post(self, kind: str, **elements: Any) -> Resource:
        """A resource about the patient."""
        subject = "patient" if kind in ("AllergyIntolerance", "Immunization") else "subject"
        body = {"resourceType": kind, subject: {"reference": self.reference}} | elements
        answer = await self.world.system.post(f"/fhir/{kind}", json=body)
        assert answer.status_code == 201, answer.text
        return answer.json()

    async def mass(self, value: float, when: str, *codes: str, unit: str = "g", **elements: Any) -> str:
        """The id of an Observation with these local codes."""
        coding = [{"system": "urn:codes", "code": code} for code in codes]
        quantity = {"value": value, "unit": unit, "system": "http://unitsofmeasure.org", "code": unit}
        observed = {"status": "final", "code": {"coding": coding}, "effectiveDateTime": when, "valueQuantity": quantity}
        return str((await self.post("Observation", **(observed | elements)))["id"])


async def pages(client: httpx.AsyncClient, path: str) -> list[Resource]:
    """All pages of a bundle."""
    found: list[Resource] = []
    url: str | None = path
    while url is not None:
        answer = await client.get(url.removeprefix(PUBLIC))
        assert answer.status_code == 200, answer.text
        found.append(answer.json())
        url = next((link["url"] for link in found[-1]["link"] if link["relation"] == "next"), None)
    return found


def ids(*bundles: Resource) -> list[str]:
    return [entry["resource"]["id"] for bundle in bundles for entry in bundle.get("entry", ())]


def parameters(**values: tuple[str, Any] | Any) -> Resource:
    """Parameters of `name=("valueX", value)`, or `name=resource`; `_` in a name is a hyphen."""
    listed = [
        {"name": name, value[0]: value[1]} if isinstance(value, tuple) else {"name": name, "resource": value}
        for name, value in values.items()
    ]
    return {"resourceType": "Parameters", "parameter": listed}
