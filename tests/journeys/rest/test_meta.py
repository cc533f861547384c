"""Tags, labels and profiles through the facade, on each store: kept as they were sent, or refused before anything is."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

pytestmark = pytest.mark.asyncio(loop_scope="module")

LONG = "x" * 201
"""More than HAPI alone has room for."""
TOO_LONG = "x" * 769


def patient(mark: str, tags: list[dict[str, Any]], **elements: Any) -> dict[str, Any]:
    return {"resourceType": "Patient", "id": mark, "meta": {"tag": tags}, **elements}


async def tags_of(client: httpx.AsyncClient, path: str) -> list[dict[str, Any]]:
    """In the order of their codes."""
    answer = await client.get(path)
    assert answer.status_code == 200, answer.text
    return sorted(answer.json()["meta"].get("tag", []), key=lambda tag: str(tag["code"]))


def refused_as_too_long(answer: httpx.Response, place: str) -> None:
    assert answer.status_code == 422, answer.text
    (issue,) = answer.json()["issue"]
    assert (issue["code"], issue["expression"]) == ("too-long", [place])


async def test_a_tag_that_no_index_has_room_for_is_refused(client: httpx.AsyncClient, mark: str) -> None:
    tags = [{"system": "urn:t", "code": mark}, {"system": "urn:t", "code": TOO_LONG}]

    answer = await client.put(f"/fhir/Patient/{mark}", json=patient(mark, tags))

    refused_as_too_long(answer, "Patient.meta.tag[1].code")
    assert (await client.get(f"/fhir/Patient/{mark}")).status_code == 404


async def test_a_tag_that_is_added_is_refused_as_well(client: httpx.AsyncClient, mark: str) -> None:
    own = [{"system": "urn:t", "code": mark}]
    await client.put(f"/fhir/Patient/{mark}", json=patient(mark, own))
    meta = {"tag": [{"system": "urn:t", "code": TOO_LONG}]}
    asked = {"resourceType": "Parameters", "parameter": [{"name": "meta", "valueMeta": meta}]}

    answer = await client.post(f"/fhir/Patient/{mark}/$meta-add", json=asked)

    assert answer.status_code == 422, answer.text
    assert await tags_of(client, f"/fhir/Patient/{mark}") == own


async def test_a_refused_transaction_leaves_nothing_of_its_tags(client: httpx.AsyncClient, mark: str) -> None:
    """Neither in the records nor in what a store remembers: the next writer of the same tag keeps it."""
    tags = [{"system": "urn:t", "code": mark, "display": LONG}, {"system": "urn:t", "code": f"{mark}-b"}]
    observation = {"resourceType": "Observation", "status": "final", "code": {"text": "x"}}
    dangling = observation | {"subject": {"reference": f"Patient/{mark}-nobody"}}
    entries = [
        {"resource": patient(mark, tags), "request": {"method": "PUT", "url": f"Patient/{mark}"}},
        {"resource": dangling, "request": {"method": "POST", "url": "Observation"}},
    ]

    refused = await client.post("/fhir", json={"resourceType": "Bundle", "type": "transaction", "entry": entries})
    written = await client.put(f"/fhir/Patient/{mark}-other", json=patient(f"{mark}-other", tags))

    assert (refused.status_code, written.status_code) == (400, 201)
    assert (await client.get(f"/fhir/Patient/{mark}")).status_code == 404
    assert await tags_of(client, f"/fhir/Patient/{mark}-other") == tags


async def test_racing_transactions_lose_none_of_their_tags(client: httpx.AsyncClient, mark: str) -> None:
    """All bring the same new tag with a long display, and each one of its own."""
    shared = {"system": "urn:t", "code": mark, "display": LONG}
    sent = {
        f"{mark}-{n}": [shared, {"system": "urn:t", "code": f"{mark}-{n}", "display": LONG + str(n)}] for n in range(6)
    }
    bundles = [
        {
            "resourceType": "Bundle",
            "type": "transaction",
            "entry": [{"resource": patient(name, tags), "request": {"method": "PUT", "url": f"Patient/{name}"}}],
        }
        for name, tags in sent.items()
    ]

    answers = await asyncio.gather(*(client.post("/fhir", json=bundle) for bundle in bundles))

    assert [answer.status_code for answer in answers] == [200] * len(sent)
    for name, tags in sent.items():
        assert await tags_of(client, f"/fhir/Patient/{name}") == tags


async def test_what_was_tagged_can_be_changed(client: httpx.AsyncClient, mark: str) -> None:
    tags = [{"system": "urn:t", "code": mark, "display": LONG}]
    await client.put(f"/fhir/Patient/{mark}", json=patient(mark, tags))

    answer = await client.put(f"/fhir/Patient/{mark}", json=patient(mark, tags, gender="other"))

    assert answer.status_code == 200, answer.text
    assert await tags_of(client, f"/fhir/Patient/{mark}/_history/2") == tags
