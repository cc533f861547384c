"""One facade for all attacks of a module, on either store: two patients and their doctors, and what must not be seen.

Everything about `bert` holds SECRET; an answer to anybody else that holds it is a leak.
"""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from fhir_facade.flows.accounts import NewAccount, add_account
from tests.facade import Facade
from tests.ward import facade_on

STORES = ["embedded", pytest.param("hapi", marks=(pytest.mark.hapi, pytest.mark.postgres))]
PASSWORD = "correct horse battery"
SECRET = "pancreatitis"
JSON_PATCH = {"Content-Type": "application/json-patch+json"}
CODE = {"coding": [{"system": "https://example.org/codes", "code": "reading"}]}


@dataclass
class Hospital:
    """`anna` attacks with the token of a patient, `doctor` with that of a practitioner who cares for her only; `bert` is
    who must not be seen, and `service` knows everything. Ids are new in every run."""

    facade: Facade
    mark: str
    anna: httpx.AsyncClient
    bert: httpx.AsyncClient
    doctor: httpx.AsyncClient
    service: httpx.AsyncClient

    def id(self, name: str) -> str:
        return f"{name}-{self.mark}"

    def reading(self, patient: str, **elements: Any) -> dict[str, Any]:
        return {
            "resourceType": "Observation",
            "status": "final",
            "code": CODE,
            "subject": {"reference": f"Patient/{self.id(patient)}"},
            **elements,
        }

    async def put(self, resource: dict[str, Any]) -> dict[str, Any]:
        answer = await self.service.put(f"/fhir/{resource['resourceType']}/{resource['id']}", json=resource)
        assert answer.status_code in (200, 201), answer.text
        return dict(answer.json())

    async def count(self, client: httpx.AsyncClient, query: str) -> int:
        answer = await client.get(f"/fhir/{query}&_summary=count")
        assert answer.status_code == 200, answer.text
        return int(answer.json()["total"])


@asynccontextmanager
async def hospital_on(store: str, request: pytest.FixtureRequest, folder: Path) -> AsyncIterator[Hospital]:
    async with facade_on(store, request, folder) as facade:
        mark = uuid.uuid4().hex[:10]
        people = {name: f"{name}-{mark}" for name in ("anna", "bert", "doctor")}
        for name in ("anna", "bert"):
            await add_account(facade.ports, NewAccount(people[name], "patient", PASSWORD, patient_id=people[name]))
        new = NewAccount(people["doctor"], "practitioner", PASSWORD, practitioner_id=people["doctor"])
        await add_account(facade.ports, new)
        hospital = Hospital(
            facade,
            mark,
            await facade.client("patient/*.cruds", username=people["anna"]),
            await facade.client("patient/*.cruds", username=people["bert"]),
            await facade.client("user/*.cruds", username=people["doctor"]),
            await facade.client("system/*.cruds"),
        )
        await _admit(hospital)
        yield hospital


async def _admit(hospital: Hospital) -> None:
    """Both have a reading; what is in bert's record, and in what leads to it, is SECRET."""
    anna, bert, doctor = (hospital.id(name) for name in ("anna", "bert", "doctor"))
    await hospital.put({"resourceType": "Practitioner", "id": doctor})
    care = [{"reference": f"Practitioner/{doctor}"}]
    await hospital.put({"resourceType": "Patient", "id": anna, "gender": "female", "generalPractitioner": care})
    name = [{"family": SECRET, "given": [SECRET]}]
    await hospital.put({"resourceType": "Patient", "id": bert, "gender": "male", "name": name})
    await hospital.put(hospital.reading("anna", id=hospital.id("own"), valueString="hers"))
    secret = {"note": [{"text": SECRET}], "performer": care, "valueString": SECRET}
    await hospital.put(hospital.reading("bert", id=hospital.id("foreign"), **secret))
    condition = {"resourceType": "Condition", "code": {"text": SECRET}, "subject": {"reference": f"Patient/{bert}"}}
    await hospital.put(condition | {"id": hospital.id("illness")})


def entry(method: str, url: str, resource: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    full_url = more.pop("fullUrl", None)
    head = {} if full_url is None else {"fullUrl": full_url}
    body = {} if resource is None else {"resource": resource}
    return {**head, **body, "request": {"method": method, "url": url, **more}}


def bundle(kind: str, *entries: dict[str, Any]) -> dict[str, Any]:
    return {"resourceType": "Bundle", "type": kind, "entry": list(entries)}
