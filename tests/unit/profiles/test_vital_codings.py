"""Which profile of a vital sign applies, and the codings it fixes; https://hl7.org/fhir/R4/vitalsigns.html.

The verdicts are those of HL7's validator (org.hl7.fhir.validation 6.7.9) where docs/operations.md says nothing else.
"""

from __future__ import annotations

from typing import Any

import pytest

from profiles.vital_signs import check
from tests.unit.fhir.samples import CATEGORY, DROP, HEART_RATE, bent, loinc, quantity

TEXT = {"text": "x"}
BASE = "http://hl7.org/fhir/StructureDefinition"
VITAL = CATEGORY["coding"][0]
LOCAL = {"system": "http://example.org", "code": "VS"}
UNKNOWN = {"extension": [{"url": "urn:x", "valueCode": "unknown"}]}
PULSE = bent(HEART_RATE, meta=DROP)


def faults(observation: dict[str, Any]) -> list[tuple[str, str]]:
    return [(path, severity) for path, _, severity in check(observation)]


@pytest.mark.parametrize(
    ("category", "path"),
    [
        pytest.param([{"coding": [VITAL, LOCAL]}], "category[0].coding[1]", id="a code of one's own"),
        pytest.param([TEXT, {"coding": [LOCAL, VITAL]}], "category[1].coding[0]", id="before it"),
        pytest.param([{"coding": [VITAL, {"display": "x"}]}], "category[0].coding[1]", id="a display alone"),
        pytest.param([{"coding": [VITAL, {**VITAL, "code": "exam"}]}], "category[0].coding[1]", id="exam"),
        pytest.param([{"coding": [{**VITAL, "_code": UNKNOWN}]}], "category[0].coding[0].code", id="code extended"),
        pytest.param(
            [{"coding": [{**VITAL, "_system": UNKNOWN}]}], "category[0].coding[0].system", id="system extended"
        ),
        pytest.param(
            [CATEGORY, {"coding": [{**VITAL, "code": "exam"}, {**VITAL, "system": "urn:x"}]}], "category", id="two"
        ),
    ],
)
def test_the_category_of_vital_signs_has_that_coding_alone(category: list[Any], path: str) -> None:
    assert faults(bent(PULSE, category=category)) == [(path, "error")]


@pytest.mark.parametrize(
    "category",
    [
        pytest.param([{"coding": [LOCAL]}, CATEGORY], id="another category"),
        pytest.param([{"coding": [VITAL, VITAL]}], id="twice in one"),
        pytest.param([{"coding": [{**VITAL, "display": "Vital Signs"}], "text": "x"}], id="with words"),
        pytest.param([{"coding": [{**VITAL, "_code": {"id": "x"}}]}], id="with an id"),
    ],
)
def test_a_category_beside_it_and_words_in_it_are_right(category: list[Any]) -> None:
    assert faults(bent(PULSE, category=category)) == []


def test_the_code_of_a_profile_is_there_once() -> None:
    assert faults(bent(PULSE, code=loinc("8867-4", "8867-4"))) == [("code.coding[1]", "error")]


@pytest.mark.parametrize("name", ["system", "code"])
def test_what_a_profile_fixes_has_no_extension(name: str) -> None:
    code = {"coding": [{**loinc("8867-4")["coding"][0], f"_{name}": UNKNOWN}]}
    value = {**quantity(72, "/min"), f"_{name}": UNKNOWN}

    assert faults(bent(PULSE, code=code)) == [(f"code.coding[0].{name}", "error")]
    assert faults(bent(PULSE, valueQuantity=value)) == [(f"valueQuantity.{name}", "error")]


def test_a_unit_of_several_may_have_an_extension() -> None:
    weight = bent(PULSE, code=loinc("29463-7"), valueQuantity={**quantity(72, "kg"), "_code": UNKNOWN})

    assert faults(weight) == []


@pytest.mark.parametrize("codes", [("8867-4", "9279-1"), ("9279-1", "8867-4"), ("9279-1", "39156-5", "85354-9")])
def test_of_several_codes_the_first_profile_in_the_order_of_the_validator_applies(codes: tuple[str, ...]) -> None:
    assert faults(bent(PULSE, code=loinc(*codes))) == []
    assert faults(bent(PULSE, code=loinc(*codes), valueQuantity=quantity(1, "%"))) == [("valueQuantity.code", "error")]


def test_a_percentile_of_the_body_mass_index_is_left_alone() -> None:
    assert faults(bent(PULSE, code=loinc("59574-4"), valueQuantity=quantity(40, "%"), category=DROP)) == []


@pytest.mark.parametrize("version", ["", "|4.0.1"])
def test_a_profile_that_is_claimed_needs_its_code(version: str) -> None:
    claiming = bent(HEART_RATE, code=loinc("40443-4"), meta={"profile": [f"{BASE}/heartrate{version}"]})

    assert faults(claiming) == [("code", "error")]


def test_a_claimed_profile_is_held_beside_the_one_of_the_code() -> None:
    claiming = bent(HEART_RATE, meta={"profile": [f"{BASE}/resprate"]}, valueQuantity=quantity(1, "%"))

    assert faults(claiming) == [
        ("code", "error"),
        ("valueQuantity.code", "error"),
        ("valueQuantity.code", "error"),
    ]


@pytest.mark.parametrize("profile", [f"{BASE}/heartrate|3.0.2", f"{BASE}/Observation", None])
def test_other_profiles_and_versions_are_not_looked_at(profile: str | None) -> None:
    assert check({"code": TEXT, "meta": {"profile": [profile], "_profile": [UNKNOWN]}}) == []


def test_a_panel_may_have_another_code_when_it_claims_to_be_one() -> None:
    members = [{"reference": "Observation/1"}]
    panel = bent(HEART_RATE, code=TEXT, meta={"profile": [f"{BASE}/vitalspanel"]}, valueQuantity=DROP)

    assert faults(bent(panel, hasMember=members)) == []
    assert faults(bent(panel, hasMember=members, code=loinc("85353-1", "85353-1"))) == []


@pytest.mark.parametrize("kind", ["Group", "Device"])
def test_a_contained_subject_is_a_patient(kind: str) -> None:
    contained = [{"resourceType": "Patient", "id": "other"}, {"resourceType": kind, "id": "s"}]

    assert faults(bent(PULSE, contained=contained, subject={"reference": "#s"})) == [("subject", "error")]
