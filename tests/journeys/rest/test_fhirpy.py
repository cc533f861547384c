"""fhirpy as its readme uses it, unchanged, against the served facade. https://github.com/beda-software/fhir-py"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fhirpy import AsyncFHIRClient, SyncFHIRClient
from fhirpy.base.exceptions import MultipleResourcesFound, OperationOutcome, ResourceNotFound

from fhir_facade.flows.launch.tokens import mint_token
from fhir_facade.opening import open_ports
from fhir_facade.settings import Settings
from tests.facade import Served, facade_env, served


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("served")


@pytest.fixture(scope="module")
def server(chosen: dict[str, Any], folder: Path) -> Iterator[Served]:
    settings = {name.upper(): str(value) for name, value in chosen.items()}
    with served(facade_env(folder, WORKERS="1", **settings), folder / "log") as running:
        yield running


@pytest.fixture(scope="module")
def bearer(server: Served, chosen: dict[str, Any], folder: Path) -> str:
    """A token that may do everything, made beside the server."""

    async def token() -> str:
        settings = Settings(data_dir=folder, public_url=server.url, **chosen)
        async with open_ports(settings, guest=True) as ports:
            return await mint_token(ports, scope="system/*.cruds")

    return f"Bearer {asyncio.run(token())}"


@pytest.fixture
def client(server: Served, bearer: str) -> SyncFHIRClient:
    return SyncFHIRClient(f"{server.url}/fhir", authorization=bearer)


def patient(client: SyncFHIRClient, mark: str, **elements: Any) -> Any:
    return client.resource("Patient", identifier=[{"system": "urn:test", "value": mark}], **elements)


def test_errors_are_those_that_fhirpy_knows(client: SyncFHIRClient, mark: str) -> None:
    for _ in range(2):
        patient(client, mark).save()

    with pytest.raises(ResourceNotFound):
        client.reference("Patient", f"{mark}-none").to_resource()
    with pytest.raises(MultipleResourcesFound):
        client.resources("Patient").search(identifier=f"urn:test|{mark}").update(patient(client, mark))
    with pytest.raises(OperationOutcome, match="nonsense"):
        client.resource("Patient", nonsense="x").save()


def test_a_resource_is_saved_changed_and_deleted(client: SyncFHIRClient, mark: str) -> None:
    own = patient(client, mark, gender="female")
    own.save()
    own["gender"] = "male"
    own["birthDate"] = "1980-02-03"
    own.save()
    own["active"] = True
    own.save(fields=["active"])
    own.patch(gender="other")
    read = client.reference("Patient", own.id).to_resource()
    own.refresh()

    assert (read["gender"], read["birthDate"], read["active"]) == ("other", "1980-02-03", True)
    assert own.serialize() == read.serialize()
    own.delete()
    assert client.resources("Patient").search(identifier=f"urn:test|{mark}").count() == 0


def test_conditional_writes(client: SyncFHIRClient, mark: str) -> None:
    found = client.resources("Patient").search(identifier=f"urn:test|{mark}")

    first, created = found.get_or_create(patient(client, mark))
    again, created_again = found.get_or_create(patient(client, mark))
    same = patient(client, mark).create(identifier=f"urn:test|{mark}")
    updated, created_by_update = found.update(patient(client, mark, gender="male"))
    patched = found.patch(birthDate="1980-02-03")
    found.delete()

    assert (created, created_again, created_by_update) == (True, False, False)
    assert {first.id, again.id, same.id, updated.id, patched.id} == {first.id}
    assert (patched["gender"], patched["birthDate"]) == ("male", "1980-02-03")
    assert found.first() is None


def test_searches_count_pages_and_includes(client: SyncFHIRClient, mark: str) -> None:
    own = patient(client, mark)
    own.save()
    for day in range(1, 6):
        client.resource(
            "Observation",
            status="final",
            code={"coding": [{"system": "urn:test", "code": mark}]},
            subject=own.to_reference(),
            effectiveDateTime=f"2026-01-0{day}",
        ).save()
    search = client.resources("Observation").search(code=f"urn:test|{mark}")

    assert search.count() == 5
    assert [one["effectiveDateTime"] for one in search.sort("-date").limit(2).fetch_all()] == [
        f"2026-01-0{day}" for day in range(5, 0, -1)
    ]
    assert len(search.search(date__ge="2026-01-02", date__lt="2026-01-05").fetch()) == 3
    assert search.search(patient__Patient__identifier=f"urn:test|{mark}").count() == 5
    assert len(client.resources("Patient").has("Observation", "patient", code=f"urn:test|{mark}").fetch()) == 1
    bundle = search.limit(1).include("Observation", "subject").fetch_raw()
    assert {entry["resource"]["resourceType"] for entry in bundle["entry"]} == {"Observation", "Patient"}
    assert [set(one) - {"meta"} for one in search.elements("status").limit(1).fetch()] == [
        {"resourceType", "id", "status", "code"}
    ]
    last = client.resources("Observation").execute("$lastn", params={"patient": own.id, "code": f"urn:test|{mark}"})
    assert [entry["resource"]["effectiveDateTime"] for entry in last["entry"]] == ["2026-01-05"]


def test_a_transaction(client: SyncFHIRClient, mark: str) -> None:
    urn = "urn:uuid:61ebe359-bfdc-4613-8bf2-c5e300945f01"
    observation = {
        "resourceType": "Observation",
        "status": "final",
        "code": {"text": "x"},
        "subject": {"reference": urn},
    }
    entries = [
        {
            "fullUrl": urn,
            "resource": patient(client, mark).serialize(),
            "request": {"method": "POST", "url": "/Patient"},
        },
        {"resource": observation, "request": {"method": "POST", "url": "/Observation"}},
    ]

    answer = client.resource("Bundle", type="transaction", entry=entries)
    answer.save()

    assert client.resources("Observation").search(subject__identifier=f"urn:test|{mark}").count() == 1


def test_the_asynchronous_client_does_the_same(server: Served, bearer: str, mark: str) -> None:
    async def story() -> tuple[int, list[str]]:
        client = AsyncFHIRClient(f"{server.url}/fhir", authorization=bearer)
        people = [client.resource("Patient", name=[{"family": mark}], gender=one) for one in ("male", "female")]
        await asyncio.gather(*(person.save() for person in people))
        search = client.resources("Patient").search(family=mark)
        return await search.count(), sorted([person["gender"] async for person in search.limit(1)])

    assert asyncio.run(story()) == (2, ["female", "male"])
