"""The parameters of R4 that no path leads to: each is asked here, the others are walked one by one beside this file.

https://hl7.org/fhir/R4/search.html#all
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from fhir_facade.adapters.embedded import fulltext
from fhir_facade.errors import UnknownParameter
from fhir_facade.fhir.definitions import resource_types, search_parameters
from fhir_facade.fhir.query import parse_query
from tests.unit.adapters.embedded.corner import NOW, Corner, empty_corner

ASKED: dict[str, tuple[str, str, str]] = {
    "_text": ("Observation", "_text", "hello"),
    "_content": ("Observation", "_content", "free"),
    "_has": ("Patient", "_has:Observation:patient:status", "final"),
    "_list": ("Observation", "_list", "l"),
    "_filter": ("Observation", "_filter", "status eq final"),
    "near": ("Location", "near", "48.4|9.9|10|km"),
}
"""Parameter -> the type, name and value of a search that finds one of RESOURCES and not the other of its type."""
OF_SYSTEMS = {"_type"}
REFUSED = {"_query"}
"""Named queries: this server has none."""

RESOURCES: list[tuple[str, dict[str, Any]]] = [
    ("found", {"resourceType": "Patient"}),
    ("other", {"resourceType": "Patient"}),
    (
        "found",
        {
            "resourceType": "Observation",
            "status": "final",
            "subject": {"reference": "Patient/found"},
            "text": {"div": "<div>hello</div>"},
            "valueString": "free",
        },
    ),
    ("other", {"resourceType": "Observation", "status": "amended", "subject": {"reference": "Patient/other"}}),
    ("l", {"resourceType": "List", "entry": [{"item": {"reference": "Observation/found"}}]}),
    ("found", {"resourceType": "Location", "position": {"latitude": 48.4, "longitude": 9.99}}),
    ("other", {"resourceType": "Location", "position": {"latitude": 8.4, "longitude": 9.99}}),
]


@pytest.fixture(scope="module")
def corner() -> Iterator[Corner]:
    corner = empty_corner()
    for id_, resource in RESOURCES:
        corner.add(resource, id_)
    assert fulltext.catch_up(corner.connection, "Observation")
    yield corner
    corner.connection.close()


def test_every_parameter_that_no_path_leads_to_is_in_the_table() -> None:
    parameters = [own for kind in resource_types() for own in search_parameters(kind).values()]

    without = {own.code for own in parameters if not own.expression or own.kind == "special"}
    assert without == {*ASKED, *OF_SYSTEMS, *REFUSED}


@pytest.mark.parametrize("name", ASKED)
def test_each_of_them_finds_what_it_should(corner: Corner, name: str) -> None:
    assert corner.found(*ASKED[name]) == ["found"]


@pytest.mark.parametrize("kind", resource_types())
def test_each_of_them_compiles_for_every_type_that_has_it(corner: Corner, kind: str) -> None:
    for name, value in (("_text", "x"), ("_content", "x"), ("_list", "x"), ("_filter", "_id eq x")):
        if name in search_parameters(kind):
            corner.found(kind, name, value)


def test_types_are_named_in_a_search_of_the_whole_system() -> None:
    assert parse_query("Resource", [("_type", "Patient")], now=NOW).types == ("Patient",)


@pytest.mark.parametrize(("kind", "name"), [("Observation", "_query"), ("Observation", "_type")])
def test_what_makes_no_sense_for_a_type_is_unknown(corner: Corner, kind: str, name: str) -> None:
    with pytest.raises(UnknownParameter, match=name):
        corner.found(kind, name, "x")
