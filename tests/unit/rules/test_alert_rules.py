from __future__ import annotations

import json
import timeit
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from fhir.resources.R4B.codesystem import CodeSystem
from fhir.resources.R4B.plandefinition import PlanDefinition

from fhir_facade.rules.alerts import (
    Book,
    Ignored,
    Reading,
    Rule,
    alert_code_system,
    plan_definition,
    reading,
    rules,
    rules_for,
)
from fhir_facade.rules.alerts.rules import parse_duration
from terminology import ucum
from terminology.canonical import LOINC
from terminology.codes import display


def shipped(rule_id: str) -> Rule:
    return next(rule for rule in rules() if rule.id == rule_id)


def observation(*codes: str, value: Any = 90, unit: str = "/min", **rest: Any) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "id": "o1",
        "status": "final",
        "code": {"coding": [{"system": LOINC, "code": code} for code in codes]},
        "effectiveDateTime": "2026-08-10T10:00:00Z",
        "valueQuantity": {"value": value, "code": unit},
        **rest,
    }


@pytest.mark.parametrize("text", ["", "P", "PT", "1h", "P1M", "PT5S", "P-1D"])
def test_what_is_no_duration_of_days_hours_and_minutes_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a duration"):
        parse_duration(text)


def test_durations_are_read() -> None:
    assert parse_duration("P7D") == timedelta(days=7)
    assert parse_duration("P1DT2H30M") == timedelta(days=1, hours=2, minutes=30)


@pytest.mark.parametrize(
    "without",
    [
        {},
        {"code": None},
        {"code": {}},
        {"code": {"text": "Heart rate"}},
        {"code": {"coding": [{"system": "http://example.org", "code": "8867-4"}]}},
        {"code": {"coding": [{"system": LOINC}]}},
        {"code": {"coding": [{"system": LOINC, "code": "93832-4"}]}},
    ],
    ids=repr,
)
def test_most_observations_concern_no_rule(without: dict[str, Any]) -> None:
    assert rules_for(without) == ()


def test_a_resting_heart_rate_is_not_judged_as_a_heart_rate() -> None:
    assert [rule.id for rule in rules_for(observation("40443-4", "8867-4"))] == ["resting-heart-rate-high"]
    assert [rule.id for rule in rules_for(observation("8867-4"))] == ["heart-rate-very-high", "heart-rate-very-low"]


def test_a_rule_with_two_codes_applies_once() -> None:
    assert [rule.id for rule in rules_for(observation("59408-5", "2708-6"))] == ["oxygen-saturation-low"]


def test_rules_of_ones_own_are_found_the_same_way() -> None:
    mine = shipped("glucose-high")
    assert Book([mine]).rules_for(observation("2345-7")) == (mine,)
    assert Book([mine]).rules_for(observation("8867-4")) == ()


def test_an_observation_without_rules_costs_next_to_nothing() -> None:
    steps = observation("41950-7")
    rules_for(steps)
    best = min(timeit.repeat(lambda: rules_for(steps), number=10_000, repeat=5)) / 10_000
    assert best < 20e-6  # measured 0.4 µs; generous for a busy machine


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule.id)
def test_every_shipped_rule_is_sound(rule: Rule) -> None:
    assert rule.source
    assert rule.unit in ucum.table()
    assert {"en", "de"} <= rule.title.keys()
    for code in (*rule.codes, *rule.exclude, *filter(None, [rule.component])):
        assert display(LOINC, code)
    assert rule.clear is not None
    assert rule.cleared_by(rule.clear)
    assert not rule.violated_by(rule.clear)
    assert not rule.cleared_by(rule.threshold)


def test_ids_of_rules_are_unique() -> None:
    assert len({rule.id for rule in rules()}) == len(rules())


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule.id)
def test_a_rule_is_a_valid_plan_definition(rule: Rule) -> None:
    served = json.loads(msgspec.json.Encoder(decimal_format="number").encode(plan_definition(rule)))
    assert PlanDefinition.model_validate(served).url == rule.url
    terms = {part["url"]: part for part in served["action"][0]["extension"][0]["extension"]}
    assert Decimal(str(terms["threshold"]["valueQuantity"]["value"])) == rule.threshold
    assert ("window" in terms) == bool(rule.window)
    assert ("component" in terms) == bool(rule.component)
    assert "clear" in terms


def test_a_rule_without_hysteresis_has_no_clear_term_and_clears_at_its_limit() -> None:
    from dataclasses import replace

    rule = replace(shipped("temperature-high"), clear=None, duration=timedelta(minutes=30))
    terms = {part["url"]: part for part in plan_definition(rule)["action"][0]["extension"][0]["extension"]}
    assert "clear" not in terms
    assert terms["for"]["valueDuration"]["value"] == 30
    assert rule.cleared_by(Decimal(39))
    assert not rule.cleared_by(Decimal(40))


def test_every_rule_has_an_alert_code() -> None:
    system = alert_code_system()
    assert CodeSystem.model_validate(system)
    assert [concept["code"] for concept in system["concept"]] == [rule.id for rule in rules()]


def test_the_title_follows_the_language_and_falls_back_to_english() -> None:
    rule = shipped("glucose-low")
    assert rule.name("de-AT") == "Blutzucker niedrig"
    assert rule.name("fr") == "Blood glucose low"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"effectiveDateTime": None}, "it does not say when"),
        ({"valueQuantity": None}, "it has no number"),
        ({"valueQuantity": {"value": 9, "code": "/min", "comparator": ">"}}, "it has no number"),
        ({"valueQuantity": {"value": 9, "code": "kg"}}, "its unit does not compare with /min"),
        ({"valueQuantity": {"value": 9, "code": "bpm"}}, "its unit does not compare with /min"),
    ],
    ids=repr,
)
def test_an_observation_a_rule_cannot_read_is_ignored_with_the_reason(change: dict[str, Any], reason: str) -> None:
    assert reading(shipped("resting-heart-rate-high"), {**observation("40443-4"), **change}) == Ignored("o1", reason)


@pytest.mark.parametrize("status", ["entered-in-error", "preliminary", "cancelled"])
def test_a_withdrawn_observation_keeps_its_time_and_loses_its_value(status: str) -> None:
    found = reading(shipped("resting-heart-rate-high"), observation("40443-4", status=status))
    assert isinstance(found, Reading)
    assert not found.counts


def test_a_component_is_read_where_the_rule_says_so() -> None:
    rule = shipped("systolic-pressure-crisis")
    halves = [
        {"code": {"coding": [{"system": LOINC, "code": code}]}, "valueQuantity": {"value": value, "code": "mm[Hg]"}}
        for code, value in (("8462-4", 99), ("8480-6", 185))
    ]
    found = reading(rule, {**observation("85354-9"), "component": halves})
    assert isinstance(found, Reading)
    assert found.value == 185
    assert reading(rule, observation("85354-9")) == Ignored("o1", "it has no number")


@pytest.mark.parametrize(
    ("code", "value", "unit", "expected"),
    [
        ("2345-7", 60, "mg/dL", "60"),
        ("14749-6", 3, "mmol/L", "54.048"),
        ("2345-7", "0.6", "g/L", "60"),
    ],
)
def test_values_are_read_in_the_unit_of_the_rule(code: str, value: Any, unit: str, expected: str) -> None:
    found = reading(shipped("glucose-low"), observation(code, value=value, unit=unit))
    assert isinstance(found, Reading)
    assert found.value == Decimal(expected)


def test_a_molar_value_of_an_unknown_analyte_is_not_guessed() -> None:
    found = reading(shipped("glucose-low"), observation("8867-4", value=3, unit="mmol/L"))
    assert isinstance(found, Ignored)


def test_a_molar_value_is_no_heart_rate() -> None:
    found = reading(shipped("resting-heart-rate-high"), observation("14749-6", value=3, unit="mmol/L"))
    assert isinstance(found, Ignored)


def test_counting_needs_no_unit_that_compares() -> None:
    from dataclasses import replace

    rule = replace(shipped("glucose-low"), aggregation="count", unit="{count}")
    assert isinstance(reading(rule, observation("2345-7", value=60, unit="%")), Reading)


def test_a_civil_day_is_the_whole_day_of_the_person() -> None:
    found = reading(
        shipped("resting-heart-rate-high"), observation("40443-4", effectiveDateTime="2026-08-10"), "Europe/Berlin"
    )
    assert isinstance(found, Reading)
    assert found.start == datetime(2026, 8, 9, 22, tzinfo=UTC)
    assert found.end == datetime(2026, 8, 10, 22, tzinfo=UTC)
