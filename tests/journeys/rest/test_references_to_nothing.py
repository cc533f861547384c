"""Where no store minds where references lead, one to nothing is found by what it says, on both stores alike.

https://hl7.org/fhir/R4/references.html#lifecycle: references may be broken.
"""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.facade import Facade

pytestmark = pytest.mark.asyncio(loop_scope="module")

SETTINGS = {"referential_integrity_on_write": False, "referential_integrity_on_delete": False}


@pytest.fixture(scope="module")
def hapi_url(unchecked_hapi_url: str) -> str:
    return unchecked_hapi_url


async def put(client: httpx.AsyncClient, kind: str, id_: str, **elements: Any) -> None:
    answer = await client.put(f"/fhir/{kind}/{id_}", json={"resourceType": kind, "id": id_} | elements)
    assert answer.status_code in (200, 201), answer.text


async def reading(client: httpx.AsyncClient, mark: str, label: str, **elements: Any) -> None:
    marked = {"status": "final", "code": {"text": "x"}, "identifier": [{"system": "urn:case", "value": mark}]}
    await put(client, "Observation", f"{mark}-{label}", **marked, **elements)


async def about(client: httpx.AsyncClient, mark: str, label: str, patient: str) -> None:
    await reading(client, mark, label, subject={"reference": f"Patient/{mark}-{patient}"})


async def found(client: httpx.AsyncClient, mark: str, asked: str, kind: str = "Observation") -> list[str]:
    """The labels of what a search within the case finds, in its order."""
    own = f"identifier=urn:case|{mark}&" if kind == "Observation" else ""
    answer = await client.get(f"/fhir/{kind}?{own}{asked}")
    assert answer.status_code == 200, answer.text
    return [entry["resource"]["id"].removeprefix(f"{mark}-") for entry in answer.json().get("entry", [])]


@pytest.mark.parametrize(
    ("asked", "those"),
    [
        pytest.param("subject=Patient/{0}-other", [], id="another nothing"),
        pytest.param("subject=Patient/{0}-no", ["o"], id="type and id"),
        pytest.param("subject={0}-no", ["o"], id="an id alone"),
        pytest.param("subject:Patient={0}-no", ["o"], id="the type as modifier"),
        pytest.param("subject:Group={0}-no", [], id="another type"),
        pytest.param("patient={0}-no", ["o"], id="a parameter of one type"),
        pytest.param("subject=http://127.0.0.1:8000/fhir/Patient/{0}-no", ["o"], id="the whole address"),
        pytest.param("subject=Patient/{0}-no,Patient/{0}-there", ["o", "t"], id="or one that is there"),
        pytest.param("subject=Patient/{0}-no,http://elsewhere.example/Patient/1", ["o", "e"], id="or one elsewhere"),
        pytest.param("subject:missing=true", ["n"], id="missing"),
        pytest.param("subject:missing=false", ["e", "o", "t"], id="present"),
        pytest.param("subject.active=true", ["t"], id="what its target says"),
        pytest.param("subject=Patient/{0}-no&_include=Observation:subject", ["o"], id="nothing is included"),
        pytest.param("_filter=subject eq Patient/{0}-no", ["o"], id="a filter"),
        pytest.param("_sort=subject,_id", ["t", "e", "n", "o"], id="the order of targets has none of it"),
        pytest.param("_sort=-subject,_id", ["t", "e", "n", "o"], id="nor backwards"),
    ],
)
async def test_a_reference_to_nothing_is_found_by_what_it_says(
    client: httpx.AsyncClient, mark: str, asked: str, those: list[str]
) -> None:
    await put(client, "Patient", f"{mark}-there", active=True)
    await about(client, mark, "o", "no")
    await about(client, mark, "t", "there")
    await reading(client, mark, "n")
    await reading(client, mark, "e", subject={"reference": "http://elsewhere.example/Patient/1"})

    seen = await found(client, mark, asked.format(mark))

    assert (seen if "_sort" in asked else sorted(seen)) == (those if "_sort" in asked else sorted(those))


async def test_one_that_was_written_again_is_found_by_what_it_says_now(client: httpx.AsyncClient, mark: str) -> None:
    await about(client, mark, "o", "first")
    await about(client, mark, "o", "second")
    await reading(client, mark, "o", subject={"reference": f"Patient/{mark}-second"}, note=[{"text": "y"}])

    assert await found(client, mark, f"subject=Patient/{mark}-first") == []
    assert await found(client, mark, f"subject=Patient/{mark}-second") == ["o"]


async def test_several_references_to_nothing_are_found_by_each(client: httpx.AsyncClient, mark: str) -> None:
    members = [{"reference": f"Observation/{mark}-{label}"} for label in ("a", "b")]
    await reading(client, mark, "o", hasMember=members, performer=[{"reference": f"Practitioner/{mark}-p"}])

    for asked in (f"has-member={mark}-a", f"has-member=Observation/{mark}-b", f"performer=Practitioner/{mark}-p"):
        assert await found(client, mark, asked) == ["o"]


async def test_its_target_is_followed_as_soon_as_it_is_there(client: httpx.AsyncClient, mark: str) -> None:
    await about(client, mark, "o", "late")
    await put(client, "Patient", f"{mark}-late", active=True)

    included = await found(client, mark, "_include=Observation:subject")
    whose = await found(client, mark, f"_id={mark}-late&_has:Observation:subject:status=final", "Patient")
    beside = await found(client, mark, f"_id={mark}-late&_revinclude=Observation:subject", "Patient")

    assert await found(client, mark, f"subject=Patient/{mark}-late") == ["o"]
    assert await found(client, mark, "subject:Patient.active=true") == ["o"]
    assert (included, whose, beside) == (["o", "late"], ["late"], ["late", "o"])


async def test_a_transaction_may_refer_to_what_it_creates_and_to_nothing(client: httpx.AsyncClient, mark: str) -> None:
    await about(client, mark, "before", "both")
    given = {"status": "final", "code": {"text": "x"}, "identifier": [{"system": "urn:case", "value": mark}]}
    resources = [
        {"resourceType": "Observation", "id": f"{mark}-{label}", "subject": {"reference": f"Patient/{mark}-{who}"}}
        | given
        for label, who in (("o", "both"), ("n", "no"))
    ] + [{"resourceType": "Patient", "id": f"{mark}-both", "active": True}]
    entries = [
        {"resource": own, "request": {"method": "PUT", "url": f"{own['resourceType']}/{own['id']}"}}
        for own in resources
    ]

    answer = await client.post("/fhir", json={"resourceType": "Bundle", "type": "transaction", "entry": entries})

    assert answer.status_code == 200
    assert sorted(await found(client, mark, f"subject=Patient/{mark}-both")) == ["before", "o"]
    assert sorted(await found(client, mark, "subject:Patient.active=true")) == ["before", "o"]
    assert await found(client, mark, f"subject=Patient/{mark}-no") == ["n"]


async def test_a_target_that_was_deleted_is_still_what_its_references_say(client: httpx.AsyncClient, mark: str) -> None:
    for label in ("gone", "there"):
        await put(client, "Patient", f"{mark}-{label}", active=True)
    for label, patient in (("a", "gone"), ("b", "gone"), ("c", "there")):
        await about(client, mark, label, patient)
    removed = await client.delete(f"/fhir/Patient/{mark}-gone")
    await about(client, mark, "d", "gone")
    asked = f"subject=Patient/{mark}-gone"

    assert removed.status_code == 200
    assert sorted(await found(client, mark, asked)) == ["a", "b", "d"]
    assert await found(client, mark, "subject:missing=true") == []
    assert await found(client, mark, "subject:Patient.active=true") == ["c"]
    assert sorted(await found(client, mark, f"{asked}&_include=Observation:subject")) == ["a", "b", "d"]
    assert await found(client, mark, "_sort=subject,_id") == ["c", "a", "b", "d"]

    await put(client, "Patient", f"{mark}-gone", active=True)

    assert sorted(await found(client, mark, "subject:Patient.active=true")) == ["a", "b", "c", "d"]
    assert sorted(await found(client, mark, f"{asked}&_include=Observation:subject")) == ["a", "b", "d", "gone"]


async def test_whose_record_it_would_be_finds_it_in_the_record(
    facade: Facade, client: httpx.AsyncClient, mark: str
) -> None:
    """A compartment is what refers to its patient, who may come later."""
    await about(client, mark, "o", "late")
    early = await client.get(f"/fhir/Patient/{mark}-late/Observation")
    await put(client, "Patient", f"{mark}-late")
    await put(client, "Patient", f"{mark}-other")
    async with await facade.client("patient/*.rs", patient=f"{mark}-late") as own:
        seen = await found(own, mark, "")
    async with await facade.client("patient/*.rs", patient=f"{mark}-other") as other:
        unseen = await found(other, mark, "")
    late = await client.get(f"/fhir/Patient/{mark}-late/Observation")

    assert [entry["resource"]["id"] for entry in early.json().get("entry", [])] == [f"{mark}-o"]
    assert [entry["resource"]["id"] for entry in late.json().get("entry", [])] == [f"{mark}-o"]
    assert (seen, unseen) == (["o"], [])
