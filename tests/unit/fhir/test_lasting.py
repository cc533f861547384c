"""Which dates may last from one moment to another."""

import pytest

from fhir_facade.fhir.definitions import resource_types, search_parameters
from fhir_facade.fhir.definitions.lasting import may_be_coarse, may_last


@pytest.mark.parametrize(
    ("type_", "code", "lasts"),
    [
        ("Observation", "date", True),
        ("Encounter", "date", True),
        ("Encounter", "location-period", True),
        ("Condition", "onset-date", True),
        ("ServiceRequest", "occurrence", True),
        ("Patient", "birthdate", False),
        ("Patient", "death-date", False),
        ("Condition", "recorded-date", False),
        ("Observation", "_lastUpdated", False),
    ],
)
def test_what_reads_periods_may_last(type_, code, lasts):
    assert may_last(type_, code) is lasts


@pytest.mark.parametrize(
    ("type_", "code", "coarse"),
    [
        ("Patient", "birthdate", True),
        ("Patient", "death-date", True),
        ("Observation", "date", True),
        ("Encounter", "date", False),
        ("Appointment", "date", False),
        ("Observation", "_lastUpdated", False),
    ],
)
def test_what_reads_dates_may_be_a_year(type_, code, coarse):
    assert may_be_coarse(type_, code) is coarse


def test_every_date_is_one_or_the_other():
    dates = [
        (type_, code)
        for type_ in resource_types()
        for code, own in search_parameters(type_).items()
        if own.kind == "date"
    ]

    assert {may_last(*date) for date in dates} == {True, False}
