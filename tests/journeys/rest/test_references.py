"""Where a deployment does not mind broken references. Over HAPI its own setting decides: docs/run-on-hapi.md."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from tests.facade import embedded_facade

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(
    scope="module",
    loop_scope="module",
    params=[
        pytest.param((True, True), id="neither"),
        pytest.param((False, True), id="on write"),
        pytest.param((True, False), id="on delete"),
        pytest.param((False, False), id="both"),
    ],
)
async def allowed(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[tuple[httpx.AsyncClient, bool, bool]]:
    """A client of a deployment, and whether it checks references on write and on delete."""
    on_write, on_delete = request.param
    settings = {"referential_integrity_on_write": on_write, "referential_integrity_on_delete": on_delete}
    folder = tmp_path_factory.mktemp("facade")
    async with embedded_facade(folder, **settings) as facade, await facade.client() as client:
        yield client, on_write, on_delete


async def test_references_are_checked_as_the_settings_say(allowed: tuple[httpx.AsyncClient, bool, bool]) -> None:
    client, on_write, on_delete = allowed
    await client.put("/fhir/Patient/p", json={"resourceType": "Patient", "id": "p"})
    about = {"resourceType": "Observation", "status": "final", "code": {"text": "x"}}

    dangling = await client.post("/fhir/Observation", json=about | {"subject": {"reference": "Patient/none"}})
    sound = await client.post("/fhir/Observation", json=about | {"subject": {"reference": "Patient/p"}})
    told = (await client.get("/fhir/Patient/p/$validate?mode=delete")).json()["issue"][0]["code"]
    removed = await client.delete("/fhir/Patient/p")
    patient = (await client.get("/fhir/metadata")).json()["rest"][0]["resource"][100]

    assert dangling.status_code == (400 if on_write else 201)
    assert sound.status_code == 201
    assert told == ("conflict" if on_delete else "informational")
    assert removed.status_code == (409 if on_delete else 200)
    assert ("enforced" in patient["referencePolicy"]) is on_write


@pytest.mark.hapi
@pytest.mark.postgres
async def test_over_hapi_its_own_settings_decide(
    tmp_path: Path, hapi_url: str, module_database_url: str, mark: str
) -> None:
    """This HAPI checks references, whatever the facade was told."""
    settings = {"referential_integrity_on_write": False, "referential_integrity_on_delete": False}
    stores = {"store": "hapi", "hapi_url": hapi_url, "database_url": module_database_url}
    about = {"resourceType": "Observation", "status": "final", "code": {"text": "x"}}
    async with embedded_facade(tmp_path, **settings, **stores) as facade, await facade.client() as client:
        await client.put(f"/fhir/Patient/{mark}", json={"resourceType": "Patient", "id": mark})

        dangling = await client.post("/fhir/Observation", json=about | {"subject": {"reference": f"Patient/{mark}-no"}})
        sound = await client.post("/fhir/Observation", json=about | {"subject": {"reference": f"Patient/{mark}"}})
        removed = await client.delete(f"/fhir/Patient/{mark}")

    assert [answer.status_code for answer in (dangling, sound, removed)] == [400, 201, 409]
