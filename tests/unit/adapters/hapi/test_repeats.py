"""Which searches HAPI may answer with several rows of its index for one resource."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from fhir_facade.adapters.hapi.repeats import query_may_repeat
from fhir_facade.fhir.query import parse_query
from fhir_facade.values import SearchQuery

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def query(type_name: str, asked: str) -> SearchQuery:
    params = [(name, value) for name, _, value in (part.partition("=") for part in asked.split("&"))]
    return parse_query(type_name, params, now=NOW).query


def repeats(type_name: str, asked: str) -> bool:
    return query_may_repeat(query(type_name, asked))


@pytest.mark.parametrize(
    ("type_name", "asked"),
    [
        ("Patient", "name=anna"),
        ("Patient", "identifier=1"),
        ("Observation", "code=8867-4"),
        ("Observation", "code=http://loinc.org|1-8,http://loinc.org|2-6"),
        ("Observation", "performer=Practitioner/1,Practitioner/2"),
        ("Observation", "performer:Practitioner.name=x"),
        ("Observation", "subject:Patient.name=x"),
        ("Patient", "_has:Observation:patient:code=http://loinc.org|1-8"),
        ("Observation", "patient=1&category=vital-signs"),
        ("Observation", "component-code-value-quantity=http://loinc.org|1-8$5"),
        ("Condition", "onset-age=gt4"),
        ("Patient", "_sort=family"),
        ("Patient", "_sort=-birthdate,identifier"),
        ("Encounter", "_sort=location-period"),
        ("Observation", "_sort=performer"),
    ],
)
def test_what_one_resource_may_satisfy_twice_is_said_to_repeat(type_name: str, asked: str) -> None:
    assert repeats(type_name, asked)


@pytest.mark.parametrize(
    ("type_name", "asked"),
    [
        ("Observation", "patient=1,2&code=http://loinc.org|1-8&date=ge2026"),
        ("Observation", "_id=1,2&_lastUpdated=ge2026"),
        ("Observation", "subject:Patient.birthdate=2000"),
        ("Observation", "encounter:Encounter.patient=1,2"),
        ("Observation", "patient=1&_sort=-date,_id"),
        ("Patient", "_sort=gender,active,-birthdate,_lastUpdated"),
        ("Observation", "_sort=subject,status"),
    ],
)
def test_the_hot_searches_take_no_more_rows_than_resources(type_name: str, asked: str) -> None:
    assert not repeats(type_name, asked)
