"""FHIRPath on places; the expressions and what each finds are in tests/data/patch/expressions.json."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from fhir_facade.fhir.document import decimal_loads
from fhir_facade.fhir.patch.fhirpath import Budget, Focus, NotTaken, TooCostly, evaluate, parse
from fhir_facade.fhir.patch.fhirpath.focus import MAX_STEPS
from fhir_facade.fhir.patch.places import Place, root

VECTORS = decimal_loads((Path(__file__).parents[4] / "data/patch/expressions.json").read_bytes())
RESOURCE = VECTORS["resource"]
SHORT = 4_000
"""Steps that are soon used up."""
NOW = datetime(2026, 11, 22, 10, 30, tzinfo=UTC)


def found(text: str, resource: Any = RESOURCE, budget: Budget | None = None) -> list[Any]:
    """What an expression finds; places as they are written by people."""
    top = root(resource)
    items = evaluate(parse(text), Focus(top, NOW, budget or Budget(), (top,)))
    names = dict(written(resource, ""))
    return [names.get(item.position, resource["resourceType"]) if isinstance(item, Place) else item for item in items]


def written(node: dict[str, Any], prefix: str) -> Iterator[tuple[Any, str]]:
    """The name of each place below a node, found by walking the JSON."""
    for name, value in node.items():
        bare = name.removeprefix("_")
        for index, item in enumerate(value) if isinstance(value, list) else ((None, value),):
            here = f"{prefix}{bare}" + ("" if index is None else f"[{index}]")
            yield (id(node), bare, index), here
            if isinstance(item, dict):
                yield from written(item, here + ".")


@pytest.mark.parametrize(("text", "places"), VECTORS["places"].items(), ids=list(VECTORS["places"]))
def test_an_expression_finds_places(text: str, places: list[Any]) -> None:
    assert found(text) == places


@pytest.mark.parametrize(("text", "truth"), VECTORS["truths"].items(), ids=list(VECTORS["truths"]))
def test_an_expression_is_true_false_or_unknown(text: str, truth: bool | None) -> None:
    assert found(text) == ([] if truth is None else [truth])


@pytest.mark.parametrize(("text", "why"), VECTORS["refusals"].items(), ids=list(VECTORS["refusals"]))
def test_an_expression_that_cannot_be_taken_says_why(text: str, why: str) -> None:
    with pytest.raises(NotTaken, match=why):
        found(text)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        pytest.param("a" * 2001, "longer than 2000", id="length"),
        pytest.param("(" * 500 + "1" + ")" * 500, "nested deeper", id="brackets"),
        pytest.param("-" * 500 + "1", "nested deeper", id="signs"),
        pytest.param("a.where(" * 30 + "true" + ")" * 30, "nested deeper", id="functions"),
        pytest.param("+".join("1" * 500), "more than 100 operators", id="operators"),
        pytest.param(f"'a'.matches('{'a' * 501}')", "500 characters", id="regular expression"),
        pytest.param(r"'a'.matches('(\\w{500}){500}')", "too large", id="regular expression that grows"),
        pytest.param(f"'{'a' * 500}'.replace('a', '{'b' * 500}').replace('b', 'ccccc')", "million", id="long text"),
    ],
)
def test_an_expression_has_bounds(text: str, why: str) -> None:
    with pytest.raises(NotTaken, match=why):
        found(text)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("(1 | 2).repeat($this + 1)", id="a repetition without end"),
        pytest.param(
            "descendants().where(%resource.descendants().where(%resource.descendants().exists()).exists())", id="nested"
        ),
        pytest.param("descendants().aggregate($total.combine($total), 1)", id="a total that doubles"),
        pytest.param("descendants().aggregate($total & $total, 'a')", id="a text that doubles"),
        pytest.param(
            "descendants().select(%resource.descendants()).select(%resource.descendants()).distinct()", id="a product"
        ),
        pytest.param(
            "descendants().select(%resource.descendants()) ~ descendants()", id="a comparison of all with all"
        ),
        pytest.param("descendants().select(%resource.descendants().where(true.toString().matches('a')))", id="engines"),
    ],
)
def test_an_expression_that_takes_too_long_is_ended(text: str) -> None:
    with pytest.raises(TooCostly, match="too many elements"):
        found(text, budget=Budget(SHORT))


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("descendants().select(%resource.long.substring(1))", id="copies"),
        pytest.param("descendants().select(%resource.long & 'x')", id="texts joined"),
        pytest.param("descendants().select(%resource.long.upper())", id="texts changed"),
        pytest.param("descendants().where(%resource.long.matches('(a{50}){50}'))", id="a costly regular expression"),
        pytest.param("descendants().where('a'.matches($index.toString()))", id="many regular expressions"),
        pytest.param("descendants().where(%resource.long.toChars().count() = 1)", id="characters"),
        pytest.param("descendants().where(%resource.long = %resource.long + 'a')", id="long texts compared"),
    ],
)
def test_long_texts_are_work_too(text: str) -> None:
    with pytest.raises(TooCostly, match="too many elements"):
        found(text, {**RESOURCE, "long": "a" * 5_000}, Budget(SHORT))


def test_the_work_of_all_expressions_is_counted_together() -> None:
    budget = Budget()

    found("descendants()", budget=budget)
    first = budget.left
    found("descendants()", budget=budget)

    assert MAX_STEPS - first == first - budget.left > 100


def test_without_an_end_of_its_own_an_expression_ends_after_all_steps() -> None:
    budget = Budget()

    with pytest.raises(TooCostly):
        found("(1 | 2).repeat($this + 1)", budget=budget)

    assert budget.left < 0


def test_the_deepest_expressions_that_are_taken_fit_the_stack() -> None:
    assert found("$this.where(" * 22 + "true" + ")" * 22) == ["Observation"]
    assert found("+".join("1" * 101)) == [101]
    assert found("(" * 22 + "+".join("1" * 101) + ")" * 22) == [101]


def test_parts_of_a_date_that_is_none_stay_text() -> None:
    assert found("birthDate = '2026-02-31'", {"resourceType": "Patient", "birthDate": "2026-02-31"}) == [True]


def test_numbers_of_any_size_are_compared_to_the_last_digit() -> None:
    body = b'{"resourceType":"Observation","valueQuantity":{"value":0.1234567890123456789012345678901234567},"x":1e999}'
    resource = decimal_loads(body)

    assert found("value.value = 0.1234567890123456789012345678901234567", resource) == [True]
    assert found("value.value = 0.1234567890123456789012345678901234568", resource) == [False]
    assert found("value.value ~ 0.1234567890123456789012345678901234567", resource) == [True]


def test_a_decimal_written_as_a_whole_number_is_a_decimal() -> None:
    resource = {"resourceType": "Observation", "valueQuantity": {"value": 5}}

    assert found("value.value.getValue() is Decimal", resource) == [True]


@pytest.mark.parametrize(
    "node",
    [
        pytest.param({"name": "x"}, id="text for an array of objects"),
        pytest.param({"name": ["x", 1, None, []]}, id="primitives for objects"),
        pytest.param({"birthDate": {"x": 1}}, id="object for a primitive"),
        pytest.param({"_birthDate": "x"}, id="text beside a primitive"),
        pytest.param({"contained": ["x"]}, id="text for a resource"),
        pytest.param({"contained": [{"resourceType": "Nope", "x": 1}]}, id="resource of an unknown type"),
        pytest.param({"multipleBirthInteger": True, "deceasedBoolean": 1}, id="other primitives"),
        pytest.param({"unknown": {"x": [1]}}, id="unknown member"),
    ],
)
def test_a_resource_that_is_not_as_it_should_be_is_walked_all_the_same(node: dict[str, Any]) -> None:
    resource = {"resourceType": "Patient", **node}

    assert found("descendants().distinct().count() > 0", resource) == [True]
    assert found("descendants().where($this is Patient or $this = 1 or $this ~ 'x').count() >= 0", resource) == [True]
