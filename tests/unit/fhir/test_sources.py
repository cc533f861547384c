"""Which kinds of index rows depend on a member: held against what the extractors say without it."""

from typing import Any

import pytest

from fhir_facade.fhir.definitions import resource_types
from fhir_facade.fhir.definitions.tables import search_parameters
from fhir_facade.fhir.extract import extract
from fhir_facade.fhir.extract.rows import ROWS_OF
from fhir_facade.fhir.extract.sources import kinds_by_member
from tests.unit.fhir.sampling import samples

LOGICAL = {"resourceType": "Observation", "subject": {"identifier": {"system": "urn:x", "value": "1"}}}


def different(one: dict[str, Any], other: dict[str, Any]) -> set[str]:
    """The kinds of which the two have other rows."""
    mine, theirs = extract(one, texts=False), extract(other, texts=False)
    return {kind for kind, rows in ROWS_OF.items() if sorted(getattr(mine, rows)) != sorted(getattr(theirs, rows))}


def without(resource: dict[str, Any], member: str) -> dict[str, Any]:
    return {name: value for name, value in resource.items() if name != member}


@pytest.mark.parametrize("fhir_type", resource_types())
def test_a_member_changes_no_other_rows_than_is_said(fhir_type):
    told = kinds_by_member(fhir_type)

    for parameter in search_parameters(fhir_type).values():
        for resource, _ in samples(parameter) if parameter.expression and parameter.kind in ROWS_OF else ():
            for member in resource.keys() - {"resourceType"}:
                assert different(resource, without(resource, member)) <= told.get(member, frozenset()), parameter.code


def test_the_identifier_of_a_reference_is_a_token():
    assert different(LOGICAL, without(LOGICAL, "subject")) == {"token"}
    assert kinds_by_member("Observation")["subject"] == {"reference", "token"}


@pytest.mark.parametrize(
    ("member", "kinds"),
    [
        ("valueQuantity", {"quantity", "composite"}),
        ("valueCodeableConcept", {"token", "string", "composite"}),
        ("effectivePeriod", {"date"}),
        ("meta", {"token", "uri", "date"}),
    ],
)
def test_only_what_a_member_is_read_for_depends_on_it(member, kinds):
    assert kinds_by_member("Observation")[member] == kinds


@pytest.mark.parametrize("member", ["note", "text", "referenceRange", "valueRatio", "_status", "unknown"])
def test_nothing_depends_on_what_no_search_reads(member):
    assert member not in kinds_by_member("Observation")
