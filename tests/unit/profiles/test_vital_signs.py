"""The R4 vital-signs profiles; https://hl7.org/fhir/R4/observation-vitalsigns.html."""

import pytest

from profiles.vital_profiles import PROFILES
from profiles.vital_signs import check
from tests.unit.fhir.samples import BLOOD_PRESSURE, CATEGORY, DROP, HEART_RATE, bent, loinc, quantity

TEXT = {"text": "x"}


def paths(observation: dict) -> list[str]:
    return [path for path, _, severity in check(observation) if severity == "error"]


@pytest.mark.parametrize(
    ("changes", "path", "text"),
    [
        pytest.param({"category": DROP}, "category", "'vital-signs'", id="no category"),
        pytest.param(
            {"category": [{"coding": [{"code": "vital-signs"}]}]},
            "category",
            "'vital-signs'",
            id="category without system",
        ),
        pytest.param({"category": [TEXT]}, "category", "'vital-signs'", id="category as text"),
        pytest.param({"category": [CATEGORY, CATEGORY]}, "category", "once", id="category twice"),
        pytest.param({"subject": DROP}, "subject", "required", id="no subject"),
        pytest.param({"subject": {"reference": "Group/g"}}, "subject", "is a Group", id="subject of another type"),
        pytest.param(
            {"subject": {"reference": "https://a/fhir/Device/d/_history/1"}}, "subject", "is a Device", id="elsewhere"
        ),
        pytest.param({"subject": {"type": "Location"}}, "subject", "is a Location", id="type without a reference"),
        pytest.param({"effectiveDateTime": DROP}, "effectiveDateTime", "required", id="no time"),
        pytest.param({"effectiveDateTime": "2026-11"}, "effectiveDateTime", "vs-1", id="vs-1: month only"),
        pytest.param({"valueQuantity": DROP}, "", "vs-2", id="vs-2: no value"),
        pytest.param(
            {"valueQuantity": DROP, "valueString": "72"}, "valueString", "use valueQuantity", id="value as text"
        ),
        pytest.param(
            {"valueQuantity": DROP, "_valueString": {}}, "_valueString", "use valueQuantity", id="other companion"
        ),
        pytest.param(
            {"valueQuantity": {**quantity(1, "/min"), "code": "bpm"}}, "valueQuantity.code", "UCUM code /min", id="code"
        ),
        pytest.param(
            {"valueQuantity": {**quantity(1, "/min"), "system": "u"}},
            "valueQuantity.system",
            "unitsofmeasure",
            id="system",
        ),
        pytest.param({"component": [{"code": TEXT}]}, "component[0]", "vs-3", id="vs-3: component without value"),
    ],
)
def test_a_heart_rate_that_breaks_its_profile_is_refused(changes: dict, path: str, text: str) -> None:
    observation = bent(HEART_RATE, **changes)

    assert paths(observation) == [path]
    assert text in check(observation)[0][1]


@pytest.mark.parametrize("name", ["value", "unit"])
def test_a_quantity_without_value_or_unit_is_refused(name: str) -> None:
    value = quantity(72, "/min")
    del value[name]

    assert paths(bent(HEART_RATE, valueQuantity=value)) == [f"valueQuantity.{name}"]


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({}, id="as it is"),
        pytest.param({"effectiveDateTime": DROP, "effectivePeriod": {"start": "2026"}}, id="a period"),
        pytest.param({"valueQuantity": DROP, "dataAbsentReason": TEXT}, id="no value with a reason"),
        pytest.param({"valueQuantity": DROP, "hasMember": [{"reference": "Observation/1"}]}, id="a panel"),
        pytest.param(
            {"valueQuantity": bent(quantity(1, "/min"), value=DROP, _value={"id": "x"})}, id="value with extension"
        ),
        pytest.param({"code": loinc("40443-4", "8867-4")}, id="resting heart rate"),
        pytest.param({"component": [{"code": TEXT, "dataAbsentReason": TEXT}]}, id="component without value"),
    ],
)
def test_a_heart_rate_that_follows_its_profile_is_accepted(changes: dict) -> None:
    assert check(bent(HEART_RATE, **changes)) == []


@pytest.mark.parametrize(
    ("code", "unit", "profile"),
    [
        (profile.code.code, unit, name)
        for name, profile in PROFILES.items()
        for unit in profile.units.codes
        if profile.code
    ],
)
def test_every_profile_accepts_its_code_with_each_of_its_units(code: str, unit: str, profile: str) -> None:
    url = f"http://hl7.org/fhir/StructureDefinition/{profile}"

    assert check(bent(HEART_RATE, code=loinc(code), valueQuantity=quantity(1, unit), meta={"profile": [url]})) == []


@pytest.mark.parametrize(
    "code", ["9279-1", "2708-6", "8310-5", "8302-2", "9843-4", "8287-5", "29463-7", "39156-5", "8867-4"]
)
def test_another_unit_is_refused(code: str) -> None:
    assert paths(bent(HEART_RATE, meta=DROP, code=loinc(code), valueQuantity=quantity(1, "mm"))) == [
        "valueQuantity.code"
    ]


def test_a_special_code_alone_is_a_warning_that_names_the_missing_one() -> None:
    saturation = bent(HEART_RATE, meta=DROP, code=loinc("59408-5"), valueQuantity=quantity(97, "%"))

    assert check(saturation) == [("code", "should also have the LOINC coding 2708-6 (profile oxygensat).", "warning")]


def test_a_body_mass_index_needs_a_value() -> None:
    index = bent(HEART_RATE, meta=DROP, code=loinc("39156-5"), valueQuantity=DROP, dataAbsentReason=TEXT)

    assert paths(index) == ["valueQuantity"]


def test_a_blood_pressure_is_accepted() -> None:
    assert check(BLOOD_PRESSURE) == []


def component(code: str, unit: str = "mm[Hg]") -> dict:
    return {"code": loinc(code), "valueQuantity": quantity(100, unit)}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param({"valueQuantity": quantity(100, "mm[Hg]")}, ["valueQuantity"], id="value on top"),
        pytest.param({"component": [component("8480-6")]}, ["component"], id="no diastolic"),
        pytest.param(
            {"component": [component("8480-6"), component("8462-4"), component("8462-4")]},
            ["component"],
            id="two diastolic",
        ),
        pytest.param(
            {"component": [component("8480-6"), component("8462-4", "kPa")]},
            ["component[1].valueQuantity.code"],
            id="kPa",
        ),
        pytest.param({"component": DROP, "dataAbsentReason": TEXT}, ["component", "component"], id="no components"),
        pytest.param(
            {"component": [component("8480-6"), {"code": loinc("8462-4"), "valueString": "80"}]},
            ["component[1].valueString"],
            id="diastolic as text",
        ),
    ],
)
def test_a_blood_pressure_that_breaks_its_profile_is_refused(changes: dict, expected: list[str]) -> None:
    assert paths(bent(BLOOD_PRESSURE, **changes)) == expected


PANEL = bent(
    HEART_RATE, meta=DROP, code=loinc("85353-1"), valueQuantity=DROP, hasMember=[{"reference": "Observation/pulse"}]
)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param({"hasMember": DROP, "dataAbsentReason": TEXT}, ["hasMember"], id="no members"),
        pytest.param({"valueQuantity": quantity(72, "/min")}, ["valueQuantity"], id="a value of its own"),
        pytest.param({"category": DROP, "subject": DROP}, ["category", "subject"], id="what all vital signs need"),
    ],
)
def test_a_panel_that_breaks_its_profile_is_refused(changes: dict, expected: list[str]) -> None:
    assert paths(bent(PANEL, **changes)) == expected


def test_a_panel_of_members_is_accepted() -> None:
    assert check(PANEL) == []


def test_a_code_that_the_validator_of_hl7_leaves_alone_is_left_alone() -> None:
    saturation = bent(HEART_RATE, meta=DROP, code=loinc("2711-0"), valueQuantity=quantity(1, "mm"), category=DROP)

    assert check(saturation) == []


def test_a_component_without_value_is_accepted_with_a_reason() -> None:
    absent = {"code": loinc("8462-4"), "dataAbsentReason": TEXT}

    assert check(bent(BLOOD_PRESSURE, component=[component("8480-6"), absent])) == []


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"subject": {"reference": "urn:uuid:61ebe359-bfdc-4613-8bf2-c5e300945f0a"}}, id="urn"),
        pytest.param({"subject": {"identifier": {"value": "1"}}}, id="by identifier"),
        pytest.param({"subject": {"reference": "#p"}}, id="contained"),
        pytest.param(
            {
                "effectiveDateTime": DROP,
                "_effectiveDateTime": {"extension": [{"url": "urn:x", "valueCode": "unknown"}]},
            },
            id="a time that is unknown",
        ),
    ],
)
def test_what_a_profile_leaves_open_is_right(changes: dict) -> None:
    assert check(bent(HEART_RATE, **changes)) == []


@pytest.mark.parametrize(
    "code",
    [
        pytest.param(loinc("718-7"), id="laboratory code"),
        pytest.param({"coding": [{"system": "http://example.org", "code": "8867-4"}]}, id="the code of another system"),
        pytest.param({"coding": [{"display": "x"}]}, id="no code"),
        pytest.param(TEXT, id="text"),
    ],
)
def test_other_observations_are_not_looked_at(code: dict) -> None:
    assert check({"resourceType": "Observation", "status": "final", "code": code}) == []


def test_a_declared_profile_applies_whatever_the_code() -> None:
    url = "http://hl7.org/fhir/StructureDefinition/vitalsigns"

    assert paths({"code": TEXT, "meta": {"profile": [url]}, "category": [CATEGORY]}) == [
        "subject",
        "effectiveDateTime",
        "",
    ]


def test_the_general_profile_takes_any_value() -> None:
    url = "http://hl7.org/fhir/StructureDefinition/vitalsigns"

    assert check(bent(HEART_RATE, code=TEXT, meta={"profile": [url]}, valueQuantity=DROP, valueString="x")) == []
