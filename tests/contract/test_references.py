"""What a reference may point to, and that it stays as it was written: https://hl7.org/fhir/R4/references.html."""

from __future__ import annotations

import json
from typing import Any

import pytest

from fhir_facade.errors import BadRequest, Conflict, Gone
from fhir_facade.values import Ref, Write
from tests.contract.case import Case


async def test_a_reference_to_what_was_deleted_is_a_reference_to_nothing(case: Case) -> None:
    patient = await case.put("Patient", "p")
    await case.delete(patient.ref)

    with pytest.raises(BadRequest, match=str(patient.ref)):
        await case.put("Observation", "o", subject={"reference": str(patient.ref)})


@pytest.mark.parametrize("label", ["new", "old"])
async def test_a_transaction_leaves_no_reference_to_what_it_deletes(case: Case, label: str) -> None:
    patient = await case.put("Patient", "p")
    await case.put("Observation", "old", subject={"reference": str(patient.ref)})
    kept = case.resource("Observation", label, status="amended", subject={"reference": str(patient.ref)})
    freed = case.resource("Observation", "old")

    with pytest.raises(BadRequest, match=str(patient.ref)):
        await case.store.write([Write("delete", patient.ref), case.put_of(kept)])
    assert await case.labels("Observation", "status=amended") == []
    await case.store.write([Write("delete", patient.ref), case.put_of(freed)])

    with pytest.raises(Gone):
        await case.store.read(patient.ref)


@pytest.mark.parametrize("others", [(), ("p", "q")], ids=["alone", "in a transaction"])
async def test_both_stores_say_the_same_of_a_reference_to_nothing(case: Case, others: tuple[str, ...]) -> None:
    itself, nobody = case.ref("Observation", "o"), case.ref("Patient", "nobody")
    reading = case.resource("Observation", "o", subject={"reference": str(nobody)})
    beside = [case.put_of(case.resource("Patient", label)) for label in others]

    with pytest.raises(BadRequest) as refused:
        await case.store.write([*beside, case.put_of(reading)])

    sentence = f"{itself} refers to {nobody}, which is not there: create it first or correct the reference"
    assert str(refused.value) == sentence


@pytest.mark.parametrize("others", [(), ("q",)], ids=["alone", "in a transaction"])
async def test_both_stores_say_the_same_of_a_delete_that_would_leave_one(case: Case, others: tuple[str, ...]) -> None:
    patient = await case.put("Patient", "p")
    reading = await case.put("Observation", "o", subject={"reference": str(patient.ref)})
    beside = [case.put_of(case.resource("Patient", label)) for label in others]

    with pytest.raises(Conflict) as refused:
        await case.store.write([*beside, Write("delete", patient.ref)])

    assert str(refused.value) == f"{patient.ref} cannot be deleted: {reading.ref} has a reference to this resource"


@pytest.mark.parametrize("others", [(), ("p",)], ids=["alone", "in a transaction"])
async def test_a_new_resource_may_refer_to_itself(case: Case, others: tuple[str, ...]) -> None:
    itself = case.ref("Observation", "o")
    writes = [case.put_of(case.resource("Patient", label)) for label in others]

    stored = await case.store.write(
        [*writes, case.put_of(case.resource("Observation", "o", hasMember=[{"reference": str(itself)}]))]
    )

    assert stored[-1].change == "created"
    assert await case.labels("Observation", f"has-member={itself}") == ["o"]


@pytest.mark.parametrize(
    "reference",
    [
        "http://elsewhere.example/fhir/Patient/{0}",
        "https://elsewhere.example/fhir/Patient/{0}/_history/7",
        "https://elsewhere.example/people/{0}",
        "ftp://elsewhere.example/Patient/{0}",
        "mailto:{0}@elsewhere.example",
        "tel:{0}",
        "cid:{0}@elsewhere.example",
        "did:example:{0}",
        "urn:oid:1.2.3.4",
        "urn:uuid:53fefa32-fcbb-4ff8-8a92-55ee120877b7",
    ],
)
async def test_a_reference_to_elsewhere_is_kept_and_found(case: Case, reference: str) -> None:
    text = reference.format(case.name)

    stored = await case.put("Observation", "o", subject={"reference": text})

    assert json.loads((await case.store.read(stored.ref)).body)["subject"] == {"reference": text}
    if "_history" not in text:
        assert await case.labels("Observation", f"subject={text}") == ["o"]


@pytest.mark.parametrize("version", ["x", "1.0", "01", "9223372036854775808"])
async def test_a_reference_to_a_version_that_no_store_gives_is_a_reference_to_nothing(case: Case, version: str) -> None:
    """HAPI breaks on it: who wrote it was told to try again later."""
    patient = await case.put("Patient", "p")

    with pytest.raises(BadRequest, match="which is not there"):
        await case.put("Observation", "o", subject={"reference": f"{patient.ref}/_history/{version}"})


async def test_a_reference_to_a_version_keeps_it(case: Case) -> None:
    patient = await case.put("Patient", "p")
    named = {"reference": f"{patient.ref}/_history/1"}
    remark = {"url": "http://example.org/e", "valueReference": named}

    stored = await case.put("Observation", "o", subject=named, extension=[remark])

    read = json.loads((await case.store.read(stored.ref)).body)
    assert (read["subject"], read["extension"][0]["valueReference"]) == (named, named)
    assert await case.labels("Observation", f"subject={patient.ref}") == ["o"]


@pytest.mark.parametrize(
    ("type", "elements"),
    [
        pytest.param(
            "Observation",
            {"extension": [{"url": "http://example.org/e", "valueReference": {"reference": "Patient/nobody"}}]},
            id="of an extension",
        ),
        pytest.param(
            "Observation",
            {"note": [{"text": "x", "authorReference": {"reference": "Practitioner/nobody"}}]},
            id="that no search parameter reads",
        ),
        pytest.param(
            "Observation",
            {
                "subject": {"reference": "#c"},
                "contained": [
                    {"resourceType": "Patient", "id": "c", "managingOrganization": {"reference": "Organization/no"}}
                ],
            },
            id="of what is contained",
        ),
        pytest.param(
            "Bundle",
            {
                "type": "collection",
                "identifier": {"system": "urn:case", "value": "b"},
                "entry": [
                    {
                        "fullUrl": "http://elsewhere.example/fhir/Observation/1",
                        "resource": {
                            "resourceType": "Observation",
                            "id": "1",
                            "status": "final",
                            "code": {"text": "x"},
                            "subject": {"reference": "Patient/nobody"},
                        },
                    }
                ],
            },
            id="inside a Bundle, whose entries are below other bases",
        ),
    ],
)
async def test_a_reference_that_no_search_follows_is_not_checked(
    case: Case, type: str, elements: dict[str, Any]
) -> None:
    stored = await case.put(type, "x", **elements)

    assert stored.change == "created"
    assert (await case.store.read(Ref(type, stored.id))).version == "1"


async def test_a_canonical_that_names_a_resource_here_is_checked(case: Case) -> None:
    mark = {"identifier": {"system": "urn:case", "value": case.name}, "status": "completed"}

    with pytest.raises(BadRequest, match="Questionnaire/nobody"):
        await case.put("QuestionnaireResponse", "r", questionnaire="Questionnaire/nobody", **mark)
