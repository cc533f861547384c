"""Composite parameters: https://hl7.org/fhir/R4/search.html#composite."""

from __future__ import annotations

import pytest

from tests.contract.case import Case

UCUM = "http://unitsofmeasure.org"


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        pytest.param(f"component-code-value-quantity=8480-6$gt100|{UCUM}|mm[Hg]", ["high"], id="above"),
        pytest.param(f"component-code-value-quantity=8462-4$gt100|{UCUM}|mm[Hg]", [], id="not across components"),
        pytest.param(f"component-code-value-quantity=8462-4$lt75|{UCUM}|mm[Hg]", ["low"], id="below"),
        pytest.param(f"component-code-value-quantity=8480-6$gt13|{UCUM}|kPa", ["high"], id="in another unit"),
        pytest.param("code-value-string=718-7$fast", ["low"], id="with a string"),
    ],
)
async def test_both_parts_hold_of_the_same_component(case: Case, asked: str, found: list[str]) -> None:
    def component(code: str, value: int) -> dict[str, object]:
        return {
            "code": {"coding": [{"system": "http://loinc.org", "code": code}]},
            "valueQuantity": {"value": value, "system": UCUM, "code": "mm[Hg]"},
        }

    await case.put("Observation", "high", component=[component("8480-6", 140), component("8462-4", 90)])
    await case.put(
        "Observation", "low", valueString="fast", component=[component("8480-6", 95), component("8462-4", 70)]
    )

    await case.put("Observation", "coded", valueCodeableConcept={"text": "fast"})

    assert await case.labels("Observation", f"{asked}&_sort=_id") == found


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        pytest.param("combo-code=8480-6", ["parts"], id="code of a component"),
        pytest.param("combo-code=2339-0", ["whole"], id="code of the whole"),
        pytest.param("combo-code:not=8480-6", ["bare", "whole"], id="neither"),
        pytest.param("combo-value-quantity:missing=true", ["bare"], id="no value anywhere"),
        pytest.param("combo-value-quantity:missing=false", ["parts", "whole"], id="a value somewhere"),
        pytest.param(f"combo-value-quantity=gt13|{UCUM}|kPa", ["parts"], id="in another unit"),
        pytest.param(f"combo-code-value-quantity=8480-6$gt100|{UCUM}|mm[Hg]", ["parts"], id="both of a component"),
        pytest.param(f"combo-code-value-quantity=2339-0$lt100|{UCUM}|mg/dL", ["whole"], id="both of the whole"),
        pytest.param(f"combo-code-value-quantity=2339-0$gt100|{UCUM}|mm[Hg]", [], id="not across both"),
    ],
)
async def test_a_combined_parameter_finds_the_whole_and_its_components(
    case: Case, asked: str, found: list[str]
) -> None:
    def valued(code: str, value: int, unit: str) -> dict[str, object]:
        coding = {"coding": [{"system": "http://loinc.org", "code": code}]}
        return {"code": coding, "valueQuantity": {"value": value, "system": UCUM, "code": unit}}

    await case.put("Observation", "whole", **valued("2339-0", 72, "mg/dL"))
    await case.put("Observation", "parts", component=[valued("8480-6", 140, "mm[Hg]")])
    await case.put("Observation", "bare")

    assert await case.labels("Observation", f"{asked}&_sort=_id") == found
