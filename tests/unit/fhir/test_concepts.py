"""Modifiers of tokens that need a terminology, as the codes they stand for."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from fhir_facade.errors import BadRequest, TooLarge
from fhir_facade.fhir.query import StoredCodes, named_code_systems, named_value_sets, parse_query
from fhir_facade.fhir.query.concepts import MOST_CODES
from fhir_facade.values import Match, TokenValue
from terminology import codes
from terminology.concepts import concepts_of

NOW = datetime(2026, 1, 1, tzinfo=UTC)
STATUS = "https://fhir-facade.org/fhir/ValueSet/alert-status"
OF_STATUS = "https://fhir-facade.org/fhir/CodeSystem/alert-status"
WEARABLE = "https://fhir-facade.org/fhir/ValueSet/wearable-observation"
LOINC = "http://loinc.org"


def match(name: str, value: str, **value_sets: tuple[TokenValue, ...]) -> Match:
    sets = {url.replace("_", ":"): codes for url, codes in value_sets.items()}
    (found,) = parse_query("Observation", [(name, value)], now=NOW, stored=StoredCodes(sets)).query.criteria
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


def test_a_value_set_of_r4_is_what_it_expands_to() -> None:
    found = match("status:in", "http://hl7.org/fhir/ValueSet/observation-status")

    assert TokenValue("http://hl7.org/fhir/observation-status", "corrected") in found.values
    assert len(found.values) == 8


def test_a_stored_value_set_is_the_codes_that_were_looked_up() -> None:
    codes = (TokenValue("urn:s", "a"), TokenValue("urn:s", "b"))

    assert match("code:in", "urn:vs", urn_vs=codes) == Match("code", "token", codes)
    assert match("code:not-in", f"urn:vs,{STATUS}", urn_vs=codes).values[:2] == codes


@pytest.mark.parametrize(
    ("codes", "error", "says"),
    [
        pytest.param(0, BadRequest, "urn:vs has no codes", id="empty"),
        pytest.param(MOST_CODES + 1, TooLarge, f"at most {MOST_CODES}", id="too many"),
    ],
)
def test_a_stored_value_set_that_no_search_can_hold_is_refused(codes: int, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        match("code:in", "urn:vs", urn_vs=tuple(TokenValue("urn:s", str(number)) for number in range(codes)))


def test_only_value_sets_that_are_not_shipped_have_to_be_looked_up() -> None:
    params = [
        ("subject:Patient.gender:in", f"{STATUS},urn:a|1"),
        ("code:not-in", r"urn:b\,c"),
        ("_filter", f'status eq final and (code in urn:d or code in "urn:e") and code in {STATUS}'),
        ("code", "urn:not|in"),
    ]

    assert named_value_sets(params) == {"urn:a|1", "urn:b,c", "urn:d", "urn:e"}


@pytest.mark.parametrize(
    ("modifier", "code", "around"),
    [
        ("below", "amended", ("amended", "corrected")),
        ("above", "corrected", ("corrected", "amended")),
    ],
)
def test_a_code_of_r4_has_its_place_in_its_code_system(modifier: str, code: str, around: tuple[str, ...]) -> None:
    system = "http://hl7.org/fhir/observation-status"

    assert match(f"status:{modifier}", f"{system}|{code}").values == tuple(TokenValue(system, one) for one in around)


def test_a_code_without_a_system_is_looked_for_in_all_that_ship() -> None:
    assert match("code:below", "8867-4").values == (TokenValue(LOINC, "8867-4"),)


TREE = [
    {"code": "vital", "concept": [{"code": "heart", "concept": [{"code": "rest"}]}, {"code": "weight"}]},
    {"code": "lab"},
]


def around(name: str, value: str, *concepts: dict[str, Any]) -> list[str | None]:
    system = {"url": "urn:s", "concept": list(concepts) or TREE}
    stored = StoredCodes(systems={"urn:s": concepts_of(system)})
    (found,) = parse_query("Observation", [(name, value)], now=NOW, stored=stored).query.criteria
    assert isinstance(found, Match)
    return [one.code for one in found.values if isinstance(one, TokenValue)]


def test_a_code_stands_between_its_ancestors_and_its_descendants() -> None:
    assert around("code:above", "urn:s|rest") == ["rest", "heart", "vital"]
    assert around("code:below", "urn:s|heart") == ["heart", "rest"]
    assert around("code:below", "urn:s|vital,urn:s|lab") == ["vital", "heart", "rest", "weight", "lab"]


@pytest.mark.parametrize("asked", ["urn:s|x", "urn:s|", "urn:other|lab", "rest"])
def test_a_code_that_is_not_there_has_no_place(asked: str) -> None:
    with pytest.raises(BadRequest, match="cannot be told"):
        around("code:below", asked)


def test_a_code_above_more_codes_than_a_search_can_hold_is_refused() -> None:
    many = {"code": "all", "concept": [{"code": f"c{number}"} for number in range(MOST_CODES)]}

    with pytest.raises(TooLarge, match=f"at most {MOST_CODES}"):
        around("code:below", "urn:s|all", many)


def test_only_code_systems_that_are_not_shipped_have_to_be_looked_up() -> None:
    params = [
        ("subject:Patient.gender:below", f"{OF_STATUS}|new,urn:a|x"),
        ("code:above", r"urn:b\,c|y,bare"),
        ("_filter", 'code ss urn:d|x or code sb "urn:e|x y" and code eq urn:f|z'),
        ("code", "urn:not|below"),
    ]

    assert named_code_systems(params) == {"urn:a", "urn:b,c", "urn:d", "urn:e"}
