"""`_contained` over HTTP: https://hl7.org/fhir/R4/search.html#contained. Over HAPI, which has no index for it, each
record that may contain one is looked into."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.facade import Facade

DRUG = {"resourceType": "Medication", "id": "m", "code": {"coding": [{"system": "urn:drug", "code": "aspirin"}]}}
OTHER = {"resourceType": "Medication", "id": "n", "code": {"coding": [{"system": "urn:drug", "code": "other"}]}}


@pytest.fixture
async def drugs(facade: Facade, client: httpx.AsyncClient) -> httpx.AsyncClient:
    """A Medication `own`, and those contained in the statements `a` and `b` of the patients `p` and `q`."""
    await put(client, {"resourceType": "Patient", "id": "p"})
    await put(client, {"resourceType": "Patient", "id": "q"})
    await put(client, DRUG | {"id": "own"})
    for label, patient, contained in (("a", "p", [DRUG, OTHER]), ("b", "q", [DRUG])):
        await put(
            client,
            {
                "resourceType": "MedicationStatement",
                "id": label,
                "status": "active",
                "subject": {"reference": f"Patient/{patient}"},
                "medicationReference": {"reference": "#m"},
                "partOf": [],
                "contained": contained,
                "derivedFrom": [{"reference": f"#{one['id']}"} for one in contained],
            },
        )
    return client


async def put(client: httpx.AsyncClient, body: dict[str, Any]) -> None:
    sent = {name: value for name, value in body.items() if value != []}
    answer = await client.put(f"/fhir/{sent['resourceType']}/{sent['id']}", json=sent)
    assert answer.status_code == 201, answer.text


async def found(client: httpx.AsyncClient, url: str) -> list[str]:
    """What follows `/fhir/` in the address of each match, over all pages."""
    seen = []
    following: str | None = url
    while following:
        answer = await client.get(following)
        assert answer.status_code == 200, answer.text
        bundle = answer.json()
        seen += [one["fullUrl"].partition("/fhir/")[2] for one in bundle.get("entry", [])]
        following = next((link["url"] for link in bundle["link"] if link["relation"] == "next"), None)
    return seen


A, B = "MedicationStatement/a", "MedicationStatement/b"


async def test_what_is_contained_is_found_with_its_container_or_alone(drugs: httpx.AsyncClient) -> None:
    asked = {
        "code=aspirin": ["Medication/own"],
        "code=aspirin&_contained=false": ["Medication/own"],
        "code=aspirin&_contained=true": [A, B],
        "code=aspirin&_contained=true&_count=1": [A, B],
        "code=aspirin&_contained=both": ["Medication/own", A, B],
        "code=aspirin&_contained=both&_count=1": ["Medication/own", A, B],
        "code=other&_contained=both": [A],
        "code=nothing&_contained=both": [],
        "_contained=true&_containedType=contained": [f"{A}#m", f"{A}#n", f"{B}#m"],
        "_contained=true&_containedType=contained&_count=1": [f"{A}#m", f"{A}#n", f"{B}#m"],
        "_id=n&_contained=true&_containedType=contained": [f"{A}#n"],
        "_filter=code eq other or _id eq m&_contained=true&_containedType=contained": [f"{A}#m", f"{A}#n", f"{B}#m"],
    }
    answers = {text: await found(drugs, f"/fhir/Medication?{text}") for text in asked}

    assert answers == asked


async def test_a_page_is_filled_with_what_is_contained_when_there_is_nothing_else(drugs: httpx.AsyncClient) -> None:
    async def pages(asked: str) -> list[int]:
        sizes, following = [], f"/fhir/Medication?{asked}"
        while following:
            bundle = (await drugs.get(following)).json()
            sizes.append(len(bundle.get("entry", [])))
            following = next((link["url"] for link in bundle["link"] if link["relation"] == "next"), "")
        return sizes

    assert await pages("code=other&_contained=both&_containedType=contained") == [1]
    assert await pages("_contained=both&_containedType=contained&_count=3") == [3, 1]
    assert await pages("_contained=both&_containedType=contained&_count=1") == [1, 1, 1, 1]
    assert await pages("code=nothing&_contained=both") == [0]


async def test_the_total_counts_what_is_contained(drugs: httpx.AsyncClient) -> None:
    totals = [
        (await drugs.get(f"/fhir/Medication?code=aspirin&_contained={which}&_summary=count")).json()["total"]
        for which in ("true", "both", "false")
    ]

    assert totals == [2, 3, 1]


@pytest.mark.both_stores
async def test_only_what_is_in_a_visible_container_is_found(facade: Facade, drugs: httpx.AsyncClient) -> None:
    async with await facade.client("patient/*.rs", patient="p") as own:
        assert await found(own, "/fhir/Medication?code=aspirin&_contained=both") == ["Medication/own", A]
        alone = await found(own, "/fhir/Medication?_contained=true&_containedType=contained")
        assert alone == [f"{A}#m", f"{A}#n"]
        counted = await own.get("/fhir/Medication?code=aspirin&_contained=true&_summary=count")
        assert counted.json()["total"] == 1


REFUSED = [
    "Medication?_contained=maybe",
    "Medication?_contained=true&_containedType=both",
    "Medication?_contained=true&_sort=code",
    "Medication?_contained=true&_include=Medication:manufacturer",
    "Medication?_contained=true&manufacturer.name=x",
    "Medication?_contained=true&_filter=code eq x or manufacturer.name eq x",
    "Patient/p/MedicationStatement?_contained=true",
    "?_type=Medication&_contained=true",
]


async def test_what_has_no_meaning_for_contained_resources_is_refused(client: httpx.AsyncClient) -> None:
    answers = {asked: (await client.get(f"/fhir/{asked}")).status_code for asked in REFUSED}

    assert answers == dict.fromkeys(REFUSED, 400)


async def test_the_link_of_another_search_is_gone(drugs: httpx.AsyncClient) -> None:
    assert (await drugs.get("/fhir/Medication?_page=x")).status_code == 410
