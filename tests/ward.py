"""A patient in a doctor's care on a facade, with readings to write and alerts to look at; ids of its own on any store."""

from __future__ import annotations

import json
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from fhir_facade.adapters.keys import open_key_file
from fhir_facade.adapters.system_clock import SystemClock
from fhir_facade.app import create_app, open_ports
from fhir_facade.flows.accounts import NewAccount
from fhir_facade.interactions.alerts.marks import compare
from fhir_facade.settings import Settings
from tests.accounts import with_account
from tests.facade import PUBLIC, Facade, count_as_looked_through, embedded_facade

PASSWORD = "correct horse battery"
HEART_RATE, RESTING, PRESSURE = "8867-4", "40443-4", "85354-9"
UNITS = {HEART_RATE: "/min", RESTING: "/min", "39156-5": "kg/m2"}
VITAL_SIGN = [
    {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": "vital-signs"}]}
]


@asynccontextmanager
async def facade_over_hapi(folder: Path, hapi_url: str, postgres_url: str, **settings: Any) -> AsyncIterator[Facade]:
    """A facade whose resources are in HAPI and whose rows are in PostgreSQL."""
    keys = folder / "keys.json"
    if not keys.exists():
        open_key_file(keys, SystemClock(), create=True)
    chosen = Settings(
        store="hapi",
        hapi_url=hapi_url,
        database_url=postgres_url,
        data_dir=folder,
        keys_file=keys,
        public_url=PUBLIC,
        **settings,
    )
    async with open_ports(chosen) as ports:
        await count_as_looked_through(ports)
        yield Facade(chosen, ports, create_app(chosen, ports))


@asynccontextmanager
async def facade_on(store: str, request: pytest.FixtureRequest, folder: Path, **settings: Any) -> AsyncIterator[Facade]:
    """A facade on the named store: `embedded` or `hapi`."""
    if store == "embedded":
        async with embedded_facade(folder, **settings) as facade:
            yield facade
        return
    hapi, postgres = request.getfixturevalue("hapi_url"), request.getfixturevalue("module_database_url")
    async with facade_over_hapi(folder, hapi, postgres, **settings) as facade:
        yield facade


def minutes_ago(minutes: float) -> str:
    return (datetime.now(UTC) - timedelta(minutes=minutes)).isoformat().replace("+00:00", "Z")


@dataclass
class Ward:
    """`patient` is in the care of `doctor`. `system` is an HTTP client that may do everything FHIR."""

    facade: Facade
    patient: str
    doctor: str
    system: httpx.AsyncClient

    def reading(self, value: float, ago: float = 0, /, *, code: str = HEART_RATE, **elements: Any) -> dict[str, Any]:
        """A heart rate so many minutes ago, or another number."""
        unit = UNITS[code]
        coding = {"system": "http://loinc.org", "code": code}
        quantity = {"value": value, "unit": unit, "system": "http://unitsofmeasure.org", "code": unit}
        return {
            "resourceType": "Observation",
            "status": "final",
            "category": VITAL_SIGN,
            "code": {"coding": [coding, {**coding, "code": HEART_RATE}] if code == RESTING else [coding]},
            "subject": {"reference": f"Patient/{self.patient}"},
            "effectiveDateTime": minutes_ago(ago),
            "valueQuantity": quantity,
        } | elements

    def pressure(self, systolic: float, ago: float, **elements: Any) -> dict[str, Any]:
        unit = {"unit": "mmHg", "system": "http://unitsofmeasure.org", "code": "mm[Hg]"}
        parts = (("8480-6", systolic), ("8462-4", 80))
        component = [
            {
                "code": {"coding": [{"system": "http://loinc.org", "code": code}]},
                "valueQuantity": {"value": value, **unit},
            }
            for code, value in parts
        ]
        body = self.reading(0, ago, component=component, **elements)
        body["code"] = {"coding": [{"system": "http://loinc.org", "code": PRESSURE}]}
        return {name: value for name, value in body.items() if name != "valueQuantity"}

    async def post(self, resource: dict[str, Any]) -> dict[str, Any]:
        answer = await self.system.post(f"/fhir/{resource['resourceType']}", json=resource)
        assert answer.status_code == 201, answer.text
        return answer.json()

    async def put(self, resource: dict[str, Any]) -> dict[str, Any]:
        answer = await self.system.put(f"/fhir/{resource['resourceType']}/{resource['id']}", json=resource)
        assert answer.status_code in (200, 201), answer.text
        return answer.json()

    async def find(self, type_name: str, **params: str) -> list[dict[str, Any]]:
        """Resources about the patient."""
        answer = await self.system.get(f"/fhir/{type_name}", params={"patient": self.patient, "_count": "200"} | params)
        assert answer.status_code == 200, answer.text
        return [entry["resource"] for entry in answer.json().get("entry", ())]

    async def alerts(self, client: httpx.AsyncClient | None = None, **params: str) -> list[dict[str, Any]]:
        """As /api/v1 lists them, closed ones too."""
        params = {"patient": self.patient, "state": "all"} | params
        answer = await (client or self.system).get("/api/v1/alerts", params=params)
        assert answer.status_code == 200, answer.text
        return answer.json()["alerts"]

    async def states(self) -> list[str]:
        """The states of all alerts, oldest first."""
        return [alert["state"] for alert in reversed(await self.alerts())]

    async def flags(self) -> list[str]:
        return [flag["status"] for flag in await self.find("Flag")]

    async def staff(self, practitioner: str | None = None, scope: str = "user/*.cruds") -> httpx.AsyncClient:
        """An app that the doctor, or another practitioner, signed in to."""
        who = practitioner or self.doctor
        await with_account(self.facade.ports, NewAccount(who, "practitioner", PASSWORD, practitioner_id=who))
        return await self.facade.client(scope, username=who)

    async def person(self, patient: str | None = None) -> httpx.AsyncClient:
        """An app of the patient, or of another one."""
        return await self.facade.client("patient/*.cruds", patient=patient or self.patient)

    async def act(
        self, client: httpx.AsyncClient, alert: dict[str, Any], action: str, version: str | None = None, **body: str
    ) -> httpx.Response:
        """With the version that was looked at, or another one."""
        headers = {"If-Match": f'W/"{version or alert["version"]}"'}
        return await client.post(f"/api/v1/alerts/{alert['id']}/{action}", headers=headers, json=body)


async def admitted(facade: Facade) -> Ward:
    """A new patient and a new doctor, on a facade that knows which guards there are, as one that serves does."""
    await compare(facade.ports)
    mark = uuid.uuid4().hex[:12]
    patient, doctor = f"patient-{mark}", f"doctor-{mark}"
    ward = Ward(facade, patient, doctor, await facade.client())
    await ward.put({"resourceType": "Practitioner", "id": doctor})
    care = [{"reference": f"Practitioner/{doctor}"}]
    await ward.put({"resourceType": "Patient", "id": patient, "generalPractitioner": care})
    return ward


def bundle(kind: str, *entries: tuple[str, str, dict[str, Any]]) -> dict[str, Any]:
    rows = [{"request": {"method": method, "url": url}, "resource": body} for method, url, body in entries]
    return {"resourceType": "Bundle", "type": kind, "entry": rows}


def as_ndjson(*resources: dict[str, Any]) -> str:
    return "\n".join(json.dumps(resource) for resource in resources)
