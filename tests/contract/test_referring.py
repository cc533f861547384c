"""By which parameters which types refer to a resource: never by one less than there are."""

from __future__ import annotations

import pytest

from fhir_facade.fhir.definitions import compartment
from fhir_facade.values import Ways
from tests.contract.case import Case

WAYS = {"Group": ("member",), "List": ("subject", "source"), "Provenance": ("patient",), "Observation": ("performer",)}
PATIENT_WAYS = {kind: names for kind, names in compartment("Patient").items() if kind not in ("Patient", "AuditEvent")}

ALL_WAYS = {
    "List": ("source", "subject", "patient"),
    "Provenance": ("agent", "patient", "target"),
    "Encounter": ("patient", "subject"),
    "Observation": ("patient", "performer", "subject"),
}
REFERRED_BY = {
    "a": {
        ("List", "subject"),
        ("List", "patient"),
        ("Provenance", "agent"),
        ("Provenance", "patient"),
        ("Provenance", "target"),
    },
    "b": {("Encounter", "patient"), ("Encounter", "subject"), ("Observation", "patient"), ("Observation", "subject")},
}


def pairs(ways: Ways) -> set[tuple[str, str]]:
    return {(kind, param) for kind, params in ways.items() for param in params}


@pytest.fixture
async def ward(case: Case) -> Case:
    """Two patients; what refers to `a` and what refers to `b`."""
    first, second = ({"reference": str(case.ref("Patient", label))} for label in "ab")
    group = {"type": "person", "actual": True, "member": [{"entity": first}]}
    signed = {"target": [first], "recorded": "2026-01-01T00:00:00Z", "agent": [{"who": first}]}
    made = [
        ("Patient", "a", {}),
        ("Patient", "b", {}),
        ("Group", "g", group),
        ("List", "l", {"status": "current", "mode": "working", "subject": first}),
        ("Provenance", "p", signed),
        ("Encounter", "e", {"subject": second}),
        ("Observation", "o", {"subject": second, "encounter": {"reference": str(case.ref("Encounter", "e"))}}),
    ]
    for kind, label, elements in made:
        resource = case.resource(kind, label, **elements)
        await case.put_resource({name: value for name, value in resource.items() if (kind, name) not in UNNAMED})
    return case


UNNAMED = {("Provenance", "identifier")}


@pytest.mark.parametrize(
    ("kind", "labels", "ways", "found"),
    [
        pytest.param("Patient", "a", WAYS, {"Group", "List", "Provenance"}, id="each type that is asked about"),
        pytest.param("Patient", "a", {"Group": ("member",), "Goal": ("subject",)}, {"Group"}, id="no other type"),
        pytest.param("Patient", "ab", WAYS | {"Encounter": ("patient",)}, {*WAYS, "Encounter"}, id="of several"),
        pytest.param("Encounter", "e", compartment("Encounter"), set(), id="an encounter"),
        pytest.param("Patient", "x", WAYS, set(), id="nobody"),
    ],
)
async def test_the_types_that_refer_to_a_resource(
    ward: Case, kind: str, labels: str, ways: Ways, found: set[str]
) -> None:
    told = await ward.store.referring([ward.ref(kind, label) for label in labels], ways)

    assert told.keys() - {"Observation"} == found - {"Observation"}


@pytest.mark.parametrize("label", ["a", "b"])
async def test_each_parameter_by_which_something_refers_to_a_resource_is_told(ward: Case, label: str) -> None:
    """Of some stores others too, but none that was not asked about."""
    told = await ward.store.referring([ward.ref("Patient", label)], ALL_WAYS)

    assert REFERRED_BY[label] <= pairs(told) <= pairs(ALL_WAYS)


async def test_of_a_whole_compartment_no_type_is_left_out(ward: Case) -> None:
    told = await ward.store.referring([ward.ref("Patient", label) for label in "ab"], PATIENT_WAYS)

    assert {"Group", "List", "Provenance", "Encounter", "Observation"} <= told.keys() <= PATIENT_WAYS.keys()


async def test_observations_of_a_resource_are_told_and_what_is_no_more_is_not(ward: Case) -> None:
    await ward.delete(ward.ref("List", "l"))

    told = await ward.store.referring([ward.ref("Encounter", "e")], compartment("Encounter"))
    left = await ward.store.referring([ward.ref("Patient", "a")], WAYS)

    assert "Observation" in told
    assert left.keys() - {"Observation"} == {"Group", "Provenance"}
