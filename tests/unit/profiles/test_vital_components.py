"""Components of a vital sign; `component.value[x]` of https://hl7.org/fhir/R4/vitalsigns.html is bound to units.

The verdicts are those of HL7's validator (org.hl7.fhir.validation 6.7.9).
"""

from __future__ import annotations

from typing import Any

import pytest

from profiles.vital_signs import check
from tests.unit.fhir.samples import BLOOD_PRESSURE, CATEGORY, HEART_RATE, bent, loinc, quantity

TEXT = {"text": "x"}
UCUM = "http://unitsofmeasure.org"
UNKNOWN = {"extension": [{"url": "urn:x", "valueCode": "unknown"}]}


def unit(code: str, system: str = UCUM) -> dict[str, Any]:
    return {"coding": [{"system": system, "code": code}]}


def faults_with(component: dict[str, Any]) -> list[tuple[str, str]]:
    """What is wrong with a heart rate that has this component."""
    found = check(bent(HEART_RATE, component=[{"code": TEXT, **component}]))
    return [(path, severity) for path, _, severity in found]


@pytest.mark.parametrize(
    ("component", "path"),
    [
        pytest.param({"valueString": "sitting"}, "valueString", id="a text"),
        pytest.param({"valueString": " kg"}, "valueString", id="a unit with a blank"),
        pytest.param({"_valueString": UNKNOWN}, "_valueString", id="a text that is unknown"),
        pytest.param({"_valueBoolean": UNKNOWN}, "_valueBoolean", id="a yes or no that is unknown"),
        pytest.param({"_valueDateTime": UNKNOWN}, "_valueDateTime", id="a time that is unknown"),
        pytest.param({"valueCodeableConcept": TEXT}, "valueCodeableConcept", id="a concept as text"),
        pytest.param({"valueCodeableConcept": loinc("8867-4")}, "valueCodeableConcept", id="a concept"),
        pytest.param({"valueCodeableConcept": unit("ms")}, "valueCodeableConcept", id="a unit of something else"),
        pytest.param({"valueCodeableConcept": unit("kg", "urn:x")}, "valueCodeableConcept", id="a unit of elsewhere"),
        pytest.param({"valueQuantity": quantity(800, "ms")}, "valueQuantity.code", id="milliseconds"),
        pytest.param({"valueQuantity": quantity(72, "{beats}/min")}, "valueQuantity.code", id="an annotated unit"),
        pytest.param(
            {"valueQuantity": {**quantity(1, "cm"), "system": "http://example.org"}}, "valueQuantity.code", id="system"
        ),
        pytest.param(
            {"valueQuantity": quantity(800, "ms"), "dataAbsentReason": TEXT}, "valueQuantity.code", id="with a reason"
        ),
    ],
)
def test_a_component_of_any_vital_sign_whose_value_is_no_common_unit_is_refused(
    component: dict[str, Any], path: str
) -> None:
    assert faults_with(component) == [(f"component[0].{path}", "error")]


def test_the_refusal_of_a_text_says_what_may_be_there() -> None:
    ((_, text, _),) = check(bent(HEART_RATE, component=[{"code": TEXT, "valueString": "sitting"}]))

    assert "http://hl7.org/fhir/ValueSet/ucum-vitals-common" in text
    assert "mm[Hg]" in text


def test_each_component_is_looked_at() -> None:
    heart_rate = bent(
        HEART_RATE,
        component=[
            {"code": TEXT, "valueString": "x"},
            {"code": TEXT, "valueQuantity": quantity(1, "cm")},
            {"code": TEXT},
        ],
    )

    assert [path for path, _, _ in check(heart_rate)] == ["component[0].valueString", "component[2]"]


def test_a_third_component_of_a_blood_pressure_is_one_of_any_vital_sign() -> None:
    position = {"code": TEXT, "valueString": "sitting"}
    pressure = bent(BLOOD_PRESSURE, component=[*BLOOD_PRESSURE["component"], position])

    assert [path for path, _, _ in check(pressure)] == ["component[2].valueString"]


def test_components_of_other_observations_are_not_looked_at() -> None:
    score = bent(HEART_RATE, meta={}, code=TEXT, component=[{"code": TEXT, "valueString": "x"}])

    assert check(score) == []


@pytest.mark.parametrize("code", ["%", "cm", "[in_i]", "kg", "g", "[lb_av]", "Cel", "[degF]", "mm[Hg]", "/min"])
@pytest.mark.parametrize("form", ["quantity", "text", "concept"])
def test_a_common_unit_is_right_in_each_form_that_can_be_bound(code: str, form: str) -> None:
    values = {
        "quantity": {"valueQuantity": quantity(1, code)},
        "text": {"valueString": code},
        "concept": {"valueCodeableConcept": unit(code)},
    }

    assert faults_with(values[form]) == []


@pytest.mark.parametrize(
    "component",
    [
        pytest.param({"valueBoolean": True}, id="yes or no"),
        pytest.param({"valueInteger": 3}, id="number"),
        pytest.param({"valueDateTime": "2026-01-01"}, id="time"),
        pytest.param({"valueRange": {"low": quantity(1, "ms")}}, id="range"),
        pytest.param(
            {
                "valueSampledData": {
                    "origin": quantity(0, "mV"),
                    "period": 10,
                    "dimensions": 1,
                    "data": "1 2",
                }
            },
            id="samples",
        ),
        pytest.param({"valueQuantity": {"value": 1, "unit": "ms"}}, id="a quantity without code"),
        pytest.param({"valueQuantity": {"value": 1, "code": "ms"}}, id="a quantity without system"),
        pytest.param({"valueBoolean": True, "_valueBoolean": UNKNOWN}, id="a value with an extension"),
        pytest.param(
            {"valueCodeableConcept": {"coding": [{"system": "urn:x", "code": "y"}, *unit("kg")["coding"]]}},
            id="one coding of several",
        ),
        pytest.param({"dataAbsentReason": TEXT}, id="no value with a reason"),
    ],
)
def test_what_a_binding_cannot_bind_is_left_open(component: dict[str, Any]) -> None:
    assert faults_with(component) == []


def test_a_component_of_a_blood_pressure_says_once_what_it_must_be() -> None:
    systolic = {"code": loinc("8480-6"), "valueQuantity": quantity(16, "kPa")}
    pressure = bent(BLOOD_PRESSURE, component=[systolic, BLOOD_PRESSURE["component"][1]])

    assert [path for path, _, _ in check(pressure)] == ["component[0].valueQuantity.code"]


def test_a_component_of_a_blood_pressure_has_its_code_once() -> None:
    systolic = {"code": loinc("8480-6", "8480-6"), "valueQuantity": quantity(120, "mm[Hg]")}
    pressure = bent(BLOOD_PRESSURE, component=[systolic, BLOOD_PRESSURE["component"][1]])

    assert [path for path, _, _ in check(pressure)] == ["component[0].code.coding[1]"]


@pytest.mark.parametrize("name", ["system", "code"])
def test_what_a_profile_fixes_in_a_component_has_no_extension(name: str) -> None:
    systolic, diastolic = BLOOD_PRESSURE["component"]
    coded = {**diastolic, "code": {"coding": [{**loinc("8462-4")["coding"][0], f"_{name}": UNKNOWN}]}}
    measured = {**diastolic, "valueQuantity": {**quantity(60, "mm[Hg]"), f"_{name}": UNKNOWN}}

    assert [
        [path for path, _, _ in check(bent(BLOOD_PRESSURE, category=[CATEGORY], component=[systolic, bad]))]
        for bad in (coded, measured)
    ] == [[f"component[1].code.coding[0].{name}"], [f"component[1].valueQuantity.{name}"]]
