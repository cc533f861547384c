from __future__ import annotations

import pytest
from fhir.resources.R4B.codesystem import CodeSystem
from fhir.resources.R4B.conceptmap import ConceptMap
from fhir.resources.R4B.valueset import ValueSet

from terminology import canonical, codes

MODELS = {"CodeSystem": CodeSystem, "ValueSet": ValueSet, "ConceptMap": ConceptMap}


def test_a_code_system_that_is_not_shipped_is_refused() -> None:
    with pytest.raises(codes.UnknownCode, match="not shipped"):
        codes.display("http://snomed.info/sct", "1")


def test_a_code_that_is_not_shipped_is_refused() -> None:
    with pytest.raises(codes.UnknownCode, match="0-0"):
        codes.display(canonical.LOINC, "0-0")


def test_a_value_set_that_is_not_shipped_is_refused() -> None:
    with pytest.raises(codes.UnknownCode):
        codes.in_value_set("http://example.org/ValueSet/none", canonical.LOINC, "8867-4")


def test_a_coding_carries_the_official_name() -> None:
    assert codes.coding(canonical.LOINC, "40443-4") == {
        "system": "http://loinc.org",
        "code": "40443-4",
        "display": "Heart rate --resting",
    }


def test_a_concept_takes_its_text_from_its_first_code() -> None:
    found = codes.concept((canonical.LOINC, "59408-5"), (canonical.LOINC, "2708-6"))
    assert [entry["code"] for entry in found["coding"]] == ["59408-5", "2708-6"]
    assert found["text"] == "Oxygen saturation in Arterial blood by Pulse oximetry"


def test_a_coding_can_be_changed_without_changing_the_next_one() -> None:
    codes.coding(canonical.LOINC, "8867-4")["display"] = "changed"
    assert codes.coding(canonical.LOINC, "8867-4")["display"] == "Heart rate"


def test_heart_rate_variability_says_rmssd_where_people_and_programs_look() -> None:
    for code in ("hrv-rmssd", "hrv-rmssd-deep-sleep"):
        assert "rmssd" in code
        assert "rmssd" in codes.display(canonical.MEASURE, code)


@pytest.mark.parametrize(
    ("name", "system", "code", "expected"),
    [
        ("measure", canonical.MEASURE, "hrv-rmssd", True),
        ("measure", canonical.LOINC, "8867-4", False),
        ("wearable-observation", canonical.LOINC, "8867-4", True),
        ("wearable-observation", canonical.MEASURE, "light-minutes", True),
        ("nicotine-exposure", canonical.NICOTINE_EXPOSURE, "sometimes", False),
    ],
)
def test_value_sets_list_codes_or_take_a_whole_system(name: str, system: str, code: str, expected: bool) -> None:
    assert codes.in_value_set(f"{canonical.BASE}/ValueSet/{name}", system, code) is expected


@pytest.mark.parametrize("kind", sorted(MODELS))
def test_every_shipped_resource_is_valid_and_known_by_its_url(kind: str) -> None:
    found = codes.resources(kind)
    assert found
    for url, resource in found.items():
        assert MODELS[kind].model_validate(dict(resource)).url == url


def test_every_code_in_a_value_set_or_map_is_shipped_with_a_display() -> None:
    for value_set in codes.resources("ValueSet").values():
        for include in value_set["compose"]["include"]:
            for entry in include.get("concept", ()):
                assert codes.display(include["system"], entry["code"])
    for concept_map in codes.resources("ConceptMap").values():
        for element in concept_map["group"][0]["element"]:
            assert codes.display(canonical.LOINC, element["code"]) == element["display"]
            assert codes.display(canonical.LOINC, element["target"][0]["code"]) == element["target"][0]["display"]


def test_loinc_content_carries_its_notice_and_says_where_each_code_was_confirmed() -> None:
    loinc = codes.resources("CodeSystem")[canonical.LOINC]
    assert "LOINC is copyright" in loinc["copyright"]
    for entry in loinc["concept"]:
        facts = {fact["code"]: fact.get("valueString") or fact.get("valueCode") for fact in entry["property"]}
        assert facts["source"]
        assert facts["certainty"] in {"A", "B", "C"}


def test_a_key_always_has_the_same_id() -> None:
    assert canonical.deterministic_id("a") == canonical.deterministic_id("a") != canonical.deterministic_id("b")
    assert canonical.identifier_system("x").startswith(canonical.BASE)
    assert canonical.extension("x") == f"{canonical.BASE}/StructureDefinition/x"
