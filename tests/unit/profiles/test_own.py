"""The profiles of this project, and what the project itself makes held against them."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal
from pathlib import Path
from string import Formatter
from typing import Any

import pytest

from fhir_facade.fhir.validation import validate
from fhir_facade.rules.score import Inputs, score, score_observation
from fhir_facade.rules.score.chart import Found, missing
from fhir_facade.rules.score.parts import Bmi, Nicotine
from fhir_facade.rules.score.tables import sentences
from profiles.own import check, definitions, own_extensions, own_profiles
from terminology.canonical import HEALTH_SCORE, SCORE_METHOD, extension

WEARABLE, SCORE, DETAIL = [extension(name) for name in ("wearable-observation", "health-score", "score-detail")]
WHO = {"reference": "Patient/p"}
STEPS: dict[str, Any] = {
    "resourceType": "Observation",
    "identifier": [{"system": "urn:vendor", "value": "1"}],
    "status": "final",
    "category": [{"coding": [{"code": "activity"}]}],
    "code": {"coding": [{"system": "http://loinc.org", "code": "41950-7"}]},
    "subject": WHO,
    "effectiveDateTime": "2026-01-01",
    "performer": [WHO],
    "valueQuantity": {"value": 1000},
}
SCORED: dict[str, Any] = {
    "resourceType": "Observation",
    "identifier": [{"value": "1"}],
    "status": "final",
    "category": [
        {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": "survey"}]}
    ],
    "code": {"coding": [{"system": HEALTH_SCORE, "code": "le8-composite"}]},
    "subject": WHO,
    "effectivePeriod": {"start": "2026-01-01"},
    "note": [{"text": "why"}],
    "method": {"coding": [{"system": SCORE_METHOD, "code": "le8-2022"}]},
    "device": {"reference": "Device/d"},
    "component": [{"code": {"text": "sleep"}}],
}


def faults(resource: dict[str, Any], url: str) -> list[str]:
    return [path for path, _, _ in check(resource, own_profiles()[url])]


def without(resource: dict[str, Any], name: str) -> dict[str, Any]:
    return {member: value for member, value in resource.items() if member != name}


@pytest.mark.parametrize("url", [WEARABLE, SCORE, DETAIL])
def test_a_definition_is_valid_r4_and_names_itself(url: str) -> None:
    definition = dict(definitions()[url])

    assert definition["url"] == url
    assert [issue for issue in validate(definition, type="StructureDefinition") if issue.severity == "error"] == []


def test_what_keeps_to_its_profile_has_no_fault() -> None:
    assert faults(STEPS, WEARABLE) == []
    assert faults(SCORED, SCORE) == []


@pytest.mark.parametrize(
    ("name", "path"),
    [
        *[(name, name) for name in ("identifier", "category", "subject", "performer")],
        ("effectiveDateTime", "effective[x]"),
    ],
)
def test_what_is_missing_is_named(name: str, path: str) -> None:
    assert path in faults(without(STEPS, name), WEARABLE)


def test_what_is_missing_in_a_list_is_named_with_its_place() -> None:
    assert faults({**STEPS, "identifier": [{"system": "urn:x", "value": "1"}, {"value": "2"}]}, WEARABLE) == [
        "identifier[1].system"
    ]


@pytest.mark.parametrize(
    ("changes", "path", "text"),
    [
        pytest.param({"code": {"text": "score"}}, "code", "le8-composite", id="code"),
        pytest.param({"method": {"coding": [{"code": "le8-2022"}]}}, "method", "le8-2022", id="method"),
        pytest.param({"category": [{"text": "x"}]}, "category[0]", "survey", id="category"),
        pytest.param({"interpretation": [{"text": "good"}]}, "interpretation[0]", "cvh-category", id="interpretation"),
    ],
)
def test_another_code_is_refused(changes: dict[str, Any], path: str, text: str) -> None:
    ((place, said, severity),) = check({**SCORED, **changes}, own_profiles()[SCORE])

    assert (place, severity) == (path, "error")
    assert text in said


READINGS = sorted((Path(__file__).parents[2] / "data" / "google-health").glob("*.fhir.json"))


@pytest.mark.parametrize("file", READINGS, ids=lambda file: file.name.partition(".")[0])
def test_what_a_sync_stores_keeps_to_its_profile(file: Path) -> None:
    for observation in json.loads(file.read_bytes()):
        assert faults(observation, WEARABLE) == []


def test_a_score_keeps_to_its_profile() -> None:
    for code, part in (
        ("le8-nicotine", Found(reason="not-asked")),
        ("le8-sleep", missing("too-few", found=1, needed=4, days=14)),
        ("le8-nicotine", Found(Nicotine(), ("Observation/n1",))),
        ("le8-bmi", Found(Bmi(Decimal(9)), ("Observation/n1",))),
    ):
        result = score(Inputs(date(2026, 8, 10), {code: part}))
        assert faults(score_observation(result, "p1"), SCORE) == []


def detailed(*parts: dict[str, Any], times: int = 1) -> dict[str, Any]:
    detail = {"url": DETAIL, **({"extension": list(parts)} if parts else {"valueString": "x"})}
    other = {"url": "http://example.org/other", "valueString": "x"}
    return {**SCORED, "component": [{"code": {"text": "sleep"}, "extension": [other, *[detail] * times]}]}


HOURS = {"url": "input", "valueQuantity": {"value": 7}}
WHY = {"url": "reason", "valueString": "no-data"}


@pytest.mark.parametrize(
    ("resource", "path", "text"),
    [
        (detailed({"url": "mood", "valueString": "x"}), ".extension[0].url", "no part of the extension score-detail"),
        (detailed(WHY, {"url": "input", "valueString": "7"}), ".extension[1]", "needs valueQuantity"),
        (detailed(WHY, WHY), ".extension", "reason 2 times, at most 1"),
        (detailed(), "", "needs parts"),
    ],
    ids=["unknown part", "value of another type", "twice", "no parts"],
)
def test_details_of_a_score_are_as_their_definition_says(resource: dict[str, Any], path: str, text: str) -> None:
    ((place, said, severity),) = check(resource, own_profiles()[SCORE])

    assert (place, severity) == (f"component[0].extension[1]{path}", "error")
    assert text in said


def test_details_stand_once_and_may_have_several_inputs() -> None:
    assert faults(detailed(HOURS, HOURS, WHY), SCORE) == []
    assert faults(detailed(HOURS, times=2), SCORE) == ["component[0].extension[2]"]


@pytest.mark.parametrize("language", ["en", "de"])
def test_every_word_that_fills_the_reasons_of_a_score_is_a_defined_detail(language: str) -> None:
    words = {name for text in sentences(language).reasons.values() for _, name, _, _ in Formatter().parse(text) if name}

    assert words
    assert words <= set(own_extensions()[DETAIL].members)


def test_a_code_out_of_the_value_set_is_refused() -> None:
    other = {"coding": [{"system": "http://loinc.org", "code": "718-7"}]}

    assert faults({**STEPS, "code": other}, WEARABLE) == ["code"]
