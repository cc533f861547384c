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


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        pytest.param("chromosome-variant-coordinate=1$gt5$lt20", ["one"], id="all of one variant"),
        pytest.param("chromosome-variant-coordinate=1$gt5$lt5", [], id="not across variants"),
        pytest.param("chromosome-variant-coordinate=2$gt0$lt5", ["other"], id="of another chromosome"),
        pytest.param("chromosome-variant-coordinate=1$gt5$lt20,2$gt0$lt5", ["one", "other"], id="one of a list"),
        pytest.param("chromosome-variant-coordinate=3$gt0$lt50", [], id="of none"),
        pytest.param("referenceseqid-window-coordinate=NC_1$ge0$le100", ["one"], id="a window"),
    ],
)
async def test_a_composite_may_have_three_parts(case: Case, asked: str, found: list[str]) -> None:
    def sequence(chromosome: str, name: str) -> dict[str, object]:
        codes = {"chromosome": {"coding": [{"code": chromosome}]}, "referenceSeqId": {"coding": [{"code": name}]}}
        return {**codes, "windowStart": 0, "windowEnd": 100}

    near, far = {"start": 1, "end": 4}, {"start": 10, "end": 15}
    about = {"coordinateSystem": 0, "type": "dna"}
    await case.put("MolecularSequence", "one", **about, referenceSeq=sequence("1", "NC_1"), variant=[near, far])
    await case.put("MolecularSequence", "other", **about, referenceSeq=sequence("2", "NC_2"), variant=[near])

    assert await case.labels("MolecularSequence", f"{asked}&_sort=_id") == found
