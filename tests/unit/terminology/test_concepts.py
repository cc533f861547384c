"""Compositions of value sets; https://hl7.org/fhir/R4/valueset.html#compositions."""

from __future__ import annotations

from typing import Any

import pytest

from terminology.concept import CannotExpand
from terminology.concepts import MOST_STEPS, concepts_of, expand, matches_text, needs
from terminology.known import known, known_by_id

FRUIT: dict[str, Any] = {
    "resourceType": "CodeSystem",
    "url": "urn:fruit",
    "content": "complete",
    "concept": [
        {
            "code": "pome",
            "display": "Pome fruit",
            "concept": [
                {"code": "apple", "display": "Apple", "concept": [{"code": "gala", "display": "Gala apple"}]},
                {"code": "pear", "display": "Pear", "property": [{"code": "colour", "valueCode": "green"}]},
            ],
        },
        {
            "code": "plum",
            "display": "Plum",
            "property": [
                {"code": "colour", "valueCoding": {"code": "blue"}},
                {"code": "stone", "valueBoolean": True},
                {"code": "status", "valueCode": "retired"},
            ],
        },
    ],
}
SETS: dict[str, Any] = {
    "urn:liked": {
        "url": "urn:liked",
        "compose": {"include": [{"system": "urn:fruit", "concept": [{"code": "apple"}]}]},
    },
    "urn:circle": {"url": "urn:circle", "compose": {"include": [{"valueSet": ["urn:circle"]}]}},
}


def find(kind: str, url: str) -> Any:
    return (
        SETS.get(url) if kind == "ValueSet" else {"urn:fruit": FRUIT, "urn:empty": {"content": "not-present"}}.get(url)
    )


def codes(*include: dict[str, Any], **compose: Any) -> list[str]:
    return [one.code for one in expand({"compose": {"include": list(include), **compose}}, find)]


def rule(name: str, operator: str, value: str) -> dict[str, Any]:
    return {"system": "urn:fruit", "filter": [{"property": name, "op": operator, "value": value}]}


def filtered(name: str, operator: str, value: str) -> list[str]:
    return codes(rule(name, operator, value))


@pytest.mark.parametrize(
    ("include", "text"),
    [
        pytest.param({"system": "urn:none"}, "urn:none", id="unknown system"),
        pytest.param({"system": "urn:empty"}, "urn:empty", id="system without its codes"),
        pytest.param({"valueSet": ["urn:other|1"]}, "urn:other", id="unknown value set"),
        pytest.param({"valueSet": ["urn:circle"]}, "include each other", id="circle"),
        pytest.param(rule("code", "child-of", "pome"), "child-of", id="filter"),
        pytest.param(rule("code", "regex", "("), "cannot be read", id="broken expression"),
        pytest.param(rule("code", "regex", "a)|(b"), "cannot be read", id="expression that reaches over its end"),
        pytest.param(rule("code", "regex", r"(a)\1"), "takes too long", id="expression that looks back"),
        pytest.param(rule("code", "regex", "a{1000}{1000}"), "is too large", id="large expression"),
        pytest.param(rule("code", "regex", "a" * 1001), "may have 1000 characters", id="long expression"),
        pytest.param(
            {"system": "urn:fruit", "filter": [rule("code", "exists", "true")["filter"][0]] * MOST_STEPS},
            "more than",
            id="too much work",
        ),
    ],
)
def test_what_cannot_be_expanded_says_why(include: dict[str, Any], text: str) -> None:
    with pytest.raises(CannotExpand, match=text):
        codes(include)


@pytest.mark.parametrize(
    ("name", "operator", "value", "expected"),
    [
        ("concept", "is-a", "apple", ["apple", "gala"]),
        ("concept", "descendent-of", "apple", ["gala"]),
        ("concept", "is-not-a", "pome", ["plum"]),
        ("code", "in", "pear, plum", ["pear", "plum"]),
        ("code", "not-in", "pear,plum,gala", ["pome", "apple"]),
        ("colour", "=", "green", ["pear"]),
        ("colour", "=", "blue", ["plum"]),
        ("stone", "=", "true", ["plum"]),
        ("parent", "=", "pome", ["apple", "pear"]),
        ("display", "=", "Plum", ["plum"]),
        ("colour", "exists", "false", ["pome", "apple", "gala"]),
        ("concept", "generalizes", "gala", ["pome", "apple", "gala"]),
        ("concept", "generalizes", "none", []),
        ("child", "=", "gala", ["apple"]),
        ("code", "regex", "p.*", ["pome", "pear", "plum"]),
        ("code", "regex", "p", []),
        ("display", "regex", "Gala apple|Pl[a-z]m", ["gala", "plum"]),
        ("colour", "regex", "(blue|green)", ["pear", "plum"]),
        ("definition", "exists", "true", []),
    ],
)
def test_a_filter_chooses_codes(name: str, operator: str, value: str, expected: list[str]) -> None:
    assert filtered(name, operator, value) == expected


def test_an_expression_that_tries_everything_takes_no_longer_than_another() -> None:
    """In an engine that goes back, each letter would double the time: this would take years."""
    long = {"url": "urn:long", "content": "complete", "concept": [{"code": "a" * 20_000}]}
    include = {"system": "urn:long", "filter": [{"property": "code", "op": "regex", "value": "(a+)+b"}]}

    assert expand({"compose": {"include": [include]}}, lambda *_: long) == ()


def test_a_set_that_includes_another_many_times_over_looks_into_it_once() -> None:
    """Each would be ten times the work of the one before."""
    sets = {
        f"urn:{number}": {"compose": {"include": [{"valueSet": [f"urn:{number + 1}"]}] * 10}} for number in range(8)
    } | {"urn:8": SETS["urn:liked"]}

    found = expand(sets["urn:0"], lambda kind, url: sets.get(url) if kind == "ValueSet" else FRUIT)

    assert [one.code for one in found] == ["apple"]


WHY: dict[str, Any] = {"extension": [{"url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason"}]}


def test_what_only_says_why_it_is_not_told_is_left_out() -> None:
    system = {"url": "urn:fruit", "content": "complete", "concept": [{"_code": WHY, "concept": [{"code": "inner"}]}]}
    properties = {"code": "outer", "property": [{"_code": WHY, "valueBoolean": True}], "concept": [{"_code": WHY}]}

    (inner,), (outer,) = concepts_of(system), concepts_of({"concept": [properties]})

    assert (inner.code, inner.above) == ("inner", ())
    assert (outer.below, outer.abstract, outer.inactive) == ((), False, False)
    assert codes({"system": "urn:fruit", "concept": [{"_code": WHY}, {"code": "plum"}]}) == ["plum"]
    assert codes({"valueSet": [None, "urn:liked"], "_valueSet": [WHY, None]}) == ["apple"]
    assert codes({"_system": WHY}) == []


@pytest.mark.parametrize("missing", ["property", "op", "value"])
def test_a_filter_that_is_not_told_whole_cannot_be_held(missing: str) -> None:
    whole = {"property": "code", "op": "=", "value": "plum"}
    part = {name: value for name, value in whole.items() if name != missing} | {f"_{missing}": WHY}

    with pytest.raises(CannotExpand, match="does not tell"):
        codes({"system": "urn:fruit", "filter": [part]})


def test_several_filters_hold_together() -> None:
    rules = [
        {"property": "concept", "op": "is-a", "value": "pome"},
        {"property": "colour", "op": "exists", "value": "true"},
    ]

    assert codes({"system": "urn:fruit", "filter": rules}) == ["pear"]


def test_a_set_is_the_union_of_its_parts_without_what_is_excluded() -> None:
    parts = ({"system": "urn:fruit", "concept": [{"code": "plum"}, {"code": "apple"}]}, {"valueSet": ["urn:liked"]})

    assert codes(*parts) == ["plum", "apple"]
    assert codes(*parts, exclude=[{"system": "urn:fruit", "concept": [{"code": "plum"}]}]) == ["apple"]


def test_a_part_is_what_all_of_its_conditions_name() -> None:
    assert codes({"system": "urn:fruit", "valueSet": ["urn:liked"]}) == ["apple"]
    assert codes({}) == []


def test_a_listed_code_needs_no_system_that_is_known_and_may_have_a_name_of_its_own() -> None:
    listed = [{"code": "x", "display": "Ex"}, {"code": "y"}]
    (first, second) = expand({"compose": {"include": [{"system": "urn:none", "concept": listed}]}}, find)
    (own,) = expand(
        {"compose": {"include": [{"system": "urn:fruit", "concept": [{"code": "apple", "display": "An apple"}]}]}}, find
    )

    assert (first.display, second.display) == ("Ex", None)
    assert (own.display, own.above) == ("An apple", ("pome",))


def test_a_set_without_a_composition_is_its_expansion() -> None:
    inner = [{"system": "urn:x", "code": "a", "display": "A"}, {"display": "a group", "contains": [{"code": "b"}]}]
    contains = [{"code": "g", "abstract": True, "contains": inner}]

    assert [one.key for one in expand({"expansion": {"contains": contains}}, find)] == [("urn:x", "a"), ("", "b")]
    assert expand({}, find) == ()


def test_what_an_expansion_needs_is_known_before() -> None:
    value_set = {
        "compose": {
            "include": [{"system": "urn:a", "valueSet": ["urn:b|1"]}],
            "exclude": [{"system": "urn:c"}, {"valueSet": ["urn:d"]}],
        }
    }

    assert needs(value_set) == {
        ("CodeSystem", "urn:a"),
        ("ValueSet", "urn:b"),
        ("CodeSystem", "urn:c"),
        ("ValueSet", "urn:d"),
    }


def test_a_concept_knows_its_place_and_its_state() -> None:
    found = {one.code: one for one in concepts_of(FRUIT)}

    assert (found["gala"].above, found["pome"].below) == (("pome", "apple"), ("apple", "pear"))
    assert [one.code for one in found.values() if one.inactive] == ["plum"]
    assert not any(one.abstract for one in found.values())


@pytest.mark.parametrize(
    ("text", "expected"),
    [("APP", ["apple", "gala"]), ("gala apple", ["gala"]), ("po", ["pome"]), ("kiwi", [])],
)
def test_a_text_finds_names_and_beginnings_of_codes(text: str, expected: list[str]) -> None:
    assert [one.code for one in concepts_of(FRUIT) if matches_text(one, text)] == expected


ELSEWHERE = {"http://hl7.org/fhir/ValueSet/currencies", "http://hl7.org/fhir/ValueSet/mimetypes"}


def test_every_value_set_that_is_known_can_be_expanded_but_those_kept_elsewhere() -> None:
    def look(kind: str, url: str) -> Any:
        return known(kind).get(url)

    assert all(expand(one, look) for url, one in known("ValueSet").items() if url not in ELSEWHERE)
    assert {url for url in ELSEWHERE if url in known("ValueSet")} == ELSEWHERE


def test_what_is_known_has_one_id_each() -> None:
    for kind in ("CodeSystem", "ValueSet"):
        assert len(known_by_id(kind)) == len(known(kind))
        assert all(one["resourceType"] == kind for one in known(kind).values())


def test_properties_say_what_a_code_stands_under_as_nesting_does() -> None:
    system = {
        "url": "urn:colours",
        "property": [{"code": "broader", "uri": "http://hl7.org/fhir/concept-properties#parent", "type": "code"}],
        "concept": [
            {"code": "warm", "concept": [{"code": "red"}]},
            {"code": "bright", "property": [{"code": "child", "valueCode": "red"}]},
            {"code": "crimson", "property": [{"code": "broader", "valueCode": "red"}]},
            {"code": "odd", "property": [{"code": "parent", "valueString": "red"}, {"code": "parent"}]},
        ],
    }

    found = {one.code: one for one in concepts_of(system)}

    assert {code: set(one.above) for code, one in found.items()} == {
        "warm": set(),
        "bright": set(),
        "odd": set(),
        "red": {"warm", "bright"},
        "crimson": {"red", "warm", "bright"},
    }
    assert (found["red"].parents, found["red"].below) == (("warm", "bright"), ("crimson",))
    assert (found["crimson"].above[-1], found["bright"].below) == ("red", ("red",))


def test_codes_that_stand_under_each_other_have_an_end() -> None:
    system = {
        "concept": [
            {"code": "hen", "property": [{"code": "parent", "valueCode": "egg"}]},
            {"code": "egg", "property": [{"code": "parent", "valueCode": "hen"}]},
        ]
    }

    assert [one.above for one in concepts_of(system)] == [("egg",), ("hen",)]
