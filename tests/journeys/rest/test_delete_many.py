"""A conditional delete of everything that matches, and broken references, where the deployment allows them."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.facade import Facade

pytestmark = pytest.mark.asyncio(loop_scope="module")

SETTINGS = {"conditional_delete_many": True, "max_transaction_entries": 3}


def patient(mark: str) -> dict[str, Any]:
    return {"resourceType": "Patient", "identifier": [{"system": "urn:test", "value": mark}]}


async def test_everything_that_matches_goes_or_nothing(client: httpx.AsyncClient, mark: str) -> None:
    path = f"/fhir/Patient?identifier=urn:test|{mark}"
    own = [(await client.post("/fhir/Patient", json=patient(mark))).json()["id"] for _ in range(4)]
    referring = {"resourceType": "Basic", "code": {"text": "x"}, "subject": {"reference": f"Patient/{own[1]}"}}

    many = await client.delete(path)
    await client.delete(f"/fhir/Patient/{own[0]}")
    basic = (await client.post("/fhir/Basic", json=referring)).json()["id"]
    versioned = await client.delete(path, headers={"If-Match": 'W/"1"'})
    referred = await client.delete(path)
    left = (await client.get(path)).json()["total"]
    await client.delete(f"/fhir/Basic/{basic}")
    removed = await client.delete(path)

    assert [each.status_code for each in (many, versioned, referred, removed)] == [413, 412, 409, 200]
    assert left == 3
    assert "3 resources were deleted" in removed.text
    assert (await client.get(path)).json()["total"] == 0


async def test_a_person_deletes_by_a_condition_only_what_is_theirs(
    facade: Facade, client: httpx.AsyncClient, mark: str
) -> None:
    own, other = [(await client.post("/fhir/Patient", json=patient(mark))).json()["id"] for _ in range(2)]

    def observation(subject: str) -> dict[str, Any]:
        about = {"code": {"text": mark}, "subject": {"reference": f"Patient/{subject}"}}
        return {"resourceType": "Observation", "status": "final", **about}

    for subject in (own, own, other):
        assert (await client.post("/fhir/Observation", json=observation(subject))).status_code == 201
    async with await facade.client("patient/*.cruds", patient=own) as person:
        removed = await person.delete("/fhir/Observation?status=final")

    assert "2 resources were deleted" in removed.text
    assert (await client.get(f"/fhir/Observation?subject=Patient/{other}")).json()["total"] == 1


async def test_metadata_says_that_many_may_go(client: httpx.AsyncClient) -> None:
    types = (await client.get("/fhir/metadata")).json()["rest"][0]["resource"]

    assert {each["conditionalDelete"] for each in types if each["type"] != "AuditEvent"} == {"multiple"}
