from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from fhir_facade.rules.score import NEEDED, inputs_from
from fhir_facade.rules.score.chart import Found
from fhir_facade.rules.score.parts import Activity, BloodPressure, Bmi, Diet, Glucose, Lipids, Nicotine, Sleep
from terminology.canonical import HEALTH_SCORE, LOINC, MEASURE, NICOTINE_EXPOSURE, SLEEP_KIND, UCUM

DAY = date(2026, 8, 10)
ZONE = "Europe/Berlin"
_count = iter(range(10**6))


def observation(code: str, *, system: str = LOINC, **rest: Any) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "id": f"o{next(_count)}",
        "status": "final",
        "code": {"coding": [{"system": system, "code": code}]},
        **rest,
    }


def amount(value: float | str, unit: str) -> dict[str, Any]:
    return {"valueQuantity": {"value": Decimal(str(value)), "system": UCUM, "code": unit}}


def back(days: int) -> str:
    return (DAY - timedelta(days=days)).isoformat()


def measured(code: str, value: float | str, unit: str, days_ago: int = 1, **rest: Any) -> dict[str, Any]:
    return observation(code, effectiveDateTime=back(days_ago), **amount(value, unit), **rest)


def active_day(days_ago: int, moderate: float = 20, vigorous: float = 5) -> list[dict[str, Any]]:
    return [measured("77592-4", moderate, "min", days_ago), measured("77593-2", vigorous, "min", days_ago)]


def sleep(days_ago: int, minutes: float = 420, kind: str | None = "main-sleep", **rest: Any) -> dict[str, Any]:
    component = {
        "code": {"coding": [{"system": MEASURE, "code": "sleep-kind"}]},
        "valueCodeableConcept": {"coding": [{"system": SLEEP_KIND, "code": kind}]},
    }
    other = {"code": {"coding": [{"system": LOINC, "code": "93831-6"}]}, **amount(60, "min")}
    end = f"{back(days_ago)}T06:30:00+02:00"
    period = {"start": f"{back(days_ago + 1)}T23:00:00+02:00", "end": end}
    return observation(
        "93832-4",
        **{
            "effectivePeriod": period,
            **amount(minutes, "min"),
            "component": [other, component] if kind else [other],
            **rest,
        },
    )


def pressure(days_ago: int, systolic: float | None = 120, diastolic: float | None = 78) -> dict[str, Any]:
    halves = [("8480-6", systolic), ("8462-4", diastolic)]
    components = [
        {
            "code": {"coding": [{"system": LOINC, "code": code}]},
            **(amount(value, "mm[Hg]") if value is not None else {"dataAbsentReason": {"text": "?"}}),
        }
        for code, value in halves
    ]
    return observation("85354-9", effectiveDateTime=f"{back(days_ago)}T07:00:00Z", component=components)


def answer(code: str, value: bool, days_ago: int = 30) -> dict[str, Any]:
    return observation(code, system=HEALTH_SCORE, effectiveDateTime=back(days_ago), valueBoolean=value)


def smoking(state: str, system: str = NICOTINE_EXPOSURE) -> dict[str, Any]:
    concept = {"coding": [{"system": system, "code": state}]}
    return observation(
        "nicotine-exposure", system=HEALTH_SCORE, effectiveDateTime=back(3), valueCodeableConcept=concept
    )


def read(code: str, *observations: dict[str, Any]) -> Found:
    return inputs_from(observations, ZONE, DAY).parts[code]


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("le8-activity", "no-data"),
        ("le8-sleep", "no-data"),
        ("le8-bmi", "no-data"),
        ("le8-blood-pressure", "no-data"),
        ("le8-glucose", "no-data"),
        ("le8-lipids", "no-data"),
        ("le8-nicotine", "not-asked"),
        ("le8-diet", "not-asked"),
    ],
)
def test_without_observations_every_part_is_missing_with_its_reason(code: str, reason: str) -> None:
    found = read(code)
    assert (found.part, found.reason) == (None, reason)


@pytest.mark.parametrize("status", ["entered-in-error", "preliminary", "cancelled", "unknown"])
def test_only_final_observations_take_part(status: str) -> None:
    assert read("le8-bmi", measured("39156-5", 24, "kg/m2", status=status)).part is None


@pytest.mark.parametrize(
    "change",
    [
        {"effectiveDateTime": back(-1)},
        {"effectiveDateTime": back(91)},
        {"effectiveDateTime": "2026-08"},
        {"effectiveDateTime": "soon"},
        {"effectiveDateTime": None},
        {"id": None},
        {"valueQuantity": {"value": 24, "code": "%"}},
        {"valueQuantity": {"value": 24}},
        {"valueQuantity": {"value": "many", "code": "kg/m2"}},
        {"valueQuantity": {"value": 24, "code": "kg/m2", "comparator": "<"}},
        {"valueQuantity": None},
        {"code": {"coding": [{"code": "39156-5"}]}},
    ],
    ids=repr,
)
def test_an_observation_that_cannot_be_used_is_left_out(change: dict[str, Any]) -> None:
    assert read("le8-bmi", {**measured("39156-5", 24, "kg/m2"), **change}).part is None


def test_activity_needs_four_complete_days_and_today_is_not_complete() -> None:
    days = [row for ago in (0, 1, 2, 3) for row in active_day(ago)]
    found = read("le8-activity", *days)
    assert found.reason == "too-few"
    assert found.detail == {"found": "3", "needed": "4", "days": "7"}


def test_activity_of_seven_days_is_their_sum() -> None:
    found = read("le8-activity", *[row for ago in range(1, 8) for row in active_day(ago)])
    assert found.part == Activity(Decimal(140), Decimal(35))
    assert found.days is None
    assert found.first_day == date(2026, 8, 3)
    assert len(found.evidence) == 14


def test_activity_of_four_days_is_scaled_to_a_week_and_marked_as_estimated() -> None:
    found = read("le8-activity", *[row for ago in (1, 3, 5, 7) for row in active_day(ago)], *active_day(8))
    assert found.part == Activity(Decimal(140), Decimal(35))
    assert found.days == (4, 7)


def test_a_day_with_only_moderate_minutes_known_does_not_count() -> None:
    days = [row for ago in (1, 2, 3) for row in active_day(ago)] + [measured("77592-4", 60, "min", 4)]
    assert read("le8-activity", *days).reason == "too-few"


def test_minutes_of_a_workout_are_not_the_minutes_of_a_day() -> None:
    workout = {**measured("77592-4", 60, "min"), "effectiveDateTime": f"{back(4)}T10:00:00+02:00"}
    vigorous = measured("77593-2", 0, "min", 4)
    days = [row for ago in (1, 2, 3) for row in active_day(ago)]
    assert read("le8-activity", *days, workout, vigorous).reason == "too-few"


def test_two_devices_on_one_day_do_not_add_up() -> None:
    days = [row for ago in range(1, 8) for row in active_day(ago)]
    found = read("le8-activity", *days, measured("77592-4", 4, "min", 1), measured("77592-4", 30, "min", 2))
    assert found.part == Activity(Decimal(150), Decimal(35))


def test_sleep_is_the_mean_of_main_sleeps_and_naps_do_not_count() -> None:
    nights = [sleep(ago, 360 + 30 * ago) for ago in range(5)]
    found = read("le8-sleep", *nights, sleep(1, 90, "nap"), sleep(2, 600, "additional-sleep"))
    assert found.part == Sleep(Decimal(7))
    assert len(found.evidence) == 5


def test_without_a_mark_the_longest_sleep_of_a_day_counts() -> None:
    nights = [sleep(ago, 420, None) for ago in range(5)] + [sleep(ago, 60, None) for ago in range(5)]
    assert read("le8-sleep", *nights).part == Sleep(Decimal(7))


def test_four_nights_are_too_few() -> None:
    assert read("le8-sleep", *[sleep(ago) for ago in range(4)]).reason == "too-few"


def test_a_night_without_a_value_is_no_night() -> None:
    nights = [sleep(ago) for ago in range(4)] + [sleep(5, valueQuantity=None)]
    assert read("le8-sleep", *nights).detail["found"] == "4"


def test_bmi_comes_from_weight_and_height_in_their_own_units() -> None:
    found = read("le8-bmi", measured("29463-7", 180, "[lb_av]"), measured("8302-2", 180, "cm", 2000))
    assert isinstance(found.part, Bmi)
    assert round(found.part.value, 3) == Decimal("25.200")
    assert len(found.evidence) == 2


@pytest.mark.parametrize(("bmi_ago", "expected"), [(1, "30"), (9, "25")])
def test_the_newer_of_bmi_and_weight_counts(bmi_ago: int, expected: str) -> None:
    found = read(
        "le8-bmi",
        measured("39156-5", 30, "kg/m2", bmi_ago),
        measured("29463-7", 100, "kg", 5),
        measured("8302-2", 200, "cm", 5),
    )
    assert found.part == Bmi(Decimal(expected))


def test_weight_without_a_usable_height_is_not_enough() -> None:
    assert read("le8-bmi", measured("29463-7", 80, "kg")).part is None
    assert read("le8-bmi", measured("29463-7", 80, "kg"), measured("8302-2", 0, "cm")).part is None


def test_blood_pressure_is_the_mean_of_at_least_three_readings() -> None:
    readings = [pressure(1, 130, 80), pressure(2, 120, 70), pressure(3, 140, 90), pressure(4, 150, None)]
    found = read("le8-blood-pressure", *readings, answer("blood-pressure-treatment", True))
    assert found.part == BloodPressure(Decimal(130), Decimal(80), treated=True)
    assert len(found.evidence) == 4
    assert read("le8-blood-pressure", *readings[:2]).reason == "too-few"


@pytest.mark.parametrize(
    ("observations", "expected"),
    [
        ([measured("4548-4", "5.6", "%")], Glucose(hba1c=Decimal("5.6"))),
        ([measured("59261-8", 40, "mmol/mol")], Glucose(hba1c=Decimal("5.81"))),
        ([measured("59261-8", 40, "mmol/mol", 9), measured("4548-4", "5.6", "%", 2)], Glucose(hba1c=Decimal("5.6"))),
        ([measured("59261-8", 40, "mmol/mol", 1), measured("4548-4", "5.6", "%", 2)], Glucose(hba1c=Decimal("5.81"))),
        ([measured("1558-6", 95, "mg/dL")], Glucose(fasting=Decimal(95))),
        ([measured("14771-0", 5, "mmol/L")], Glucose(fasting=Decimal("90.08"))),
        ([measured("1558-6", 95, "mg/dL"), measured("4548-4", 6, "%", 300)], Glucose(hba1c=Decimal(6))),
        ([measured("1558-6", 95, "%"), measured("1558-6", 97, "mg/dL", 8)], Glucose(fasting=Decimal(97))),
    ],
    ids=["hba1c", "ifcc", "newer ngsp", "newer ifcc", "fasting mass", "fasting molar", "both", "unusable unit"],
)
def test_glucose_prefers_hba1c_and_reads_both_units(observations: list[dict[str, Any]], expected: Glucose) -> None:
    assert read("le8-glucose", *observations).part == expected


def test_a_diagnosis_of_diabetes_is_read_from_the_newest_answer() -> None:
    found = read(
        "le8-glucose", measured("4548-4", 7, "%"), answer("diabetes", False, 400), answer("diabetes", True, 20)
    )
    assert found.part == Glucose(hba1c=Decimal(7), diabetes=True)
    assert len(found.evidence) == 2


def test_an_answer_that_is_not_true_or_false_is_no_answer() -> None:
    odd = {**answer("diabetes", True), "valueBoolean": "yes"}
    assert read("le8-glucose", measured("4548-4", 7, "%"), odd).part == Glucose(hba1c=Decimal(7))


def test_lipids_are_measured_or_total_minus_hdl_of_one_day() -> None:
    total, hdl = measured("14647-2", 5, "mmol/L", 10), measured("14646-4", 1, "mmol/L", 10)
    direct_old, direct_new = measured("43396-1", 140, "mg/dL", 20), measured("43396-1", 141, "mg/dL", 5)
    assert read("le8-lipids", total, hdl).part == Lipids(Decimal("154.68"))
    assert read("le8-lipids", total, hdl, direct_old).part == Lipids(Decimal("154.68"))
    assert read("le8-lipids", total, hdl, direct_new).part == Lipids(Decimal(141))
    assert read("le8-lipids", direct_new, answer("lipid-treatment", True)).part == Lipids(Decimal(141), treated=True)


@pytest.mark.parametrize(
    ("total_ago", "hdl_ago", "hdl"), [(10, 11, 50), (10, 400, 50), (10, 10, 500)], ids=["days", "old", "negative"]
)
def test_values_that_do_not_belong_together_make_no_lipids(total_ago: int, hdl_ago: int, hdl: float) -> None:
    found = read("le8-lipids", measured("2093-3", 200, "mg/dL", total_ago), measured("2085-9", hdl, "mg/dL", hdl_ago))
    assert found.reason == "no-data"


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ("never", Nicotine()),
        ("former-5y", Nicotine(quit_years=Decimal(5))),
        ("former-1y", Nicotine(quit_years=Decimal(0))),
        ("inhaled-nds", Nicotine(inhaled_nds=True)),
        ("current", Nicotine(current=True)),
    ],
)
def test_nicotine_is_what_the_person_told(state: str, expected: Nicotine) -> None:
    assert read("le8-nicotine", smoking(state)).part == expected


def test_a_smoker_at_home_counts() -> None:
    assert read("le8-nicotine", smoking("never"), answer("secondhand-smoke", True)).part == Nicotine(secondhand=True)


@pytest.mark.parametrize("told", [smoking("sometimes"), smoking("never", "http://example.org")])
def test_an_unknown_answer_about_smoking_is_no_answer(told: dict[str, Any]) -> None:
    assert read("le8-nicotine", told).reason == "not-asked"


@pytest.mark.parametrize(("value", "expected"), [(12, Diet(Decimal(12))), (-1, None)])
def test_diet_is_the_points_of_the_questionnaire(value: float, expected: Diet | None) -> None:
    told = measured("mepa-score", value, "{score}", system=HEALTH_SCORE)
    assert read("le8-diet", told).part == expected


def test_the_order_of_observations_does_not_matter() -> None:
    observations = [row for ago in range(1, 8) for row in active_day(ago)] + [sleep(ago) for ago in range(6)]
    forwards, backwards = (inputs_from(rows, ZONE, DAY) for rows in (observations, observations[::-1]))
    assert forwards == backwards


def test_a_later_total_without_an_hdl_hides_no_earlier_pair() -> None:
    pair = measured("2093-3", 200, "mg/dL", 100), measured("2085-9", 50, "mg/dL", 100)
    assert read("le8-lipids", *pair, measured("2093-3", 190, "mg/dL", 10)).part == Lipids(Decimal(150))
    assert read("le8-lipids", *pair, measured("2085-9", 60, "mg/dL", 10)).part == Lipids(Decimal(150))


def test_what_is_needed_reaches_back_as_far_as_any_part_looks() -> None:
    assert all(need.codes and need.limit > 0 and need.lookback_days > 0 for need in NEEDED)
    assert len({code for need in NEEDED for code in need.codes}) == sum(len(need.codes) for need in NEEDED)
    assert datetime.fromisoformat(back(0))
