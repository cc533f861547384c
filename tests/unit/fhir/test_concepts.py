"""Modifiers of tokens that need a terminology, as the codes they stand for."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from fhir_facade.fhir.query import parse_query
from fhir_facade.fhir.query.concepts import above, below, parents_in
from fhir_facade.values import Match, TokenValue
from terminology import codes

NOW = datetime(2026, 1, 1, tzinfo=UTC)
STATUS = "https://fhir-facade.org/fhir/ValueSet/alert-status"
OF_STATUS = "https://fhir-facade.org/fhir/CodeSystem/alert-status"
WEARABLE = "https://fhir-facade.org/fhir/ValueSet/wearable-observation"
LOINC = "http://loinc.org"


def match(name: str, value: str) -> Match:
    (found,) = parse_query("Observation", [(name, value)], now=NOW).query.criteria
    assert isinstance(found, Match)
    return found


@pytest.mark.parametrize(("modifier", "meant"), [("in", None), ("not-in", "not")])
def test_a_value_set_of_a_whole_code_system_is_all_its_codes(modifier: str, meant: str | None) -> None:
    found = match(f"code:{modifier}", STATUS)

    concepts = codes.resources("CodeSystem")[OF_STATUS]["concept"]
    assert found == Match("code", "token", tuple(TokenValue(OF_STATUS, one["code"]) for one in concepts), meant)


def test_a_value_set_that_lists_codes_is_those_and_its_version_is_not_looked_at() -> None:
    listed = codes.resources("ValueSet")[WEARABLE]["compose"]["include"][0]["concept"]

    assert match("code:in", f"{WEARABLE}|1.0").values[: len(listed)] == tuple(
        TokenValue(LOINC, one["code"]) for one in listed
    )


@pytest.mark.parametrize("modifier", ["above", "below"])
def test_a_code_that_stands_alone_is_all_there_is_around_it(modifier: str) -> None:
    assert match(f"code:{modifier}", f"{LOINC}|8867-4") == Match("code", "token", (TokenValue(LOINC, "8867-4"),))


def test_a_code_without_a_system_is_looked_for_in_all_that_ship() -> None:
    assert match("code:below", "8867-4").values == (TokenValue(LOINC, "8867-4"),)


TREE = parents_in(
    [
        {"code": "vital", "concept": [{"code": "heart", "concept": [{"code": "rest"}]}, {"code": "weight"}]},
        {"code": "lab"},
    ]
)


def test_a_code_stands_between_its_ancestors_and_its_descendants() -> None:
    assert above(TREE, "heart") == ["heart", "vital"]
    assert below(TREE, "heart") == ["heart", "rest"]
    assert below(TREE, "vital") == ["vital", "heart", "rest", "weight"]


def test_around_a_code_that_is_not_there_is_nothing() -> None:
    assert above(TREE, "x") == below(TREE, "x") == []
