"""`:below` and `:above` of references: a ward with its rooms and beds, a hospital with its departments.

https://hl7.org/fhir/R4/search.html#recursive
"""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.facade import Facade

pytestmark = pytest.mark.asyncio(loop_scope="module")

PLACES = {"house": None, "ward": "house", "room": "ward", "bed": "room", "garden": None}


async def put(client: httpx.AsyncClient, kind: str, id: str, **elements: Any) -> None:
    answer = await client.put(f"/fhir/{kind}/{id}", json={"resourceType": kind, "id": id, **elements})
    assert answer.status_code == 201, answer.text


def reference(kind: str, mark: str, label: str) -> dict[str, str]:
    return {"reference": f"{kind}/{mark}-{label}"}


async def house(client: httpx.AsyncClient, mark: str) -> None:
    """Places within each other; in each an encounter of its own, of Anna in the garden, else of Bert."""
    identifier = [{"system": "urn:test", "value": mark}]
    for label, whole in PLACES.items():
        part = {} if whole is None else {"partOf": reference("Location", mark, whole)}
        await put(client, "Location", f"{mark}-{label}", identifier=identifier, **part)
    for person in ("anna", "bert"):
        await put(client, "Patient", f"{mark}-{person}")
    before: dict[str, Any] = {}
    for label in PLACES:
        person = "anna" if label == "garden" else "bert"
        await put(
            client,
            "Encounter",
            f"{mark}-in-{label}",
            status="finished",
            identifier=identifier,
            subject=reference("Patient", mark, person),
            location=[{"location": reference("Location", mark, label)}],
            **{"class": {"code": "AMB"}},
            **before,
        )
        before = {"partOf": reference("Encounter", mark, f"in-{label}")}


async def found(client: httpx.AsyncClient, mark: str, asked: str) -> list[str]:
    type_name, _, rest = asked.format(mark).partition("?")
    answer = await client.get(f"/fhir/{type_name}?identifier=urn:test|{mark}&_sort=_id&{rest}")
    assert answer.status_code == 200, answer.text
    return [entry["resource"]["id"].removeprefix(f"{mark}-") for entry in answer.json().get("entry", [])]


async def test_a_place_stands_for_its_parts_or_for_what_it_is_a_part_of(client: httpx.AsyncClient, mark: str) -> None:
    await house(client, mark)

    for asked, expected in (
        ("Encounter?location:below={0}-ward", ["in-bed", "in-room", "in-ward"]),
        ("Encounter?location:below=Location/{0}-room,Location/{0}-garden", ["in-bed", "in-garden", "in-room"]),
        ("Encounter?location:above={0}-room", ["in-house", "in-room", "in-ward"]),
        ("Encounter?location:above={0}-garden", ["in-garden"]),
        ("Encounter?location:below={0}-nowhere", []),
        ("Location?partof:below={0}-house", ["bed", "room", "ward"]),
        ("Location?partof:above={0}-ward", ["room", "ward"]),
        ("Location?_has:Encounter:location:location:below={0}-room", ["bed", "room"]),
        ("Encounter?part-of.location:above={0}-ward", ["in-room", "in-ward"]),
        ("Encounter?part-of:below={0}-in-room", ["in-bed", "in-garden"]),
    ):
        assert await found(client, mark, asked) == expected, asked


async def test_an_empty_alternative_hides_no_place(client: httpx.AsyncClient, mark: str) -> None:
    await house(client, mark)

    encounters = await found(client, mark, "Encounter?location:below=,Location/{0}-room,,Location/{0}-garden")

    assert encounters == ["in-bed", "in-garden", "in-room"]


async def test_places_that_are_parts_of_each_other_are_an_end(client: httpx.AsyncClient, mark: str) -> None:
    await house(client, mark)
    identifier = [{"system": "urn:test", "value": mark}]
    body = {"resourceType": "Location", "id": f"{mark}-house", "identifier": identifier}
    answer = await client.put(
        f"/fhir/Location/{mark}-house", json={**body, "partOf": reference("Location", mark, "bed")}
    )
    assert answer.status_code == 200, answer.text

    assert await found(client, mark, "Location?partof:below={0}-ward") == ["bed", "house", "room", "ward"]
    assert await found(client, mark, "Location?partof:above={0}-ward") == ["bed", "house", "room", "ward"]


async def test_a_condition_takes_a_place_too(client: httpx.AsyncClient, mark: str) -> None:
    await house(client, mark)

    answer = await client.delete(f"/fhir/Encounter?identifier=urn:test|{mark}&location:below={mark}-garden")

    assert answer.status_code in (200, 204), answer.text
    assert await found(client, mark, "Encounter?location:below={0}-garden") == []


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ("Encounter?subject:below=Patient/x", "here nothing that it points to"),
        ("QuestionnaireResponse?questionnaire:below=http://example.org/q|1", "asked for one by one"),
        ("Procedure?part-of:below=Observation/x", "here Procedure"),
        ("Encounter?location:below=http://elsewhere.example/Location/x", "here Location"),
    ],
    ids=["no hierarchy", "versions of a canonical", "another target", "another server"],
)
async def test_what_stands_in_no_hierarchy_is_refused(client: httpx.AsyncClient, asked: str, told: str) -> None:
    answer = await client.get(f"/fhir/{asked}")

    (issue,) = answer.json()["issue"]
    assert (answer.status_code, issue["code"]) == (400, "not-supported"), answer.text
    assert told in issue["diagnostics"]


async def test_a_hierarchy_leads_through_what_the_caller_may_see_alone(
    facade: Facade, client: httpx.AsyncClient, mark: str
) -> None:
    await house(client, mark)  # Anna's encounter is a part of those of Bert

    async with await facade.client("patient/Encounter.rs", patient=f"{mark}-anna") as anna:
        foreign = await found(anna, mark, "Encounter?part-of:below={0}-in-ward")
        absent = await found(anna, mark, "Encounter?part-of:below={0}-nowhere")
        upwards = await found(anna, mark, "Encounter?part-of:above={0}-in-garden")
        places = [await anna.get(f"/fhir/Encounter?location:below={mark}-{label}") for label in ("house", "nowhere")]

    assert (foreign, absent, upwards) == ([], [], ["in-garden"])
    assert [answer.status_code for answer in places] == [403, 403]
    assert places[0].json()["issue"] == places[1].json()["issue"]
