from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from importlib.resources import files
from typing import Any

import msgspec
import pytest
from fhir.resources.R4B.observation import Observation

from mappers.vitals import VitalsContext, VitalsError, forms, members, to_observations
from profiles import vital_signs

CONTEXT = VitalsContext("p1", datetime(2026, 8, 9, 7, 30, tzinfo=UTC))


def one(entry: dict[str, Any], context: VitalsContext = CONTEXT) -> dict[str, Any]:
    (observation,) = to_observations(entry, context)
    assert vital_signs.check(observation) == []
    Observation.model_validate(json.loads(msgspec.json.Encoder(decimal_format="number").encode(observation)))
    return observation


def loinc(observation: dict[str, Any]) -> list[str]:
    return [coding["code"] for coding in observation["code"]["coding"]]


@pytest.mark.parametrize(
    ("entry", "member"),
    [
        ({}, "entry"),
        ({"effective": "2026-08-09"}, "entry"),
        ({"pulse": 70}, "pulse"),
        ({"heart_rate": "72"}, "heart_rate"),
        ({"heart_rate": None}, "heart_rate"),
        ({"heart_rate": True}, "heart_rate"),
        ({"heart_rate": 0}, "heart_rate"),
        ({"heart_rate": -3}, "heart_rate"),
        ({"heart_rate": {"value": 72, "unit": "kg"}}, "heart_rate"),
        ({"heart_rate": {"value": 72, "unit": 5}}, "heart_rate"),
        ({"heart_rate": {"value": 72, "units": "/min"}}, "heart_rate.units"),
        ({"oxygen_saturation": 101}, "oxygen_saturation"),
        ({"glucose": 99}, "glucose"),
        ({"glucose": {"value": 99}}, "glucose"),
        ({"glucose": {"value": 99, "unit": "%"}}, "glucose"),
        ({"blood_pressure": 120}, "blood_pressure"),
        ({"blood_pressure": {}}, "blood_pressure"),
        ({"blood_pressure": {"systolic": None}}, "blood_pressure"),
        ({"blood_pressure": {"systolic": "120", "diastolic": 80}}, "blood_pressure.systolic"),
        ({"blood_pressure": {"systolic": 120, "mean": 90}}, "blood_pressure.mean"),
        ({"blood_pressure": {"systolic": 120, "unit": "kPa"}}, "blood_pressure"),
        ({"diabetes": "yes"}, "diabetes"),
        ({"nicotine_exposure": "sometimes"}, "nicotine_exposure"),
        ({"nicotine_exposure": True}, "nicotine_exposure"),
        ({"mepa_score": 17}, "mepa_score"),
        ({"heart_rate": 72, "effective": "yesterday"}, "effective"),
        ({"heart_rate": 72, "effective": 5}, "effective"),
        ({"heart_rate": 72, "effective": "20260809"}, "effective"),
        ({"heart_rate": 72, "effective": "2026-08-09T07:30:00"}, "effective"),
        ({"heart_rate": 72, "effective": "2026-08-32T07:30:00Z"}, "effective"),
    ],
    ids=repr,
)
def test_what_cannot_be_recorded_is_refused_by_the_name_of_its_member(entry: dict[str, Any], member: str) -> None:
    with pytest.raises(VitalsError) as refusal:
        to_observations(entry, CONTEXT)
    assert refusal.value.member == member
    assert str(refusal.value).startswith(f"{member}: ")


@pytest.mark.parametrize(
    ("entry", "member", "wanted"),
    [
        ({"heart_rate": 9999}, "heart_rate", "from 0 to 390 in /min"),
        ({"respiratory_rate": 330.1}, "respiratory_rate", "from 0 to 330 in /min"),
        ({"oxygen_saturation": 101}, "oxygen_saturation", "from 0 to 100 in %"),
        ({"temperature": 98.6}, "temperature", "from 14.2 to 47 in Cel"),
        ({"temperature": {"value": 37, "unit": "[degF]"}}, "temperature", "from 57.6 to 116.6 in [degF]"),
        ({"weight": 80000}, "weight", "from 0 to 650 in kg"),
        ({"weight": {"value": 2000, "unit": "lb"}}, "weight", "from 0 to 1433 in [lb_av]"),
        ({"height": 1720}, "height", "from 0 to 275 in cm"),
        ({"glucose": {"value": 180, "unit": "mmol/L"}}, "glucose", "from 0 to 122.1 in mmol/L"),
        ({"hba1c": {"value": 101, "unit": "%"}}, "hba1c", "from 0 to 100 in %"),
        ({"blood_pressure": {"systolic": 1200, "diastolic": 80}}, "blood_pressure.systolic", "from 0 to 375 in mm[Hg]"),
        (
            {"blood_pressure": {"systolic": 120, "diastolic": 800}},
            "blood_pressure.diastolic",
            "from 0 to 375 in mm[Hg]",
        ),
    ],
    ids=repr,
)
def test_what_nobody_can_have_is_refused_with_what_is_plausible(
    entry: dict[str, Any], member: str, wanted: str
) -> None:
    with pytest.raises(VitalsError) as refusal:
        to_observations(entry, CONTEXT)
    assert refusal.value.member == member
    assert wanted in str(refusal.value)


@pytest.mark.parametrize(
    "entry",
    [
        {"heart_rate": 390},
        {"oxygen_saturation": 100},
        {"temperature": Decimal("14.2")},
        {"weight": {"value": 3400, "unit": "g"}},
        {"weight": 635},
        {"height": {"value": 20, "unit": "in"}},
        {"hba1c": {"value": 130, "unit": "mmol/mol"}},
        {"blood_pressure": {"systolic": 375, "diastolic": 375}},
    ],
    ids=repr,
)
def test_what_somebody_had_is_recorded_however_ill_they_were(entry: dict[str, Any]) -> None:
    assert one(entry)


def test_each_unit_of_each_reading_has_its_bounds_and_their_source() -> None:
    table = json.loads((files("mappers") / "vitals.json").read_bytes())
    for row in table["numbers"].values():
        assert set(row["plausible"]) == set(row["units"])
        assert row["plausible_source"]
    assert all(set(row["plausible"]) == set(row["units"]) for row in table["panels"].values())


@pytest.mark.parametrize(
    ("entry", "codes", "unit"),
    [
        ({"heart_rate": 72}, ["8867-4"], "/min"),
        ({"heart_rate": {"value": 72, "unit": "bpm"}}, ["8867-4"], "/min"),
        ({"resting_heart_rate": 55}, ["40443-4", "8867-4"], "/min"),
        ({"oxygen_saturation": 97}, ["59408-5", "2708-6"], "%"),
        ({"temperature": 37.2}, ["8310-5"], "Cel"),
        ({"temperature": {"value": 99, "unit": "°F"}}, ["8310-5"], "[degF]"),
        ({"weight": {"value": 180, "unit": "lb"}}, ["29463-7"], "[lb_av]"),
        ({"glucose": {"value": 99, "unit": "mg/dL"}}, ["41653-7"], "mg/dL"),
        ({"glucose": {"value": 5.5, "unit": "mmol/L"}}, ["14743-9"], "mmol/L"),
        ({"fasting_glucose": {"value": 5.5, "unit": "mmol/L"}}, ["14771-0"], "mmol/L"),
        ({"hba1c": {"value": 39, "unit": "mmol/mol"}}, ["59261-8"], "mmol/mol"),
        ({"mepa_score": 0}, ["mepa-score"], "{score}"),
    ],
    ids=repr,
)
def test_the_unit_selects_the_code_and_is_kept(entry: dict[str, Any], codes: list[str], unit: str) -> None:
    observation = one(entry)
    assert loinc(observation) == codes
    assert observation["valueQuantity"]["code"] == unit


def test_digits_are_kept_as_typed() -> None:
    assert str(one({"weight": Decimal("80.50")})["valueQuantity"]["value"]) == "80.50"


def test_blood_pressure_is_one_observation_with_two_components() -> None:
    observation = one({"blood_pressure": {"systolic": 120, "diastolic": 80, "unit": "mmHg"}})
    assert loinc(observation) == ["85354-9"]
    assert "valueQuantity" not in observation
    assert [part["valueQuantity"]["value"] for part in observation["component"]] == [120, 80]


def test_a_missing_half_of_blood_pressure_says_why_it_is_missing() -> None:
    observation = one({"blood_pressure": {"systolic": 120}})
    assert observation["component"][1]["dataAbsentReason"]["coding"][0]["code"] == "not-performed"


def test_answers_are_codes_or_truth_values() -> None:
    smoking, diabetes = to_observations({"nicotine_exposure": "former-5y", "diabetes": False}, CONTEXT)
    assert smoking["valueCodeableConcept"]["coding"][0]["code"] == "former-5y"
    assert diabetes["valueBoolean"] is False


@pytest.mark.parametrize("effective", ["2026-08-09", "2026-08-09T07:30:00+02:00", "2026-08-09T07:30:00.5Z"])
def test_the_time_is_kept_as_given(effective: str) -> None:
    assert one({"heart_rate": 72, "effective": effective})["effectiveDateTime"] == effective


def test_without_a_time_it_is_now_and_without_a_performer_it_is_the_patient() -> None:
    observation = one({"heart_rate": 72})
    assert observation["effectiveDateTime"] == "2026-08-09T07:30:00Z"
    assert observation["performer"] == [{"reference": "Patient/p1"}]
    assert "id" not in observation


def test_who_entered_it_and_with_which_device_is_said() -> None:
    context = VitalsContext("p1", CONTEXT.now, "Practitioner/d", "Device/cuff")
    observation = one({"heart_rate": 72}, context)
    assert observation["performer"] == [{"reference": "Practitioner/d"}]
    assert observation["device"] == {"reference": "Device/cuff"}


def test_every_member_is_named_in_the_documentation() -> None:
    from mappers import vitals

    assert all(member in str(vitals.__doc__) for member in members())


def test_the_form_of_each_member_says_its_unit_or_its_answers():
    told = forms()

    assert set(told) == {*members(), "effective"}
    assert told["height"].startswith("a number in cm, or an object with value and unit")
    assert told["glucose"] == "an object with value and unit, out of mg/dL, mmol/L"
    assert told["blood_pressure"] == "an object with systolic and diastolic in mm[Hg]"
    assert told["diabetes"] == "true or false"
    assert "code of" in told["nicotine_exposure"]
