"""Two patients, of whom one is in care; a patient and a doctor who attack, and a service that knows everything."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from fhir_facade.flows.accounts import NewAccount
from fhir_facade.ports import FhirStore
from tests.accounts import with_account
from tests.facade import Facade, embedded_facade
from tests.sign_in_world import clock, ports, state, world

__all__ = ["clock", "ports", "state", "ward", "world"]

PASSWORD = "correct horse battery"


class AskedStore:
    """The real store, and what it was asked."""

    def __init__(self, store: FhirStore) -> None:
        self._store = store
        self.asked: list[str] = []

    def __getattr__(self, name: str) -> Any:
        self.asked.append(name)
        return getattr(self._store, name)


@dataclass
class Ward:
    """`anna` is the patient of Patient/anna, `doctor` cares for anna only; Patient/bert is foreign to both."""

    facade: Facade
    anna: httpx.AsyncClient
    doctor: httpx.AsyncClient
    service: httpx.AsyncClient

    async def put(self, resource: dict[str, Any]) -> None:
        answer = await self.service.put(f"/fhir/{resource['resourceType']}/{resource['id']}", json=resource)
        assert answer.status_code in (200, 201), answer.text

    async def app(self, scope: str, username: str = "anna") -> httpx.AsyncClient:
        """An app with this scope in the name of a person."""
        return await self.facade.client(scope, username=username)


@pytest.fixture
async def ward(tmp_path: Path, deployment: dict[str, Any]) -> AsyncIterator[Ward]:
    async with embedded_facade(tmp_path, **deployment) as facade:
        yield await admitted(facade)


async def admitted(facade: Facade) -> Ward:
    ports = facade.ports
    await with_account(ports, NewAccount("anna", "patient", PASSWORD, patient_id="anna"))
    await with_account(ports, NewAccount("doctor", "practitioner", PASSWORD, practitioner_id="doctor"))
    ward = Ward(
        facade,
        await facade.client("patient/*.cruds", username="anna"),
        await facade.client("user/*.cruds", username="doctor"),
        await facade.client("system/*.cruds"),
    )
    await ward.put({"resourceType": "Practitioner", "id": "doctor"})
    doctor = [{"reference": "Practitioner/doctor"}]
    await ward.put({"resourceType": "Patient", "id": "anna", "generalPractitioner": doctor})
    await ward.put({"resourceType": "Patient", "id": "bert"})
    await ward.put(observation("bert", id="foreign"))
    await ward.put(observation("anna", id="own"))
    return ward


def observation(patient: str, **elements: Any) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "status": "final",
        "code": {"text": "a reading"},
        "valueString": "a value",
        "subject": {"reference": f"Patient/{patient}"},
        **elements,
    }


def transaction(*entries: dict[str, Any]) -> dict[str, Any]:
    return {"resourceType": "Bundle", "type": "transaction", "entry": list(entries)}


def entry(method: str, url: str, resource: dict[str, Any] | None = None, **request: str) -> dict[str, Any]:
    body = {} if resource is None else {"resource": resource}
    return {**body, "request": {"method": method, "url": url, **request}}
