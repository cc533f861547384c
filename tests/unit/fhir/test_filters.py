"""`_filter` becomes criteria; what is wrong with one is refused with what would be right."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_facade.errors import BadRequest, UnknownParameter
from fhir_facade.fhir.query import parse_query
from fhir_facade.fhir.query.filters import MAX_COMPARISONS, MAX_DEPTH
from fhir_facade.values import AnyOf, Chain, Criterion, DateValue, Match, MissingValue, Not, StringValue, TokenValue

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def criteria(text: str, type: str = "Observation") -> tuple[Criterion, ...]:
    return parse_query(type, [("_filter", text)], now=NOW).query.criteria


def plain(name: str, value: str, type: str = "Observation") -> Criterion:
    (found,) = parse_query(type, [(name, value)], now=NOW).query.criteria
    return found


A, B, C = (Match("status", "token", (TokenValue(None, code),)) for code in "abc")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "something is missing"),
        ("status", "something is missing"),
        ("status eq", "something is missing"),
        ("status eq a or", "something is missing"),
        ("status eq )", "')' is not expected here"),
        ("status eq a status eq b", "'status' is not expected here"),
        ("(status eq a", "')' is missing"),
        ("not status eq a", "'(' is missing"),
        ('status eq "a', "cannot read"),
        (r'status eq "\x"', "is no string of JSON"),
        (r'status eq "\ud800"', "is no string of JSON"),
        ("status is a", "'is' is no operator; operators are eq, ne, co"),
        ("date eq ge2020", "ge2020 is no date"),
        ("date ge x", "x is no date"),
        ("value-quantity gt 1e999", "is not a number"),
        ("code in http://o/vs", "the value set 'http://o/vs' is not known"),
        ("status pr maybe", "allowed are true and false"),
        (" or ".join(["status eq a"] * (MAX_COMPARISONS + 1)), f"more than {MAX_COMPARISONS} comparisons"),
        ("(" * (MAX_DEPTH + 1) + "status eq a" + ")" * (MAX_DEPTH + 1), f"more than {MAX_DEPTH} brackets"),
    ],
)
def test_what_cannot_be_read_is_refused(text: str, says: str) -> None:
    with pytest.raises(BadRequest) as refused:
        criteria(text)
    assert says in str(refused.value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("pulse eq 1", "'pulse' is not a search parameter"),
        ("status co a", "co does not compare a token; it takes string"),
        ("status gt a", "gt does not compare a token; it takes date, number, quantity"),
        ("subject.name ne Ada", "ne are not available over references"),
        ("not (subject.name eq Ada)", "not (…) and ne are not available over references"),
        ("near eq 1|2", "'near' is not a search parameter of Observation"),
    ],
)
def test_what_the_type_does_not_have_is_unknown(text: str, says: str) -> None:
    with pytest.raises(UnknownParameter) as refused:
        criteria(text)
    assert says in str(refused.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("status eq a", (A,)),
        ("status eq a and status eq b", (A, B)),
        ("status eq a or status eq b", (AnyOf(((A,), (B,))),)),
        ("status eq a or status eq b and status eq c", (AnyOf(((A,), (B,))), C)),
        ("status eq a or (status eq b and status eq c)", (AnyOf(((A,), (B, C))),)),
        ("not (status eq a)", (Not(A),)),
        ("status ne a", (Not(A),)),
        ("not (status ne a)", (A,)),
        ("not (status eq a and status eq b)", (AnyOf(((Not(A),), (Not(B),))),)),
        ("not (status eq a or status eq b)", (Not(A), Not(B))),
        ("not(status eq a)and(status eq b)", (Not(A), B)),
    ],
)
def test_comparisons_are_joined(text: str, expected: tuple[Criterion, ...]) -> None:
    assert criteria(text) == expected


@pytest.mark.parametrize(
    ("text", "name", "value"),
    [
        ("code eq http://loinc.org|8867-4", "code", "http://loinc.org|8867-4"),
        ('code eq "a,b"', "code", r"a\,b"),
        ('value-string sw "a|b, c"', "value-string", r"a\|b\, c"),
        ("value-string co a", "value-string:contains", "a"),
        ("value-string sw a", "value-string", "a"),
        ("date ge 2020", "date", "ge2020"),
        ("value-quantity lt 5.4|http://unitsofmeasure.org|g", "value-quantity", "lt5.4|http://unitsofmeasure.org|g"),
        ("code sb 8867-4", "code:above", "8867-4"),
        ("code ss 8867-4", "code:below", "8867-4"),
        (
            "code in https://fhir-facade.org/fhir/ValueSet/measure",
            "code:in",
            "https://fhir-facade.org/fhir/ValueSet/measure",
        ),
        ("subject re Patient/1", "subject", "Patient/1"),
        ("code pr true", "code:missing", "false"),
        ("code pr false", "code:missing", "true"),
        ("subject:Patient.name co a", "subject:Patient.name:contains", "a"),
        ("_has:Provenance:target:agent eq Practitioner/1", "_has:Provenance:target:agent", "Practitioner/1"),
    ],
)
def test_a_comparison_is_a_parameter(text: str, name: str, value: str) -> None:
    assert criteria(text) == (plain(name, value),)


def test_some_comparisons_no_parameter_has() -> None:
    equal = Match("value-string", "string", (StringValue("a|b, c"),), "equal")
    ends = Match("value-string", "string", (StringValue("ing"),), "ends")
    chained = Match("name", "string", (StringValue("da"),), "ends")
    (overlap,) = criteria("date po 2020-05")

    assert criteria('value-string eq "a|b, c"') == (equal,)
    assert criteria('value-string ne "a|b, c"') == (Not(equal),)
    assert criteria("value-string ew ing") == (ends,)
    assert criteria("subject:Patient.name ew da") == (Chain("subject", ("Patient",), chained),)
    assert isinstance(overlap, Match)
    assert overlap.values == (
        DateValue("ap", datetime(2020, 5, 1, tzinfo=UTC), datetime(2020, 6, 1, tzinfo=UTC), "2020-05"),
    )


def test_a_filter_stands_beside_other_parameters() -> None:
    found = parse_query(
        "Observation", [("status", "a"), ("_filter", "status eq b"), ("_filter", "status eq c")], now=NOW
    )

    assert found.query.criteria == (A, B, C)
    assert [name for name, _ in found.understood] == ["status", "_filter", "_filter"]


def test_what_is_there_is_the_opposite_of_missing() -> None:
    assert criteria("not (code pr true)") == (Not(Match("code", "token", (MissingValue(False),), "missing")),)


WORDS = st.sampled_from(
    ["status", "eq", "a", "and", "or", "not", "(", ")", '"x y"', "date", "ge", "2020", "subject.name", "ne", "pr"]
)


@given(st.lists(WORDS, max_size=12).map(" ".join) | st.text(max_size=40))
def test_whatever_is_asked_the_only_errors_are_bad_requests(text: str) -> None:
    try:
        criteria(text)
    except BadRequest:
        return


def test_a_path_that_means_different_things_asks_for_the_type() -> None:
    with pytest.raises(UnknownParameter, match="name the type behind a colon"):
        criteria("focus.location eq x", "MessageHeader")
    assert criteria("focus:Encounter.location eq Location/x", "MessageHeader")
