"""The parameters that HAPI gets for a search."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from fhir_facade.adapters.hapi.alternatives import groups
from fhir_facade.adapters.hapi.broad import elements_looked_at, is_broad
from fhir_facade.adapters.hapi.calendar import in_utc
from fhir_facade.adapters.hapi.hops import without_hard_hops
from fhir_facade.adapters.hapi.query import parameters, sort_keys
from fhir_facade.errors import NotSupported
from fhir_facade.fhir.query import parse_query
from fhir_facade.values import Match, SearchQuery, Sort, StoredResource, TokenValue

NOW = datetime(2026, 11, 21, tzinfo=UTC)


def query(type: str, *asked: tuple[str, str]) -> SearchQuery:
    return parse_query(type, asked, now=NOW).query


@pytest.mark.parametrize(
    ("type", "name", "value"),
    [
        pytest.param("Patient", "_profile:missing", "true", id="a missing profile"),
        pytest.param("Observation", "subject:identifier", "urn:x|1", id="a reference by identifier"),
        pytest.param("Location", "near", "89|0|500|km", id="around a pole"),
        pytest.param("Observation", "code-value-quantity:missing", "true", id="a missing composite"),
        pytest.param("Observation", "_filter", "not (date ge 2020)", id="the opposite of a date"),
    ],
)
def test_what_hapi_cannot_answer_is_not_asked_and_every_find_is_looked_at(type: str, name: str, value: str) -> None:
    criteria = query(type, (name, value)).criteria

    assert parameters(criteria) == []
    assert all(is_broad(criterion) for criterion in criteria)


@pytest.mark.parametrize(
    ("type", "name", "value", "said"),
    [
        pytest.param("Observation", "subject:Patient._tag:missing", "true", False, id="what is missing"),
        pytest.param("Observation", "subject:Patient._id:not", "x", False, id="another id"),
        pytest.param("Observation", "subject:Patient.birthdate", "ap2020", False, id="about a date"),
        pytest.param("Observation", "_filter", "subject:Patient.name ew x", False, id="the end of a text"),
        pytest.param("Observation", "_filter", "subject:Patient.gender eq male", True, id="a filter with a plain word"),
        pytest.param("Observation", "subject:Patient.name:exact", "x", True, id="a modifier behind a chain"),
        pytest.param("Observation", "subject:Patient.birthdate", "ge2020", True, id="a date"),
        pytest.param("Patient", "_has:Observation:patient:subject:identifier", "x", False, id="without an index"),
        pytest.param("Patient", "_has:Observation:patient:code:not", "x", False, id="a modifier behind has"),
        pytest.param("Patient", "_has:Observation:patient:value-quantity", "5.4", False, id="an implied range"),
        pytest.param("Patient", "_has:Observation:patient:value-quantity", "gt5.4", True, id="more than an amount"),
        pytest.param("Patient", "_has:Observation:patient:code", "x", True, id="a code behind has"),
        pytest.param("Patient", "_has:Observation:patient:performer:Practitioner.name", "x", False, id="one of types"),
        pytest.param("Patient", "_has:Observation:patient:encounter.status:not", "x", True, id="chain behind has"),
    ],
)
async def test_what_hapi_does_not_understand_behind_a_reference_is_found_first(
    type: str, name: str, value: str, said: bool
) -> None:
    first: list[SearchQuery] = []

    async def find(query: SearchQuery) -> list[StoredResource]:
        first.append(query)
        return []

    asked = query(type, (name, value))

    assert (await without_hard_hops(find, asked) is asked) is said
    assert (first == []) is said


@pytest.mark.parametrize(
    ("filter_", "sent"),
    [
        ("status ne final", [("status:not", "final")]),
        ("not (status ne final)", [("status", "final")]),
        ("not (date pr true)", [("date:missing", "true")]),
        ("value-string ew x", [("value-string:contains", "x")]),
    ],
)
def test_the_words_of_a_filter_are_parameters(filter_: str, sent: list[tuple[str, str]]) -> None:
    assert parameters(query("Observation", ("_filter", filter_)).criteria) == sent


def test_a_place_is_asked_for_a_little_further_and_looked_at() -> None:
    (criterion,) = query("Location", ("near", "48.4|9.9|10|km")).criteria

    assert parameters([criterion]) == [("near", "48.400000000|9.900000000|10.100000|km")]
    assert is_broad(criterion)


@pytest.mark.parametrize(
    ("name", "sent"),
    [
        ("_has:Observation:patient:encounter.status", "_has:Observation:patient:encounter.status"),
        ("_has:Observation:patient:encounter:Encounter.status", "_has:Observation:patient:encounter.status"),
        (
            "_has:Observation:patient:performer:Organization.partof.name",
            "_has:Observation:patient:performer.partof:Organization.name",
        ),
    ],
)
def test_a_chain_behind_what_refers_here_names_no_type(name: str, sent: str) -> None:
    assert parameters(query("Patient", (name, "x")).criteria) == [(sent, "x")]


async def test_what_stands_beside_a_hop_and_speaks_of_the_same_record_limits_what_is_found_first() -> None:
    first: list[SearchQuery] = []

    async def find(query: SearchQuery) -> list[StoredResource]:
        first.append(query)
        return []

    await without_hard_hops(find, query("Observation", ("patient._id:not", "x"), ("patient.gender", "male")))
    await without_hard_hops(find, query("Patient", ("_has:Observation:patient:code:not", "x"), ("_id", "p")))

    assert [(one.type, [own.name for own in one.criteria if isinstance(own, Match)]) for one in first] == [
        ("Patient", ["_id", "gender"]),
        ("Observation", ["code", "patient"]),
    ]


def test_what_is_contained_hapi_is_not_asked_for() -> None:
    containing = Match("_contained", "token", (TokenValue(None, "Medication"),))

    assert parameters([containing]) == []
    assert is_broad(containing)
    assert elements_looked_at([containing]) == "contained"


def test_alternatives_inside_alternatives_are_split() -> None:
    asked = query("Observation", ("_filter", "status eq a or (code eq b and (status eq c or code eq d))"))

    assert [parameters(group) for group in groups(asked)] == [
        [("status", "a")],
        [("code", "b"), ("status", "c")],
        [("code", "b"), ("code", "d")],
    ]


def test_alternatives_of_one_parameter_are_a_list() -> None:
    asked = query("Observation", ("_filter", "status eq a or status eq b"))

    assert [parameters(group) for group in groups(asked)] == [[("status", "a,b")]]


@pytest.mark.parametrize(
    ("filter_", "left"),
    [
        ("_id pr true", [()]),
        ("_lastUpdated pr false", []),
        ("not (_id pr true)", []),
        ("_id pr false or not (_lastUpdated pr false)", [()]),
    ],
)
def test_what_is_never_missing_need_not_be_asked_for(filter_: str, left: list[tuple[object, ...]]) -> None:
    assert groups(query("Observation", ("_filter", filter_))) == left


def test_too_many_alternatives_are_refused() -> None:
    dates = ",".join(f"20{year}" for year in range(10, 50))

    with pytest.raises(NotSupported, match="alternatives"):
        groups(query("Observation", ("date", dates)))


@pytest.mark.parametrize(
    ("type", "name", "value", "sent"),
    [
        pytest.param("Patient", "birthdate", "ge1990", [("birthdate", "ge1990-01-01T00:00:00.000Z")], id="from a year"),
        pytest.param("Patient", "birthdate", "le1990", [("birthdate", "lt1991-01-01T00:00:00.000Z")], id="to a year"),
        pytest.param("Patient", "birthdate", "1990", [("birthdate", "1990")], id="a year"),
        pytest.param(
            "MeasureReport", "measure", "http://o/m|2", [("measure", "http://o/m|2")], id="a canonical with its version"
        ),
        pytest.param("Patient", "family", "a\\,b|$", [("family", "a\\,b\\|\\$")], id="escapes"),
        pytest.param(
            "Observation",
            "value-quantity",
            "5.4||kg",
            [("value-quantity", "ge5.35||kg"), ("value-quantity", "lt5.45||kg")],
            id="an implied range",
        ),
        pytest.param("Observation", "patient._id", "1,2", [("patient", "Patient/1,Patient/2")], id="a chain to an id"),
    ],
)
def test_a_criterion_becomes_parameters(type: str, name: str, value: str, sent: list[tuple[str, str]]) -> None:
    assert parameters(query(type, (name, value)).criteria) == sent


@pytest.mark.parametrize(
    ("type", "name", "value", "sent"),
    [
        pytest.param(
            "Observation", "date", "2026", ["sa2025-12-31T23:59:59.999Z", "eb2027-01-01T00:00:00.000Z"], id="a year"
        ),
        pytest.param("Observation", "date", "ge2026", ["ge2026-01-01T00:00:00.000Z"], id="with a prefix"),
        pytest.param("Patient", "birthdate", "2026", ["2026"], id="a date without a time"),
        pytest.param("Observation", "date", "gt2026-05-03T10:00:00.500Z", ["ge2026-05-03T10:00:00.000Z"], id="moment"),
    ],
)
def test_a_date_lies_between_moments_in_utc(type: str, name: str, value: str, sent: list[str]) -> None:
    criteria = in_utc(type, query(type, (name, value)).criteria)

    assert parameters(criteria) == [(name, text) for text in sent]


def test_all_bounds_of_the_time_of_writing_become_one_pair() -> None:
    asked = query("Patient", ("_lastUpdated", "ge2020"), ("_lastUpdated", "lt2022"), ("_lastUpdated", "gt2020-05"))

    assert parameters(asked.criteria) == [
        ("_lastUpdated", "ge2020-06-01T00:00:00.000Z"),
        ("_lastUpdated", "lt2022-01-01T00:00:00.000Z"),
    ]


def test_an_order_ends_with_the_id() -> None:
    assert sort_keys((Sort("date", "date", descending=True),)) == "-date,_id"
    assert sort_keys((Sort("_id", "token", descending=True),)) == "-_id"


@pytest.mark.parametrize("prefix", ["", "lt", "le", "gt", "ge", "sa", "eb", "ne", "ap"])
def test_the_first_moment_that_there_is_has_none_before_it(prefix: str) -> None:
    asked = query("Patient", ("birthdate", f"{prefix}0001-01-01T00:00:00+14:00"))

    assert parameters(asked.criteria)[0][0] == "birthdate"
