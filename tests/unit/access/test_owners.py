"""Whom a resource is about, and whom it names: no trick of writing hides a patient."""

from typing import Any

import msgspec
import pytest

from fhir_facade.access.owners import LONGEST_KEPT, Foreign, names_strangers, owners, patient_references, stored_owners
from fhir_facade.values import PatientId

A, B = PatientId("a"), PatientId("b")


def about(type_name: str, **elements: Any) -> dict[str, Any]:
    return {"resourceType": type_name, "id": "x", **elements}


def patient(id_: str) -> dict[str, str]:
    return {"reference": f"Patient/{id_}"}


@pytest.mark.parametrize(
    "resource",
    [
        pytest.param(about("Observation"), id="no subject"),
        pytest.param(about("Observation", subject={"reference": "Group/a"}), id="about a group"),
        pytest.param(about("Observation", subject={"reference": "#p"}), id="about something contained"),
        pytest.param(about("Observation", subject={"display": "A"}), id="display only"),
        pytest.param(about("Observation", subject="Patient/a"), id="not a reference"),
        pytest.param(about("Observation", subject=None), id="null"),
        pytest.param(about("Observation", performer=[patient("a")]), id="performer is not the owner"),
        pytest.param(about("Composition", author=[patient("a")]), id="author is not the owner"),
        pytest.param(about("Communication", recipient=[patient("a")]), id="recipient is not the owner"),
        pytest.param(about("Group", member=[{"entity": patient("a")}]), id="a group has no owner"),
        pytest.param(about("Organization"), id="a shared type has no owner"),
        pytest.param(about("Unicorn", subject=patient("a")), id="a type R4 does not have"),
        pytest.param({"subject": patient("a")}, id="no resourceType"),
        pytest.param({"resourceType": ["Observation"], "subject": patient("a")}, id="resourceType is no string"),
    ],
)
def test_a_resource_is_about_nobody_when_its_owner_elements_name_no_patient(resource: dict[str, Any]) -> None:
    assert owners(resource) == frozenset()


@pytest.mark.parametrize(
    ("resource", "expected"),
    [
        pytest.param({"resourceType": "Patient", "id": "a"}, {A}, id="a patient is about itself"),
        pytest.param(
            {"resourceType": "Patient", "id": "a", "link": [{"other": patient("b")}]}, {A}, id="links are not followed"
        ),
        pytest.param(about("Observation", subject=patient("a"), performer=[patient("b")]), {A}, id="subject"),
        pytest.param(about("Observation", subject={"reference": "Patient/a/_history/3"}), {A}, id="a version"),
        pytest.param(about("Task", **{"for": patient("a"), "owner": patient("b")}), {A}, id="task"),
        pytest.param(about("Coverage", beneficiary=patient("a"), subscriber=patient("b")), {A}, id="coverage"),
        pytest.param(
            about(
                "Appointment", participant=[{"actor": patient("a")}, {"actor": patient("b")}, {"status": "accepted"}]
            ),
            {A, B},
            id="several owners",
        ),
        pytest.param(
            about("Provenance", target=[patient("a"), {"reference": "Observation/o"}]), {A}, id="provenance target"
        ),
        pytest.param(
            about("AuditEvent", entity=[{"what": patient("a")}], agent=[{"who": patient("b")}]), {A}, id="audit entity"
        ),
        pytest.param(about("Binary", securityContext=patient("a")), {A}, id="binary by its security context"),
        pytest.param(about("Device", patient=patient("a")), {A}, id="device of a person"),
    ],
)
def test_owners_are_the_patients_of_the_owner_elements(resource: dict[str, Any], expected: set[PatientId]) -> None:
    assert owners(resource) == expected


@pytest.mark.parametrize(
    "reference",
    [
        pytest.param({"reference": "https://elsewhere.example/fhir/Patient/a"}, id="absolute"),
        pytest.param({"reference": "Patient?identifier=1"}, id="conditional"),
        pytest.param({"reference": "Patient/a/../b"}, id="path tricks"),
        pytest.param({"reference": "urn:uuid:7ff1b2a4-6e05-4a3e-9ac6-0d4f0ba2f6b5"}, id="unresolved urn"),
        pytest.param({"reference": "urn:uuid:x", "type": "Patient"}, id="urn said to be a patient"),
        pytest.param({"reference": "Group/a", "type": "Patient"}, id="said to be a patient"),
        pytest.param({"reference": "#p", "type": "Patient"}, id="contained, said to be a patient"),
        pytest.param({"type": "Patient", "identifier": {"value": "1"}}, id="identifier only"),
    ],
)
def test_a_patient_that_cannot_be_told_is_foreign_and_equals_no_allowed_patient(reference: dict[str, Any]) -> None:
    resource = about("Observation", subject=reference)

    (found,) = patient_references(resource)

    assert isinstance(found, Foreign)
    assert owners(resource) == {found}


def test_a_patient_without_id_is_foreign() -> None:
    (owner,) = owners({"resourceType": "Patient"})

    assert isinstance(owner, Foreign)


@pytest.mark.parametrize(
    "resource",
    [
        pytest.param(about("Observation", performer=[patient("b")]), id="performer"),
        pytest.param(about("Observation", extension=[{"url": "x", "valueReference": patient("b")}]), id="extension"),
        pytest.param(
            about("Observation", _status={"extension": [{"url": "x", "valueReference": patient("b")}]}),
            id="extension of a primitive",
        ),
        pytest.param(about("Observation", contained=[about("Encounter", subject=patient("b"))]), id="contained"),
        pytest.param(about("CarePlan", activity=[{"detail": {"performer": [patient("b")]}}]), id="deep"),
    ],
)
def test_patients_are_found_at_any_depth(resource: dict[str, Any]) -> None:
    assert patient_references(resource) == {B}


def test_a_contained_patient_is_foreign() -> None:
    resource = about("Observation", contained=[{"resourceType": "Patient", "id": "p"}], subject={"reference": "#p"})

    assert patient_references(resource) == {Foreign("contained Patient")}


@pytest.mark.parametrize(
    "resource",
    [
        pytest.param({"resourceType": "Patient", "id": "a"}, id="the resource itself is no reference"),
        pytest.param(
            about("Observation", encounter={"reference": "Encounter/Patient"}), id="id that looks like a type"
        ),
        pytest.param(about("Library", dataRequirement=[{"type": "Patient"}]), id="a type said in a definition"),
        pytest.param(about("Observation", subject={"reference": "urn:uuid:x", "type": "Group"}), id="urn of a group"),
        pytest.param(about("Patient", name=[{"given": ["Patient/b", None]}]), id="primitives in a list"),
        pytest.param(about("Observation", note=[{"text": "Patient/b"}]), id="prose"),
        pytest.param(about("Observation", subject={"reference": "PatientX/b"}), id="other type with the same start"),
    ],
)
def test_what_is_no_reference_to_a_patient_is_not_taken_for_one(resource: dict[str, Any]) -> None:
    assert patient_references(resource) == frozenset()


@pytest.mark.parametrize(
    ("resource", "expected"),
    [
        pytest.param(about("Observation", subject=patient("a"), performer=[patient("b")]), {A}, id="subject"),
        pytest.param({"resourceType": "Patient", "id": "a", "name": [{"family": "A"}]}, {A}, id="a patient"),
        pytest.param(about("Appointment", participant=[{"actor": patient("a")}]), {A}, id="below an element"),
        pytest.param(about("Organization", name="a"), set(), id="shared"),
        pytest.param(about("Unicorn", subject=patient("a")), set(), id="a type R4 does not have"),
    ],
)
def test_the_owners_of_a_stored_resource_are_read_out_of_its_bytes(
    resource: dict[str, Any], expected: set[Any]
) -> None:
    assert stored_owners(resource["resourceType"], msgspec.json.encode(resource)) == expected == owners(resource)


def test_a_reference_too_long_to_be_remembered_is_judged_all_the_same() -> None:
    text = f"https://example.org/{'a' * LONGEST_KEPT}/Patient/b"

    assert patient_references(about("Observation", focus=[{"reference": text}])) == {Foreign(text)}


@pytest.mark.parametrize(
    ("resource", "strangers"),
    [
        pytest.param({"resourceType": "Location", "name": "Ward"}, False, id="names nobody"),
        pytest.param({"resourceType": "Location", "extension": [{"valueReference": patient("a")}]}, True, id="names"),
        pytest.param({"resourceType": "Medication", "contained": [{"resourceType": "Patient"}]}, True, id="contains"),
        pytest.param({"resourceType": "Device", "patient": patient("a")}, False, id="is about whom it names"),
        pytest.param(
            {"resourceType": "Device", "extension": [{"valueReference": patient("a")}]}, True, id="is about nobody"
        ),
        pytest.param(
            {"resourceType": "Device", "patient": {"display": "Bert"}}, True, id="about one who cannot be told"
        ),
        pytest.param({"resourceType": "Observation", "performer": [patient("a")]}, False, id="has an owner anyway"),
        pytest.param({"resourceType": "Unicorn"}, False, id="no type"),
    ],
)
def test_a_record_that_may_be_nobodys_says_whether_it_names_a_stranger(
    resource: dict[str, Any], strangers: bool
) -> None:
    assert names_strangers(resource) is strangers
