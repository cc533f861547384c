"""Searches by value sets and code systems that somebody stored: whoever may find them may search with them."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.facade import Facade

pytestmark = pytest.mark.asyncio(loop_scope="module")

GENDER = "http://hl7.org/fhir/administrative-gender"


async def put(client: httpx.AsyncClient, kind: str, id: str, **elements: Any) -> None:
    answer = await client.put(f"/fhir/{kind}/{id}", json={"resourceType": kind, "id": id, **elements})
    assert answer.status_code == 201, answer.text


async def value_set(client: httpx.AsyncClient, mark: str, *include: Any, **elements: Any) -> str:
    """Its canonical URL."""
    url = f"urn:test:{mark}"
    compose = {"compose": {"include": include}} if include else {}
    await put(client, "ValueSet", f"{mark}vs", status="active", url=url, **compose, **elements)
    return url


async def people(client: httpx.AsyncClient, mark: str) -> None:
    for gender in ("male", "female", "other"):
        await put(
            client, "Patient", f"{mark}-{gender}", gender=gender, identifier=[{"system": "urn:test", "value": mark}]
        )


async def found(client: httpx.AsyncClient, mark: str, asked: str) -> list[str]:
    answer = await client.get(f"/fhir/Patient?identifier=urn:test|{mark}&_sort=_id&{asked}")
    assert answer.status_code == 200, answer.text
    return [entry["resource"]["gender"] for entry in answer.json().get("entry", [])]


async def test_a_value_set_that_cannot_be_used_is_told_apart(client: httpx.AsyncClient, mark: str) -> None:
    foreign = await value_set(client, mark, {"system": "http://snomed.info/sct"})
    empty = await value_set(client, f"{mark}e", expansion={"timestamp": "2026-01-01T00:00:00Z"})
    many = await value_set(
        client, f"{mark}m", {"system": "urn:x", "concept": [{"code": f"c{number}"} for number in range(2001)]}
    )

    for url, status, code, told in (
        (f"{foreign}none", 400, "not-found", "not known here"),
        (f"{foreign}|9", 400, "not-found", "not known here"),
        (foreign, 400, "not-supported", "http://snomed.info/sct"),
        (empty, 400, "invalid", "has no codes"),
        (many, 413, "too-long", "at most 2000"),
    ):
        answer = await client.get(f"/fhir/Patient?gender:in={url}")
        (issue,) = answer.json()["issue"]
        assert (answer.status_code, issue["code"]) == (status, code), answer.text
        assert told in issue["diagnostics"]


async def test_what_is_in_a_stored_value_set_is_found(client: httpx.AsyncClient, mark: str) -> None:
    await people(client, mark)
    rule = {"property": "code", "op": "regex", "value": "(fe)?male"}
    url = await value_set(client, mark, {"system": GENDER, "filter": [rule]}, version="2")

    assert await found(client, mark, f"gender:in={url}") == ["female", "male"]
    assert await found(client, mark, f"gender:in={url}|2") == ["female", "male"]
    assert await found(client, mark, f"gender:not-in={url}") == ["other"]
    assert await found(client, mark, f"_filter=not (gender in {url})") == ["other"]
    assert await found(client, mark, f"gender:in={url},http://hl7.org/fhir/ValueSet/administrative-gender") == [
        *("female", "male", "other")
    ]


async def test_a_condition_knows_the_stored_value_sets_too(client: httpx.AsyncClient, mark: str) -> None:
    await people(client, mark)
    url = await value_set(client, mark, {"system": GENDER, "concept": [{"code": "other"}]})

    answer = await client.delete(f"/fhir/Patient?identifier=urn:test|{mark}&gender:in={url}")

    assert answer.status_code in (200, 204), answer.text
    assert await found(client, mark, "") == ["female", "male"]


async def test_who_may_not_see_a_value_set_does_not_know_it(
    facade: Facade, client: httpx.AsyncClient, mark: str
) -> None:
    await people(client, mark)
    url = await value_set(client, mark, {"system": GENDER, "concept": [{"code": "male"}]})

    async with await facade.client("patient/Patient.rs", patient=f"{mark}-male") as person:
        stored, absent = [await person.get(f"/fhir/Patient?gender:in={named}") for named in (url, "urn:test:absent")]
    async with await facade.client("patient/Patient.rs patient/ValueSet.rs", patient=f"{mark}-male") as person:
        assert await found(person, mark, f"gender:in={url}") == ["male"]

    assert (stored.status_code, absent.status_code) == (400, 400)
    assert stored.text.replace(url, "x") == absent.text.replace("urn:test:absent", "x")


async def test_the_last_observations_of_a_value_set_are_found(client: httpx.AsyncClient, mark: str) -> None:
    await put(client, "Patient", mark)
    url = await value_set(client, mark, {"system": "http://loinc.org", "concept": [{"code": "718-7"}]})
    for code in ("718-7", "2160-0"):
        about = {"status": "final", "subject": {"reference": f"Patient/{mark}"}}
        coded = {"code": {"coding": [{"system": "http://loinc.org", "code": code}]}}
        await put(client, "Observation", f"{mark}-{code}", **about, **coded)

    answer = await client.get(f"/fhir/Observation/$lastn?patient=Patient/{mark}&code:in={url}")

    assert [entry["resource"]["id"] for entry in answer.json()["entry"]] == [f"{mark}-718-7"]


COLOURS = [
    {"code": "warm", "concept": [{"code": "red"}]},
    {"code": "bright", "property": [{"code": "child", "valueCode": "red"}]},
    {"code": "crimson", "property": [{"code": "parent", "valueCode": "red"}]},
    {"code": "blue"},
]


async def colours(client: httpx.AsyncClient, mark: str) -> str:
    """The URL of a code system in which red stands under two codes and above one; each code tags a Patient."""
    system = f"urn:test:{mark}:colours"
    await put(client, "CodeSystem", f"{mark}cs", status="active", content="complete", url=system, concept=COLOURS)
    for code in ("warm", "bright", "red", "crimson", "blue"):
        await put(
            client,
            "Patient",
            f"{mark}-{code}",
            gender="other",
            identifier=[{"system": "urn:test", "value": mark}],
            meta={"tag": [{"system": system, "code": code}]},
        )
    return system


async def tagged(client: httpx.AsyncClient, mark: str, asked: str) -> list[str]:
    answer = await client.get(f"/fhir/Patient?identifier=urn:test|{mark}&_sort=_id&{asked}")
    assert answer.status_code == 200, answer.text
    return [entry["resource"]["id"].partition("-")[2] for entry in answer.json().get("entry", [])]


async def test_codes_are_found_by_their_place_in_a_stored_code_system(client: httpx.AsyncClient, mark: str) -> None:
    system = await colours(client, mark)

    assert await tagged(client, mark, f"_tag:below={system}|warm") == ["crimson", "red", "warm"]
    assert await tagged(client, mark, f"_tag:below={system}|bright") == ["bright", "crimson", "red"]
    assert await tagged(client, mark, f"_tag:above={system}|crimson") == ["bright", "crimson", "red", "warm"]
    assert await tagged(client, mark, f"_tag:below={system}|blue,{system}|red") == ["blue", "crimson", "red"]
    assert await tagged(client, mark, f'_filter=_tag ss {system}|red or _tag sb "{system}|warm"') == [
        *("crimson", "red", "warm")
    ]


async def test_who_may_not_see_a_code_system_does_not_know_it(
    facade: Facade, client: httpx.AsyncClient, mark: str
) -> None:
    system = await colours(client, mark)

    async with await facade.client("patient/Patient.rs", patient=f"{mark}-red") as person:
        stored, absent = [await person.get(f"/fhir/Patient?_tag:below={one}|red") for one in (system, "urn:absent")]
    async with await facade.client("patient/Patient.rs patient/CodeSystem.rs", patient=f"{mark}-red") as person:
        assert await tagged(person, mark, f"_tag:below={system}|warm") == ["red"]

    assert (stored.status_code, absent.status_code) == (400, 400)
    assert stored.text.replace(system, "x") == absent.text.replace("urn:absent", "x")


async def test_a_value_set_follows_the_properties_of_its_code_system(client: httpx.AsyncClient, mark: str) -> None:
    system = await colours(client, mark)
    rule = {"property": "concept", "op": "is-a", "value": "bright"}
    url = await value_set(client, mark, {"system": system, "filter": [rule]})

    assert await tagged(client, mark, f"_tag:in={url}") == ["bright", "crimson", "red"]
