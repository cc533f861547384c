"""References to places, and which hierarchies a search asks about."""

from datetime import UTC, datetime

import pytest

from fhir_facade.errors import BadRequest, UnknownParameter
from fhir_facade.fhir.query import StoredCodes, named_places, parents, parse_query
from fhir_facade.values import Match, ReferenceValue

NOW = datetime(2026, 1, 1, tzinfo=UTC)
BASE = "http://here.example/fhir"


@pytest.mark.parametrize("kind", ["Encounter", "Location", "Organization", "Procedure", "Task", "CarePlan"])
def test_what_may_be_a_part_of_its_like_stands_in_a_hierarchy(kind):
    assert parents()[kind] in ("partof", "part-of")


def test_what_is_no_part_of_its_like_stands_in_none():
    assert not {"Patient", "Observation", "Device"} & set(parents())


@pytest.mark.parametrize(
    ("kind", "name", "value", "expected"),
    [
        ("Encounter", "location:below", "l", {("below", "Location", "l")}),
        ("Encounter", "location:above", f"Location/l,{BASE}/Location/m", {("above", "Location", x) for x in "lm"}),
        ("Observation", "encounter.location:below", "l", {("below", "Location", "l")}),
        ("Observation", "subject:Location.partof:below", "l", {("below", "Location", "l")}),
        ("Patient", "_has:Encounter:patient:location:below", "l", {("below", "Location", "l")}),
        ("Procedure", "part-of:below", "p", {("below", "Procedure", "p")}),
        ("Procedure", "part-of:below", "Observation/o", set()),
        ("Encounter", "location", "l", set()),
        ("Encounter", "location:below", "http://elsewhere.example/Location/l", set()),
        ("Encounter", "location:below", "", set()),
        ("Encounter", "nothing:below", "l", set()),
        ("Encounter", "status:below", "l", set()),
        ("Encounter", "status.location:below", "l", set()),
        ("Patient", "_has:Encounter:below", "l", set()),
        ("Patient", "_has:Nothing:patient:location:below", "l", set()),
    ],
)
def test_the_places_of_a_search_are_named(kind, name, value, expected):
    assert named_places(kind, [(name, value)], BASE) == expected


def test_a_place_becomes_all_that_is_a_part_of_it():
    stored = StoredCodes(trees={("below", "Location", "l"): ("l", "m"), ("below", "Location", "m"): ("m", "n")})

    (found,) = parse_query("Encounter", [("location:below", "l,Location/m")], now=NOW, stored=stored).query.criteria

    assert found == Match("location", "reference", tuple(ReferenceValue("Location", each) for each in "lmn"))


def test_a_reference_to_what_has_no_parts_is_refused():
    with pytest.raises(UnknownParameter, match="here nothing that it points to"):
        parse_query("Encounter", [("subject:below", "Patient/p")], now=NOW)


def test_a_hierarchy_that_nobody_looked_up_is_refused():
    with pytest.raises(BadRequest, match="what the transaction itself writes"):
        parse_query("Encounter", [("location:below", "l")], now=NOW)
