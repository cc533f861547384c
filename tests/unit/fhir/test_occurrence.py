"""How often the value of a search parameter can occur."""

import pytest

from fhir_facade.fhir.definitions.occurrence import occurs_once, single_valued


@pytest.mark.parametrize(
    ("type_", "code", "once"),
    [
        ("Observation", "date", True),
        ("Patient", "birthdate", True),
        ("Encounter", "date", True),
        ("Claim", "created", True),
        ("Observation", "component-value-quantity", False),
        ("Goal", "target-date", False),
        ("Condition", "onset-date", True),
        ("Patient", "death-date", True),
        ("Observation", "combo-value-quantity", False),
        ("CarePlan", "activity-date", False),
        ("Patient", "unknown", False),
    ],
)
def test_a_parameter_is_told_apart_by_how_often_what_it_reads_may_be_there(type_, code, once):
    assert occurs_once(type_, code) is once


@pytest.mark.parametrize(
    ("type_", "code", "once"),
    [
        ("Observation", "subject", True),
        ("Observation", "patient", True),
        ("Observation", "performer", False),
        ("Provenance", "patient", False),
        ("Patient", "unknown", False),
    ],
)
def test_a_reference_is_told_apart_by_how_often_it_may_be_there(type_, code, once):
    assert single_valued(type_, code) is once
