"""Search parameters become a query; what is wrong is refused with what would be right."""

from __future__ import annotations

import dataclasses
import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_facade.errors import BadRequest, UnknownParameter
from fhir_facade.fhir.definitions import resource_types, search_parameters
from fhir_facade.fhir.positions import HALFWAY_ROUND_M
from fhir_facade.fhir.query import (
    MAX_HOPS,
    MAX_PARAMETERS,
    MAX_VALUES,
    parse_query,
    whole_number,
    without_empty,
)
from fhir_facade.fhir.query.controls import MAX_SORT
from fhir_facade.fhir.query.dates import parse_instant
from fhir_facade.fhir.query.escape import split, unescape
from fhir_facade.values import (
    AnyOf,
    Chain,
    CompositeValue,
    DateValue,
    Has,
    Include,
    Match,
    MissingValue,
    NearValue,
    NumberValue,
    QuantityValue,
    ReferenceValue,
    SearchQuery,
    Sort,
    StringValue,
    TokenValue,
    UriValue,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)
BASE = "https://facade.example/fhir"


def parsed(fhir_type, *params, strict=True, **options):
    return parse_query(fhir_type, params, now=NOW, base_url=BASE, strict=strict, **options)


def criterion(fhir_type, name, value):
    (found,) = parsed(fhir_type, (name, value)).query.criteria
    return found


def value_of(fhir_type, name, value):
    found = criterion(fhir_type, name, value)
    assert isinstance(found, Match)
    (only,) = found.values
    return only


# --- refusals ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("pulse", "1", "known are _content, _has, _id"),
        ("_offset", "1", "'_offset' is not a search parameter of Observation"),
        ("_text:exact", "x", "_text:exact is unknown"),
        ("_sort", "_content", "_sort: _content has no order"),
        ("_query", "x", "_query"),
        ("_type", "Patient", "_type"),
        ("", "x", "is not a search parameter"),
        ("code:exact", "x", "modifiers of a token are above, below, in, missing, not, not-in, of-type, text"),
        ("_id:text", "x", "_id:text is unknown; modifiers of an id are missing, not"),
        ("date:not", "2020", "modifiers of a date are missing"),
        ("value-string:below", "x", "modifiers of a string are contains, exact, missing"),
        (
            "subject:Practitioner",
            "1",
            "modifiers of a reference are above, below, identifier, missing, a type it points to",
        ),
        ("code:Patient", "1", "code:Patient is unknown"),
        ("code.name", "x", "code of Observation is no reference; references are based-on"),
        ("subject:Practitioner.name", "x", "Observation.subject never points to Practitioner; it points to Device"),
        ("subject.pulse", "x", "nothing that subject points to knows 'pulse' (Device, Group, Location, Patient)"),
        ("subject:Patient.pulse", "x", "'pulse' is not a search parameter of Patient"),
        ("subject.", "x", "nothing that subject points to knows ''"),
        ("_has:Provenance:target", "x", "allowed is _has:Type:reference:parameter"),
        ("_has:Heart:target:agent", "x", "Heart is not a resource type of R4"),
        ("_has:Encounter:patient:status", "x", "Encounter.patient never points to Observation"),
        ("_has:Provenance:recorded:agent", "x", "recorded of Provenance is no reference"),
        ("_include", "Observation:pulse", "'pulse' is not a search parameter"),
        ("_include", "Observation:code", "is no reference"),
        ("_include", "Observation:subject:Practitioner", "never points to 'Practitioner'"),
        ("_revinclude", "Encounter:patient", "Encounter:patient never points to Observation"),
        ("_revinclude", "Coverage:*", "Coverage:* never points to Observation"),
        ("_include:deeper", "Observation:subject", "_include:deeper"),
        ("_sort", "pulse", "'pulse' is not a search parameter"),
        ("_sort", "-code-value-quantity", "_sort: code-value-quantity has no order"),
        ("_sort", "_list", "_sort: _list has no order"),
        ("_elements", "pulse", "Observation has no element 'pulse'; known are id, meta"),
    ],
)
def test_what_the_type_does_not_have_is_unknown_and_left_out_only_when_lenient(name, value, says):
    with pytest.raises(UnknownParameter) as refused:
        parsed("Observation", (name, value))
    assert says in str(refused.value)

    lenient = parsed("Observation", (name, value), ("status", "final"), strict=False)
    assert lenient.understood == (("status", "final"),)
    assert lenient.query.criteria == (Match("status", "token", (TokenValue(None, "final"),)),)
    assert (lenient.includes, lenient.elements, lenient.query.sort) == ((), (), ())
    (told,) = lenient.ignored
    assert (told.severity, told.code) == ("warning", "not-supported")
    assert told.diagnostics == f"{name} was ignored: {refused.value}"


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("code", "", "code: an empty value; leave the parameter out or use :missing"),
        ("code", "a,", "an empty value"),
        ("code", "a\0b", "which no text of FHIR may have"),
        ("_id", "\0", "which no text of FHIR may have"),
        ("subject:Patient.name", "\0", "which no text of FHIR may have"),
        ("_filter", 'status eq "\\u0000"', "which no text of FHIR may have"),
        ("code", "  ", "an empty value"),
        ("subject:Patient.name", "𝓐" * 385, "at most 768 characters"),
        ("code", "a|b|c", r"allowed are code, system|code, |code and system| (write \| for a bar"),
        ("code", "|", "is not a token"),
        ("code:missing", "maybe", "allowed are true and false"),
        ("identifier:of-type", "a|b", "allowed is system|code|value"),
        ("identifier:of-type", "a||c", "allowed is system|code|value"),
        ("date", "x", "allowed are YYYY, YYYY-MM"),
        ("date", "2020-02-30", "'2020-02-30' is not a date"),
        ("date", "ge", "'' is not a date"),
        ("date", "2020-01-01 10:00:00", "in a URL + is %2B"),
        ("value-quantity", "x", "'x' is not a number; allowed are at most 40 digits"),
        ("value-quantity", "5|mg", "allowed are number, number|system|code, number||code"),
        ("value-quantity", "1" * 41, "is not a number"),
        ("value-quantity", "1e999", "is not a number"),
        ("value-quantity", "1e1000", "is not a number"),
        ("value-quantity", "NaN", "is not a number"),
        ("value-quantity", "٣", "is not a number"),
        ("value-quantity", "ge", "is not a number"),
        ("subject.birthdate", "x", "birthdate: 'x' is not a date"),
        ("subject", "#p", "allowed are id, Type/id and URL"),
        ("subject", "Patient?name=x", "is not a reference to search for"),
        ("subject", "Heart/1", "is not a reference to search for"),
        ("subject:Patient", "a b", "is not an id of a Patient"),
        ("subject:Patient", "Group/1", "is not an id of a Patient"),
        ("subject:Patient", "http://elsewhere/Patient/1", "is not an id of a Patient"),
        ("code:in", "http://o/vs", "the value set 'http://o/vs' is not known here: store it"),
        ("code:not-in", "http://o/vs|1", "the value set 'http://o/vs|1' is not known here"),
        ("code:in", "http://hl7.org/fhir/ValueSet/mimetypes", "cannot be expanded: the codes of urn:ietf:bcp:13 are"),
        ("code:below", "s|a", "the code system s as it is known here has no code 'a'"),
        ("code:above", "no-such-code", "code:above: no code system known here has a code 'no-such-code'"),
        ("code:above", "http://loinc.org|", "http://loinc.org as it is known here has no code ''"),
        ("code-value-quantity", "a", "has 1 part(s); allowed is code$value-quantity"),
        ("code-value-quantity", "a$x", "value-quantity: 'x' is not a number"),
        ("code-value-quantity", "$5", "code: an empty value"),
        ("_list", "$current-problems", "is not the id of a List"),
        ("_count", "-1", "_count: '-1' is not a whole number from 0 up"),
        ("_count", "many", "is not a whole number"),
        ("_count", "1.5", "is not a whole number"),
        ("_count", "", "_count: an empty value"),
        ("_total", "some", "_total: 'some'; allowed are none, estimate, accurate"),
        ("_summary", "long", "allowed are true, text, data, count, false"),
        ("_contained", "yes", "allowed are false, true, both"),
        ("_containedType", "both", "allowed are container, contained"),
        ("_include", "Observation", "allowed are Type:parameter, Type:parameter:Target, Type:* and *"),
        ("_include", "Heart:subject", "allowed are Type:parameter"),
        ("_include", "*:subject", "allowed are Type:parameter"),
        ("_revinclude", "Provenance:target:Patient:x", "allowed are Type:parameter"),
    ],
)
@pytest.mark.parametrize("strict", [True, False])
def test_a_bad_value_is_refused_with_what_is_allowed(name, value, says, strict):
    with pytest.raises(BadRequest) as refused:
        parsed("Observation", (name, value), strict=strict)
    assert says in str(refused.value)


def test_a_system_search_takes_what_each_of_its_types_has_and_reads_it_for_each():
    found = parsed("Resource", ("patient", "1"), ("_type", "Encounter,Observation"))

    assert found.by_type == {kind: (criterion(kind, "patient", "1"),) for kind in ("Encounter", "Observation")}
    with pytest.raises(UnknownParameter, match="'class' is not a search parameter of Observation"):
        parsed("Resource", ("_type", "Encounter,Observation"), ("class", "AMB"))


def test_an_unknown_type_of_a_system_search_is_refused():
    with pytest.raises(BadRequest, match="'Heart' is not a resource type"):
        parsed("Resource", ("_type", "Patient,Heart"))


def test_too_many_parameters_are_refused():
    with pytest.raises(BadRequest, match=f"at most {MAX_PARAMETERS}"):
        parsed("Observation", *[("status", "final")] * (MAX_PARAMETERS + 1))
    assert len(parsed("Observation", *[("status", "final")] * MAX_PARAMETERS).query.criteria) == MAX_PARAMETERS


def test_too_many_values_are_refused():
    with pytest.raises(BadRequest, match=f"at most {MAX_VALUES}"):
        parsed("Observation", ("code", ",".join(["a"] * (MAX_VALUES + 1))))
    assert len(criterion("Observation", "code", ",".join(["a"] * MAX_VALUES)).values) == MAX_VALUES


def test_an_order_of_too_many_keys_is_refused():
    kinds = {name: own.kind for name, own in search_parameters("Observation").items() if own.expression}
    keys = [name for name, kind in kinds.items() if kind in ("date", "token", "string")][: MAX_SORT + 1]
    with pytest.raises(BadRequest, match=f"more than {MAX_SORT} keys"):
        parsed("Observation", ("_sort", ",".join(keys[:MAX_SORT])), ("_sort", keys[MAX_SORT]))
    with pytest.raises(BadRequest, match=f"more than {MAX_SORT} keys"):
        parsed("Observation", ("_sort", ",".join(["date"] * (MAX_SORT + 1))))


def test_what_is_sorted_by_twice_counts_once():
    asked = parsed("Observation", ("_sort", "-date,code,date"), ("_sort", "-code,status"))

    assert [(key.name, key.descending) for key in asked.query.sort] == [
        ("date", True),
        ("code", False),
        ("status", False),
    ]


def test_a_chain_that_is_too_long_is_refused():
    with pytest.raises(BadRequest, match=f"more than {MAX_HOPS} references"):
        parsed("Organization", ("partof." * (MAX_HOPS + 1) + "name", "x"))
    assert criterion("Organization", "partof." * MAX_HOPS + "name", "x")
    with pytest.raises(BadRequest, match="more than"):
        parsed("Provenance", ("target." * 3000 + "recorded", "2020"))


def test_a_chain_that_means_different_things_is_each_of_them():
    found = criterion("MessageHeader", "focus.location", "x")

    assert isinstance(found, AnyOf)
    assert criterion("MessageHeader", "focus:Encounter.location", "x") in [
        dataclasses.replace(way, targets=("Encounter",)) for (way,) in found.groups if "Encounter" in way.targets
    ]
    names = [name for (way,) in found.groups for name in way.targets]
    assert len(names) == len(set(names))


ANY_NAME = st.one_of(
    st.text(max_size=40),
    st.sampled_from(sorted(search_parameters("Observation"))),
    st.sampled_from(["_has:", "_has:Provenance:target:", "subject.", "subject:", "code:", ":", "_include", "_sort"]),
    st.builds(
        "".join,
        st.lists(
            st.sampled_from(["_has", ":", ".", "subject", "Patient", "name", "code", "missing", "text"]), max_size=9
        ),
    ),
)
ANY_VALUE = st.one_of(
    st.text(max_size=60),
    st.text(alphabet="0123456789-+.eETZ:|$,\\gelb", max_size=40),
)


@given(
    st.lists(st.tuples(ANY_NAME, ANY_VALUE), max_size=4), st.booleans(), st.sampled_from(["Observation", "Resource"])
)
def test_whatever_is_asked_the_only_errors_are_bad_requests(params, strict, fhir_type):
    try:
        found = parse_query(fhir_type, params, now=NOW, strict=strict)
    except BadRequest:
        return
    assert len(found.understood) <= len(params)


# --- values -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("a", TokenValue(None, "a")),
        ("s|a", TokenValue("s", "a")),
        ("|a", TokenValue("", "a")),
        ("s|", TokenValue("s", None)),
        (r"s\|t|a\,b\$c\\", TokenValue("s|t", r"a,b$c\ "[:-1])),
        (r"a\b", TokenValue(None, r"a\b")),
    ],
)
def test_a_token_is_a_system_and_a_code(value, expected):
    assert value_of("Observation", "code", value) == expected


def test_commas_are_alternatives_and_repetitions_are_conditions():
    found = parsed("Observation", ("code", r"a,b\,c"), ("code", "d")).query.criteria
    assert found == (
        Match("code", "token", (TokenValue(None, "a"), TokenValue(None, "b,c"))),
        Match("code", "token", (TokenValue(None, "d"),)),
    )


@pytest.mark.parametrize(
    ("value", "low", "high"),
    [
        ("100", "99.5", "100.5"),
        ("100.00", "99.995", "100.005"),
        ("1e2", "95", "105"),
        ("5.4", "5.35", "5.45"),
        ("5.40", "5.395", "5.405"),
        ("5.4e-3", "0.00535", "0.00545"),
        ("-5", "-5.5", "-4.5"),
        ("+5", "4.5", "5.5"),
        ("0", "-0.5", "0.5"),
        ("ap100", "90.0", "110.0"),
        ("ap-100", "-110.0", "-90.0"),
        ("ap1", "0.5", "1.5"),
    ],
)
def test_the_digits_of_a_number_say_how_exact_it_is(value, low, high):
    found = value_of("RiskAssessment", "probability", value)
    assert isinstance(found, NumberValue)
    assert (found.low, found.high) == (Decimal(low), Decimal(high))


@given(st.decimals(allow_nan=False, allow_infinity=False, places=6, min_value=-(10**20), max_value=10**20))
def test_a_number_lies_within_its_own_interval(number):
    found = value_of("RiskAssessment", "probability", str(number))
    assert found.low < found.number == number < found.high


@pytest.mark.parametrize("prefix", ["eq", "ne", "gt", "ge", "lt", "le", "sa", "eb", "ap"])
def test_every_prefix_is_understood_for_ordered_kinds(prefix):
    assert value_of("Observation", "date", f"{prefix}2020").prefix == prefix
    assert value_of("Observation", "value-quantity", f"{prefix}5").prefix == prefix
    assert value_of("RiskAssessment", "probability", f"{prefix}5").prefix == prefix
    assert value_of("Patient", "name", f"{prefix}5") == StringValue(f"{prefix}5")


@pytest.mark.parametrize(
    ("value", "system", "code"),
    [
        ("5.4", None, None),
        ("5.4|http://unitsofmeasure.org|mg", "http://unitsofmeasure.org", "mg"),
        ("5.4||mg", None, "mg"),
        ("5.4|http://unitsofmeasure.org|", "http://unitsofmeasure.org", None),
        (r"5.4||m\|g", None, "m|g"),
    ],
)
def test_a_quantity_has_a_unit_or_not(value, system, code):
    found = value_of("Observation", "value-quantity", value)
    assert found == QuantityValue("eq", Decimal("5.4"), Decimal("5.35"), Decimal("5.45"), system, code, "5.4")


@pytest.mark.parametrize(
    ("value", "low", "high"),
    [
        ("2020", datetime(2020, 1, 1, tzinfo=UTC), datetime(2021, 1, 1, tzinfo=UTC)),
        ("ge2020-02", datetime(2020, 2, 1, tzinfo=UTC), datetime(2020, 3, 1, tzinfo=UTC)),
        ("2020-02-29T10:00", datetime(2020, 2, 29, 10, tzinfo=UTC), datetime(2020, 2, 29, 10, 1, tzinfo=UTC)),
        ("2020-02-29T10:00:00+02:00", datetime(2020, 2, 29, 8, tzinfo=UTC), datetime(2020, 2, 29, 8, 0, 1, tzinfo=UTC)),
        ("ap2025-12-21", datetime(2025, 12, 20, tzinfo=UTC), datetime(2025, 12, 23, tzinfo=UTC)),
        ("ap2026-01-11", datetime(2026, 1, 10, tzinfo=UTC), datetime(2026, 1, 13, tzinfo=UTC)),
        ("ap2026", datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)),
        ("ap9999", None, datetime.max.replace(tzinfo=UTC)),
        ("ap0001", datetime.min.replace(tzinfo=UTC), None),
    ],
)
def test_a_date_is_an_interval_and_approximate_widens_it(value, low, high):
    found = value_of("Observation", "date", value)
    assert isinstance(found, DateValue)
    assert low in (None, found.low)
    assert high in (None, found.high) or found.high - high == timedelta(0)
    assert found.text == value.removeprefix("ge").removeprefix("ap")


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("subject", "p1", ReferenceValue(None, "p1")),
        ("patient", "p1", ReferenceValue("Patient", "p1")),
        ("subject", "Patient/p1", ReferenceValue("Patient", "p1")),
        ("subject", f"{BASE}/Patient/p1", ReferenceValue("Patient", "p1")),
        ("subject:Patient", "p1", ReferenceValue("Patient", "p1")),
        ("subject:Patient", "Patient/p1", ReferenceValue("Patient", "p1")),
        ("subject", "http://o.example/Patient/1", ReferenceValue(None, None, "http://o.example/Patient/1")),
        ("subject", "urn:uuid:1", ReferenceValue(None, None, "urn:uuid:1")),
        ("subject", "http://o.example/q|2", ReferenceValue(None, None, "http://o.example/q|2")),
    ],
)
def test_a_reference_is_an_id_a_relative_reference_or_a_url(name, value, expected):
    found = criterion("Observation", name, value)
    assert found == Match(name.partition(":")[0], "reference", (expected,))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("48.4|9.99|20|km", NearValue(48.4, 9.99, 20_000)),
        ("48.4|9.99|20", NearValue(48.4, 9.99, 20_000)),
        ("-48.4|-180|300|m", NearValue(-48.4, -180, 300)),
        ("0|0|1|[mi_i]", NearValue(0, 0, 1609.344)),
        ("0|0", NearValue(0, 0, 10_000)),
        ("0|0||m", NearValue(0, 0, 10)),
        ("0|0|9e99", NearValue(0, 0, HALFWAY_ROUND_M)),
    ],
)
def test_near_is_a_point_and_a_distance_of_kilometres_unless_it_says_otherwise(value, expected):
    assert value_of("Location", "near", value) == expected


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("48.4", "'48.4' is no place; allowed is latitude|longitude"),
        ("1|2|3|km|5", "is no place"),
        ("91|0", "'91' is beyond 90 degrees"),
        ("0|-181", "'-181' is beyond 180 degrees"),
        ("ge0|0", "'ge0' takes no prefix"),
        ("x|0", "takes no prefix"),
        ("|0", "is not a number"),
        ("0|0|1|kg", "'kg' is no unit of length known here"),
        ("0|0|1|parsec", "'parsec' is no unit of length known here"),
        ("0|0|-1", "the distance '-1' is negative"),
    ],
)
def test_what_is_no_place_is_refused(value, says):
    with pytest.raises(BadRequest) as refused:
        parsed("Location", ("near", value))
    assert says in str(refused.value)


def test_a_composite_takes_one_value_per_component():
    found = value_of("Observation", "code-value-quantity", r"http://loinc.org|8480-6$gt120||mm\[Hg\]")
    assert isinstance(found, CompositeValue)
    token, quantity = found.parts
    assert token == TokenValue("http://loinc.org", "8480-6")
    assert (quantity.prefix, quantity.number, quantity.code) == ("gt", Decimal(120), r"mm\[Hg\]")


@pytest.mark.parametrize(
    ("fhir_type", "name", "value", "kind", "expected"),
    [
        ("Patient", "name:exact", "Müller", "string", StringValue("Müller")),
        ("Patient", "name:contains", r"a\,b", "string", StringValue("a,b")),
        ("Observation", "code:text", "heart", "token", StringValue("heart")),
        ("Observation", "code:not", "s|a", "token", TokenValue("s", "a")),
        ("Patient", "identifier:of-type", "t|MR|1", "token", TokenValue("t", "1", "MR")),
        ("Observation", "subject:identifier", "s|1", "reference", TokenValue("s", "1")),
        ("ValueSet", "url:below", "http://o/", "uri", UriValue("http://o/")),
        ("Observation", "date:missing", "true", "date", MissingValue(True)),
        ("Observation", "code-value-quantity:missing", "false", "composite", MissingValue(False)),
    ],
)
def test_a_modifier_changes_what_the_value_is(fhir_type, name, value, kind, expected):
    code, _, modifier = name.partition(":")
    assert criterion(fhir_type, name, value) == Match(code, kind, (expected,), modifier)


@pytest.mark.parametrize(
    "text",
    [
        *("2020", "2020-01-01", "2020-01-01T00:00:00Z", "2020-01-01T00:00:00.000+00:00"),
        pytest.param("2020-01-01T02:00:00.000 02:00", id="its plus not escaped"),
    ],
)
def test_an_instant_is_where_the_date_begins(text):
    assert parse_instant(text) == datetime(2020, 1, 1, tzinfo=UTC)


def test_the_plus_before_a_zone_need_not_be_escaped():
    bare, escaped = (criterion("Observation", "date", f"ge2020-01-01T10:00:00{sign}02:00") for sign in " +")
    assert bare == escaped


def test_an_instant_that_is_none_is_refused():
    with pytest.raises(BadRequest, match="'soon' is not a date"):
        parse_instant("soon")


def test_a_whole_number_counts_something():
    assert whole_number("_count", "0") == 0
    with pytest.raises(BadRequest, match="_since"):
        whole_number("_since", "1" * 10)


# --- chains -----------------------------------------------------------------------------------------------------


def test_a_chain_goes_through_every_type_that_has_the_parameter():
    inner = Match("name", "string", (StringValue("x"),))
    assert criterion("Observation", "subject.name", "x") == Chain("subject", ("Location", "Patient"), inner)
    assert criterion("Observation", "subject:Patient.name", "x") == Chain("subject", ("Patient",), inner)


def test_a_chain_can_be_long_and_end_in_a_modifier():
    inner = Match("name", "string", (StringValue("x"),), "exact")
    assert criterion("Observation", "encounter.subject:Patient.organization.name:exact", "x") == Chain(
        "encounter", ("Encounter",), Chain("subject", ("Patient",), Chain("organization", ("Organization",), inner))
    )


def test_the_id_at_the_end_of_a_chain_is_a_token():
    found = criterion("Observation", "subject:Patient._id", "p1")
    assert found == Chain("subject", ("Patient",), Match("_id", "token", (TokenValue(None, "p1"),)))


def test_has_asks_for_what_refers_to_the_match_at_any_depth():
    inner = Match("agent", "reference", (ReferenceValue("Practitioner", "1"),))
    found = criterion("Patient", "_has:Observation:patient:_has:AuditEvent:entity:agent", "Practitioner/1")
    assert found == Has("Observation", "patient", Has("AuditEvent", "entity", inner))


def test_has_and_chains_mix():
    inner = Match("name", "string", (StringValue("x"),))
    assert criterion("Patient", "_has:Observation:patient:performer:Practitioner.name", "x") == Has(
        "Observation", "patient", Chain("performer", ("Practitioner",), inner)
    )
    assert criterion("Observation", "patient._has:Group:member:_id", "g") == Chain(
        "patient", ("Patient",), Has("Group", "member", Match("_id", "token", (TokenValue(None, "g"),)))
    )


def test_the_members_of_a_list_are_what_a_list_item_refers_to():
    assert criterion("Observation", "_list", "l1") == Has(
        "List", "item", Match("_id", "token", (TokenValue(None, "l1"),))
    )


# --- controls ---------------------------------------------------------------------------------------------------


def test_a_search_without_parameters_asks_for_everything():
    found = parsed("Observation")
    assert found.query == SearchQuery("Observation")
    assert (found.count, found.summary, found.total_mode, found.understood) == (None, None, None, ())


def test_contained_resources_are_left_out_unless_asked_for():
    plain, both = parsed("Observation"), parsed("Observation", ("_contained", "both"), ("_containedType", "contained"))

    assert (plain.contained, plain.contained_type) == ("false", "container")
    assert (both.contained, both.contained_type) == ("both", "contained")


def test_the_answer_is_shaped_by_controls():
    found = parsed(
        "Observation",
        ("_sort", "-date,_id,value-quantity"),
        ("_count", "5000"),
        ("_total", "accurate"),
        ("_summary", "true"),
        ("_elements", "status,code,status"),
        ("_elements", "value"),
        ("_format", "json"),
        ("_pretty", "true"),
    )
    assert found.query.sort == (Sort("date", "date", True), Sort("_id", "token"), Sort("value-quantity", "quantity"))
    assert (found.count, found.query.count, found.query.total) == (1000, 1000, True)
    assert (found.total_mode, found.summary, found.elements) == ("accurate", "true", ("status", "code", "value"))
    assert [name for name, _ in found.understood] == ["_sort", "_count", "_total", "_summary", "_elements", "_elements"]


@pytest.mark.parametrize(("name", "value"), [("_count", "0"), ("_summary", "count")])
def test_counting_only_asks_for_the_total_and_no_entries(name, value):
    found = parsed("Observation", (name, value)).query
    assert (found.count, found.total) == (0, True)


@pytest.mark.parametrize(
    ("mode", "total"),
    [("none", False), ("estimate", True), ("accurate", True), pytest.param("estimated", True, id="as HAPI's client")],
)
def test_the_total_is_counted_when_asked_for(mode, total):
    assert parsed("Observation", ("_total", mode)).query.total is total


def test_the_total_is_also_asked_for_as_fhirpy_does():
    assert parsed("Observation", ("_totalMethod", "count"), ("_count", "1")).query.total is True
    with pytest.raises(BadRequest, match="allowed are count, estimate"):
        parsed("Observation", ("_totalMethod", "guess"))


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("_include", "Observation:subject", Include("Observation", "subject")),
        ("_include", "Observation:subject:Patient", Include("Observation", "subject", "Patient")),
        ("_include:iterate", "Patient:organization", Include("Patient", "organization", iterate=True)),
        ("_include:recurse", "Patient:organization", Include("Patient", "organization", iterate=True)),
        ("_revinclude:recurse", "Encounter:patient", Include("Encounter", "patient", reverse=True, iterate=True)),
        ("_include", "Observation:*", Include("Observation", "*")),
        ("_include", "*", Include("*", "*")),
        ("_revinclude", "Provenance:target", Include("Provenance", "target", reverse=True)),
        ("_revinclude:iterate", "Encounter:patient", Include("Encounter", "patient", reverse=True, iterate=True)),
        ("_revinclude", "*", Include("*", "*", reverse=True)),
        ("_revinclude", "Provenance:*", Include("Provenance", "*", reverse=True)),
        ("_revinclude", "Provenance:*:Observation", Include("Provenance", "*", "Observation", reverse=True)),
    ],
)
def test_includes_follow_references_both_ways(name, value, expected):
    assert parsed("Observation", (name, value)).includes == (expected,)


def test_a_search_of_the_whole_system_knows_the_common_parameters_and_types():
    found = parsed(
        "Resource",
        ("_type", "Patient,Observation,Patient"),
        ("_lastUpdated", "ge2020"),
        ("_revinclude", "Encounter:patient"),
    )
    assert found.types == ("Patient", "Observation")
    assert found.query.type == "Resource"
    with pytest.raises(UnknownParameter):
        parsed("Resource", ("code", "x"))


@given(st.lists(st.text(), min_size=1), st.sampled_from(",$|"))
def test_no_text_is_lost_between_escaping_and_reading(texts, separator):
    escaped = [re.sub(r"([,$|\\])", r"\\\1", text) for text in texts]

    assert [unescape(part) for part in split(separator.join(escaped), separator)] == texts


@pytest.mark.parametrize("said", ["Patient/1/_history/2", f"{BASE}/Patient/1/_history/2", f"{BASE}/Patient/1"])
def test_a_reference_is_asked_for_without_the_version_that_it_names(said):
    for name in ("subject", "subject:Patient"):
        asked = parsed("Observation", (name, said))
        assert asked.query.criteria == parsed("Observation", (name, "Patient/1")).query.criteria


def test_every_type_can_be_searched():
    for fhir_type in resource_types():
        assert parsed(fhir_type, ("_id", "1")).query.type == fhir_type


@pytest.mark.parametrize(
    "said",
    ["value", "value[x]", "valueQuantity", "valueDateTime", "Observation.value", "value.unit", "valueQuantity.unit"],
)
def test_an_element_may_be_named_with_its_type(said):
    assert parsed("Observation", ("_elements", said)).elements == ("value",)


@pytest.mark.parametrize(
    "said", ["code.coding.code", "Observation.code.coding", "code.extension.valueString", "code.id"]
)
def test_a_part_of_an_element_stands_for_the_element(said):
    assert parsed("Observation", ("_elements", said)).elements == ("code",)


@pytest.mark.parametrize(
    "said",
    [
        *("valuePatient", "status[y]", "Patient.status", "effectiveQuantity"),
        *("code.family", "code.coding.pulse", "code.", "status.x", "value.family", "pulse.code"),
    ],
)
def test_an_element_of_another_type_is_unknown(said):
    with pytest.raises(UnknownParameter):
        parsed("Observation", ("_elements", said))


def test_what_is_empty_is_left_out_where_that_is_wanted():
    asked = [("status", "final"), ("code", " "), ("_sort", ""), ("subject:Patient.name", ""), ("_filter", "")]

    found = parsed("Observation", *asked, ignore_empty=True)

    assert found.understood == (("status", "final"),)
    with pytest.raises(BadRequest, match="maybe"):
        parsed("Observation", ("code:missing", "maybe"), ignore_empty=True)
    with pytest.raises(UnknownParameter):
        parsed("Observation", ("pulse", ""), ignore_empty=True)


@pytest.mark.parametrize(
    ("name", "value", "means"),
    [
        ("code", "a,,b", "a,b"),
        ("code", ",a\\,,, ,b,", "a\\,,b"),
        ("subject:Patient.name", ",x", "x"),
        ("_sort", "-date,,status,", "-date,status"),
        ("_elements", ",status", "status"),
        ("_filter", 'code eq "a,,b"', 'code eq "a,,b"'),
    ],
)
def test_what_is_empty_between_commas_is_left_out_where_that_is_wanted(name, value, means):
    assert without_empty([(name, value)]) == ((name, means),)
    assert parsed("Observation", (name, means)).understood == ((name, means),)


def test_commas_alone_are_as_good_as_nothing():
    asked = without_empty([("code", ", ,"), ("_sort", ",")])

    assert parsed("Observation", *asked, ignore_empty=True).understood == ()


@pytest.mark.parametrize(("name", "value"), [("_sort", "status,pulse"), ("_elements", "status,pulse")])
def test_what_is_ignored_has_no_effect_in_parts(name, value):
    lenient = parsed("Observation", (name, value), strict=False)

    assert (lenient.query.sort, lenient.elements, lenient.understood) == ((), (), ())


def test_the_count_that_is_understood_is_the_one_that_is_used():
    assert parsed("Observation", ("_count", "5000"), ("_sort", "date")).understood == (
        ("_count", "1000"),
        ("_sort", "date"),
    )
