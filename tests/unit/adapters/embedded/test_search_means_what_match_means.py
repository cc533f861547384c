"""The index of the embedded store finds what `match` finds: every parameter of R4, prefixes, precisions and units."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_facade.adapters.embedded.at_once import hot_page
from fhir_facade.adapters.embedded.hot import hot_source
from fhir_facade.errors import NotSupported
from fhir_facade.fhir.definitions import resource_types, search_parameters
from fhir_facade.fhir.extract.dates import interval
from fhir_facade.fhir.match import matches, matches_query
from fhir_facade.fhir.query import parse_query
from fhir_facade.values import Match, SearchQuery, TokenValue
from terminology import ucum
from tests.unit.adapters.embedded.corner import NOW, Corner, empty_corner
from tests.unit.fhir.sampling import samples

UCUM = "http://unitsofmeasure.org"
WITHOUT_VALUES = {"_content", "_filter", "_has", "_list", "_query", "_text", "_type", "near", "_lastUpdated", "_id"}
PREFIXES = st.sampled_from(["eq", "ne", "gt", "ge", "lt", "le", "sa", "eb", "ap"])


@pytest.fixture(scope="module")
def emptied() -> Iterator[Corner]:
    corner = empty_corner()
    yield corner
    corner.connection.close()


@pytest.fixture
def corner(emptied: Corner) -> Corner:
    emptied.clear()
    return emptied


def judged(resource: dict[str, Any], name: str, value: str) -> bool:
    (criterion,) = parse_query(resource["resourceType"], [(name, value)], now=NOW).query.criteria
    return matches(resource, criterion)


def assert_same(corner: Corner, resource: dict[str, Any], name: str, value: str) -> None:
    """The one resource in the store is found exactly when it matches."""
    found = corner.found(resource["resourceType"], name, value)
    assert (found == ["x"]) is judged(resource, name, value), (name, value, resource)


@pytest.mark.parametrize("fhir_type", resource_types())
def test_a_value_of_every_parameter_is_found_by_searching_for_it(corner: Corner, fhir_type: str) -> None:
    for code, parameter in search_parameters(fhir_type).items():
        if code in WITHOUT_VALUES:
            continue
        for resource, text in samples(parameter):
            corner.clear()
            corner.add(resource)
            assert corner.found(fhir_type, code, text) == ["x"], (code, text, resource)
            assert corner.found(fhir_type, f"{code}:missing", "true") == []


MOMENTS = st.sampled_from(
    [
        *("2019", "2020", "2021", "2020-01", "2020-06", "2020-12", "2020-06-14", "2020-06-15", "2020-06-30"),
        *("2020-06-15T00:00Z", "2020-06-15T10:00:00Z", "2020-06-15T10:00:00.500Z", "2020-06-15T23:30:00-01:00"),
    ]
)
PERIODS = st.fixed_dictionaries({}, optional={"start": MOMENTS, "end": MOMENTS}).filter(
    lambda period: len(period) < 2 or interval(period["start"])[0] < interval(period["end"])[1]  # type: ignore[index]
)


@given(PREFIXES, MOMENTS, MOMENTS)
def test_dates_compare_alike(emptied: Corner, prefix: str, asked: str, stored: str) -> None:
    emptied.clear()
    reading = {"resourceType": "Observation", "effectiveDateTime": stored}
    emptied.add(reading)

    assert_same(emptied, reading, "date", prefix + asked)


@given(PREFIXES, MOMENTS, PERIODS)
def test_periods_compare_alike(emptied: Corner, prefix: str, asked: str, stored: dict[str, str]) -> None:
    emptied.clear()
    reading = {"resourceType": "Observation", "effectivePeriod": stored}
    emptied.add(reading)

    assert_same(emptied, reading, "date", prefix + asked)


@given(PREFIXES, MOMENTS, PERIODS, st.sampled_from(["c", "|c", "urn:a|c", "urn:b|c", "d"]))
def test_the_search_with_an_index_of_its_own_means_the_same(
    emptied: Corner, prefix: str, asked: str, stored: dict[str, str], code: str
) -> None:
    """One patient, one code, by date: the most frequent search of all."""
    emptied.clear()
    codings = [{"code": "c"}, {"system": "urn:a", "code": "c"}]
    reading = {"resourceType": "Observation", "subject": {"reference": "Patient/p"}, "code": {"coding": codings}}
    emptied.add({**reading, "effectivePeriod": stored}, "x")
    emptied.add({**reading, "subject": {"reference": "Patient/q"}, "effectivePeriod": stored}, "other")
    asked_for = [("patient", "p"), ("code", code), ("date", prefix + asked), ("_sort", "-date")]

    query = parse_query("Observation", asked_for, now=NOW).query

    assert hot_source(emptied.catalogue, query) is not None
    page = hot_page(emptied.connection, emptied.catalogue, query)
    assert (page is None) is ("urn:b" in code or prefix == "ne")
    assert page is None or [entry.id for entry in page.entries] == emptied.find(query)
    assert (emptied.find(query) == ["x"]) is matches_query({**reading, "effectivePeriod": stored}, query)


NUMBERS = st.decimals(min_value=-200, max_value=200, places=2) | st.sampled_from(["5", "5.4", "5.40", "1e2", "5400"])
RANGES = st.fixed_dictionaries(
    {"low": st.fixed_dictionaries({"value": st.integers(0, 5)})},
    optional={"high": st.fixed_dictionaries({"value": st.integers(5, 9)})},
)


@given(PREFIXES, NUMBERS, st.floats(-200, 200, width=16) | st.sampled_from([5.4, 5.35, 5.45, 95.0, 105.0]))
def test_numbers_compare_alike(emptied: Corner, prefix: str, asked: Any, stored: float) -> None:
    emptied.clear()
    risk = {"resourceType": "RiskAssessment", "prediction": [{"probabilityDecimal": stored}]}
    emptied.add(risk)

    assert_same(emptied, risk, "probability", f"{prefix}{asked}")


@given(PREFIXES, st.integers(-1, 10), RANGES)
def test_ranges_compare_alike(emptied: Corner, prefix: str, asked: int, stored: dict[str, Any]) -> None:
    emptied.clear()
    risk = {"resourceType": "RiskAssessment", "prediction": [{"probabilityRange": stored}]}
    emptied.add(risk)

    assert_same(emptied, risk, "probability", f"{prefix}{asked}")


@pytest.mark.parametrize("other", [("subject", "Patient/p"), ("_id", "small")], ids=["by its subject", "by its id"])
def test_the_amount_of_one_resource_is_not_taken_for_that_of_another(emptied: Corner, other: tuple[str, str]) -> None:
    emptied.clear()
    risk = {"resourceType": "RiskAssessment", "subject": {"reference": "Patient/p"}}
    emptied.add({**risk, "prediction": [{"probabilityDecimal": 1}]}, "small")
    emptied.add(
        {"resourceType": "RiskAssessment", "prediction": [{"probabilityRange": {"low": {"value": 5}}}]}, "large"
    )

    for asked in [("probability", "gt4"), other], [other, ("probability", "gt4")]:
        assert emptied.find(parse_query("RiskAssessment", asked, now=NOW).query) == []


UNITS = st.sampled_from([*sorted(ucum.table()), "[arb'U]"])
QUANTITIES = st.fixed_dictionaries(
    {"value": st.sampled_from([0.0054, 5.4, 5400.0, 37.0, 98.6])},
    optional={
        "system": st.sampled_from([UCUM, "urn:other"]),
        "code": UNITS,
        "unit": st.sampled_from(["gram", "mg"]),
        "comparator": st.sampled_from(["<", "<=", ">=", ">"]),
    },
)
UNITS_ASKED = st.sampled_from(["", f"|{UCUM}|", "|urn:other|", "||mg", "||gram"]) | UNITS.map(lambda u: f"|{UCUM}|{u}")


@given(PREFIXES, st.sampled_from(["5.4", "5400", "0.0054", "37", "98.6", "5e300"]), UNITS_ASKED, QUANTITIES)
def test_quantities_compare_alike(emptied: Corner, prefix: str, number: str, unit: str, stored: dict[str, Any]) -> None:
    emptied.clear()
    code = {"coding": [{"code": "c"}]}
    reading = {"resourceType": "Observation", "code": code, "valueQuantity": stored}
    emptied.add(reading)

    assert_same(emptied, reading, "value-quantity", f"{prefix}{number}{unit}")
    assert_same(emptied, reading, "code-value-quantity", f"c${prefix}{number}{unit}")


@pytest.mark.parametrize(
    ("element", "name", "value", "other"),
    [
        pytest.param(
            {"valueQuantity": {"value": 5.4, "system": "urn:a"}},
            "value-quantity",
            "5.4|urn:a|",
            "5.4|urn:b|",
            id="system",
        ),
        pytest.param(
            {"valueQuantity": {"value": 5.4, "system": UCUM, "code": "g"}},
            "value-quantity",
            f"5400|{UCUM}|mg",
            f"5400|{UCUM}|ug/L",
            id="unit",
        ),
        pytest.param({"code": {"text": "Blood Sugar"}}, "code:text", "blood s", "sugar", id="text"),
        pytest.param({"code": {"coding": [{"display": "Zucker"}]}}, "code:text", "zuck", "ucker", id="display"),
    ],
)
def test_what_a_parameter_says_in_several_ways_is_found(
    corner: Corner, element: dict[str, Any], name: str, value: str, other: str
) -> None:
    corner.add({"resourceType": "Observation", **element})

    assert corner.found("Observation", name, value) == ["x"]
    assert corner.found("Observation", name, other) == []


@pytest.mark.parametrize(
    ("name", "value", "found"),
    [
        ("_id", "x", True),
        ("_id", "y,x", True),
        ("_id", "|x", True),
        ("_id", "urn:a|x", False),
        ("_id:not", "x", False),
        ("_id:not", "y", True),
        ("_id:missing", "true", False),
        ("_id:missing", "false", True),
        ("_lastUpdated", "1970", True),
        ("_lastUpdated", "gt1970", False),
        ("_lastUpdated", "1969,le1970", True),
        ("_lastUpdated:missing", "true", False),
        ("_lastUpdated:missing", "false", True),
    ],
)
def test_what_every_resource_has_is_found_without_index_rows(
    corner: Corner, name: str, value: str, found: bool
) -> None:
    corner.add({"resourceType": "Basic", "id": "x", "meta": {"lastUpdated": "1970-01-01T00:00:00Z"}})

    assert corner.found("Basic", name, value) == (["x"] if found else [])
    assert (
        judged({"resourceType": "Basic", "id": "x", "meta": {"lastUpdated": "1970-01-01T00:00:00Z"}}, name, value)
        is found
    )


def test_what_the_store_cannot_do_is_refused(corner: Corner) -> None:
    with pytest.raises(NotSupported):
        corner.find(SearchQuery("Observation", (Match("_id", "token", (TokenValue(None, "x"),), "text"),)))


@pytest.mark.parametrize(("asked", "found"), [("http://o/q", True), ("http://o/q|2", True), ("http://o/q|3", False)])
def test_a_canonical_is_found_with_and_without_its_version(corner: Corner, asked: str, found: bool) -> None:
    corner.add({"resourceType": "QuestionnaireResponse", "questionnaire": "http://o/q|2"})

    assert bool(corner.found("QuestionnaireResponse", "questionnaire", asked)) is found
