from __future__ import annotations

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from fhir.resources.R4B.device import Device
from fhir.resources.R4B.observation import Observation

from fhir_facade.rules.score import Inputs, Refused, compute, engine_device, own_day, refusal, score, score_observation
from fhir_facade.rules.score.chart import Found
from fhir_facade.rules.score.parts import Activity, BloodPressure, Bmi, Diet, Glucose, Lipids, Nicotine, Sleep
from fhir_facade.rules.score.tables import sentences

DAY = date(2026, 8, 10)
FULL: dict[str, Found] = {
    "le8-activity": Found(
        Activity(Decimal(60), Decimal(10)),
        ("Observation/a1", "Observation/a2"),
        days=(5, 7),
        first_day=date(2026, 8, 3),
    ),
    "le8-sleep": Found(Sleep(Decimal("6.4")), ("Observation/s1",), first_day=date(2026, 7, 28)),
    "le8-bmi": Found(Bmi(Decimal("24.93")), ("Observation/w1", "Observation/h1")),
    "le8-blood-pressure": Found(BloodPressure(Decimal(125), Decimal(78)), ("Observation/b1",)),
    "le8-glucose": Found(Glucose(hba1c=Decimal("6.7")), ("Observation/g1",)),
    "le8-lipids": Found(Lipids(Decimal(120)), ("Observation/l1",)),
    "le8-nicotine": Found(Nicotine(), ("Observation/n1",)),
    "le8-diet": Found(Diet(Decimal(13)), ("Observation/d1",)),
}
MISSING = {
    "le8-activity": Found(reason="too-few", detail={"found": "3", "needed": "4", "days": "7"}),
    "le8-sleep": Found(reason="no-data", detail={"days": "14"}),
    "le8-bmi": Found(Bmi(Decimal(17)), ("Observation/w1",)),
    "le8-nicotine": Found(reason="not-asked"),
    "le8-diet": Found(reason="not-asked"),
    "le8-glucose": Found(Glucose(fasting=Decimal(130)), ("Observation/g1",)),
}


def build(parts: dict[str, Found], language: str = "en") -> dict[str, Any]:
    observation = score_observation(score(Inputs(DAY, parts)), "p1", language=language)
    Observation.model_validate(json.loads(msgspec.json.Encoder(decimal_format="number").encode(observation)))
    return observation


def texts(observation: dict[str, Any]) -> list[str]:
    return [note["text"] for note in observation["note"]]


@pytest.mark.parametrize(
    ("birth_date", "reason"),
    [
        (None, "unknown-birth-date"),
        ("long ago", "unknown-birth-date"),
        ("1980-13", "unknown-birth-date"),
        ("1980-02-30", "unknown-birth-date"),
        ("2006-08-11", "under-age"),
        ("2006", "under-age"),
        ("2006-08", "under-age"),
    ],
)
def test_who_cannot_be_scored_is_refused_with_the_reason(birth_date: str | None, reason: str) -> None:
    refused = compute([], patient_id="p1", birth_date=birth_date, zone=None, day=DAY)
    assert isinstance(refused, Refused)
    assert refused.reason == reason
    assert "20 years" in refused.text


@pytest.mark.parametrize("birth_date", ["2006-08-10", "2005", "2006-07", "1950-01-01"])
def test_from_the_twentieth_birthday_on_nothing_speaks_against_a_score(birth_date: str) -> None:
    assert refusal(birth_date, DAY) is None


@pytest.mark.parametrize(
    ("zone", "expected"),
    [("Pacific/Auckland", date(2026, 8, 11)), (None, DAY), ("Nowhere/City", DAY), ("America/Lima", DAY)],
)
def test_the_day_is_the_persons_own(zone: str | None, expected: date) -> None:
    assert own_day(datetime(2026, 8, 10, 15, tzinfo=UTC), zone) == expected


def test_a_complete_score_has_value_category_and_evidence() -> None:
    observation = build(FULL)
    # activity 60, sleep 70, BMI 100, pressure 75, unconfirmed HbA1c 40, lipids 100, nicotine 100, diet 80
    assert observation["valueQuantity"]["value"] == Decimal("78.125")
    assert observation["status"] == "final"
    assert observation["interpretation"][0]["coding"][0]["code"] == "moderate"
    assert observation["effectivePeriod"] == {"start": "2026-07-28", "end": "2026-08-10"}
    assert [row["reference"] for row in observation["derivedFrom"]] == [
        f"Observation/{name}" for name in ("a1", "a2", "s1", "w1", "h1", "b1", "g1", "l1", "n1", "d1")
    ]
    assert observation["device"]["reference"] == "Device/le8-engine-1.0.0"
    assert "not endorsed" in observation["code"]["text"]


def test_estimates_and_unconfirmed_findings_are_marked_on_their_part() -> None:
    components = build(FULL)["component"]
    marks = {
        part["code"]["coding"][0]["code"]: part["interpretation"][0]["coding"][0]["code"]
        for part in components
        if "interpretation" in part
    }
    assert marks == {"le8-activity": "estimated", "le8-glucose": "unconfirmed-diabetes-range"}


def test_missing_parts_say_why_and_are_never_imputed() -> None:
    observation = build(MISSING | {"le8-lipids": Found(Lipids(Decimal(150)), ("Observation/l1",))})
    absent = {
        part["code"]["coding"][0]["code"]: part["dataAbsentReason"]["coding"][0]["code"]
        for part in observation["component"]
        if "dataAbsentReason" in part
    }
    assert absent == {
        "le8-activity": "temp-unknown",
        "le8-sleep": "not-performed",
        "le8-bmi": "unsupported",
        "le8-nicotine": "not-asked",
        "le8-diet": "not-asked",
        "le8-glucose": "unsupported",
    }
    assert observation["valueQuantity"]["value"] == 60
    assert observation["status"] == "preliminary"
    assert "interpretation" not in observation
    assert "3 of at least 4" in texts(observation)[0]
    assert "under 18.5" in texts(observation)[0]
    assert "130 mg/dL" in texts(observation)[0]


def test_nothing_known_is_an_observation_without_value() -> None:
    observation = build(MISSING)
    assert observation["dataAbsentReason"]["coding"][0]["code"] == "not-performed"
    assert "valueQuantity" not in observation
    assert "derivedFrom" not in observation
    assert len(observation["note"]) == 2


def test_the_note_names_the_step_that_helps_most_and_what_it_brings() -> None:
    parts = FULL | {"le8-nicotine": Found(Nicotine(current=True)), "le8-activity": Found(Activity(Decimal(150)))}
    advice = texts(build(parts))[1]
    assert "nicotine" in advice
    assert "75 points" in advice
    assert "9.38" in advice


def test_a_partial_score_says_so() -> None:
    parts = {code: found for code, found in FULL.items() if code != "le8-diet"} | {
        "le8-diet": Found(reason="not-asked")
    }
    assert "7 of 8" in texts(build(parts))[0]


def test_when_nothing_is_left_to_win_the_note_says_so() -> None:
    assert "keep going" in texts(build({"le8-sleep": Found(Sleep(Decimal(8)))}))[1]


@pytest.mark.parametrize("language", ["de", "de-CH"])
def test_another_language_changes_the_words_and_nothing_else(language: str) -> None:
    english, german = build(FULL), build(FULL, language)
    assert "Schlaf" in texts(german)[0]
    for observation in (english, german):
        del observation["note"]
        del observation["code"]["text"]
    assert english == german


def test_an_unknown_language_gets_english() -> None:
    assert build(FULL, "xx") == build(FULL)


def test_both_languages_have_every_sentence() -> None:
    english, german = msgspec.to_builtins(sentences("en")), msgspec.to_builtins(sentences("de"))
    for name, value in english.items():
        assert german[name]
        if isinstance(value, dict):
            assert german[name].keys() == value.keys()


def test_the_same_day_has_the_same_id_and_another_day_another() -> None:
    result = score(Inputs(DAY, FULL))
    again = score(Inputs(DAY, MISSING))
    tomorrow = score(Inputs(date(2026, 8, 11), FULL))
    ids = [score_observation(each, "p1")["id"] for each in (result, again, tomorrow)]
    assert ids[0] == ids[1] != ids[2]
    assert score_observation(result, "p2")["id"] != ids[0]


def test_a_run_twice_yields_the_same_observation() -> None:
    arguments: dict[str, Any] = {"patient_id": "p1", "birth_date": "1980-01-01", "zone": None, "day": DAY}
    first = compute([], **arguments)
    assert isinstance(first, dict)
    assert first == compute([], **arguments)


def test_the_engine_is_a_device_of_its_version() -> None:
    device = engine_device()
    assert Device.model_validate(device)
    assert device["id"].endswith(device["version"][0]["value"])


def test_the_reference_ranges_leave_no_gap_a_stored_value_could_fall_into() -> None:
    high, moderate, low = build(FULL)["referenceRange"]
    assert high["low"]["value"] - moderate["high"]["value"] == Decimal("0.001")
    assert moderate["low"]["value"] - low["high"]["value"] == Decimal("0.001")
