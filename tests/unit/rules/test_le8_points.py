from __future__ import annotations

from dataclasses import fields
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_facade.rules.score import Inputs, score
from fhir_facade.rules.score.chart import Found
from fhir_facade.rules.score.parts import (
    Activity,
    BloodPressure,
    Bmi,
    Diet,
    Glucose,
    Lipids,
    Nicotine,
    Part,
    Points,
    Sleep,
    Undefined,
    score_part,
)
from fhir_facade.rules.score.tables import le8, points

PARTS: dict[str, Any] = {
    "diet": Diet,
    "activity": Activity,
    "nicotine": Nicotine,
    "sleep": Sleep,
    "bmi": Bmi,
    "lipids": Lipids,
    "glucose": Glucose,
    "blood_pressure": BloodPressure,
}
VECTORS = msgspec.json.decode((Path(__file__).parents[2] / "data" / "score" / "le8-vectors.json").read_bytes())[
    "vectors"
]
NUMBERS = st.decimals(min_value=0, max_value=1000, places=3)


def part(name: str, values: dict[str, Any]) -> Part:
    kinds = {field.name: field.type for field in fields(PARTS[name])}
    built: Part = PARTS[name](
        **{key: Decimal(value) if isinstance(value, str) else value for key, value in values.items() if key in kinds}
    )
    return built


def reached(given_part: Part) -> int:
    found = score_part(given_part)
    assert isinstance(found, Points)
    return found.points


@pytest.mark.parametrize(
    ("given_part", "reason"),
    [
        (Bmi(Decimal("18.4")), "underweight"),
        (Glucose(fasting=Decimal(90), diabetes=True), "fasting-only-diabetes"),
        (Glucose(fasting=Decimal(126)), "fasting-undefined"),
    ],
    ids=["underweight", "diabetes without HbA1c", "fasting glucose in the diabetes range"],
)
def test_what_the_paper_does_not_define_gets_no_points(given_part: Part, reason: str) -> None:
    found = score_part(given_part)
    assert isinstance(found, Undefined)
    assert found.reason == reason


def test_glucose_without_any_value_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(ValueError, match="HbA1c"):
        score_part(Glucose())


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["id"])
def test_the_hand_scored_adults_are_reproduced(vector: dict[str, Any]) -> None:
    parts = {name: part(name, values) for name, values in vector["inputs"].items()}
    assert {name: reached(found) for name, found in parts.items()} == vector["points"]
    result = score(Inputs(date(2026, 8, 9), {f"le8-{name}": Found(found) for name, found in parts.items()}))
    assert result.composite == Decimal(vector["composite"])
    assert result.category == vector["category"]
    assert result.final


@pytest.mark.parametrize(
    ("given_part", "expected"),
    [
        (Activity(Decimal("0.5")), 0),
        (Activity(Decimal(149), Decimal("0.5")), 100),
        (Sleep(Decimal(10), untreated_apnoea=True), 20),
        (Sleep(Decimal("3.9"), untreated_apnoea=True), 0),
        (Bmi(Decimal("18.5")), 100),
        (Bmi(Decimal(24), asian_pacific=True), 75),
        (Lipids(Decimal(225), treated=True), 0),
        (Glucose(hba1c=Decimal("5.6"), fasting=Decimal(130)), 100),
        (Glucose(hba1c=Decimal("6.5")), 40),
        (Glucose(fasting=Decimal(99), prevention=True), 80),
        (BloodPressure(Decimal(118), Decimal(81)), 50),
        (BloodPressure(Decimal(135), Decimal(70)), 50),
        (Nicotine(current=True, inhaled_nds=True), 0),
        (Nicotine(inhaled_nds=True), 25),
        (Nicotine(quit_years=Decimal("0.2"), secondhand=True), 5),
    ],
    ids=repr,
)
def test_edges_and_deductions(given_part: Part, expected: int) -> None:
    assert reached(given_part) == expected


def test_an_unconfirmed_diabetes_range_value_is_marked() -> None:
    found = score_part(Glucose(hba1c=Decimal("6.5")))
    assert isinstance(found, Points)
    assert found.finding == "unconfirmed-diabetes-range"
    confirmed = score_part(Glucose(hba1c=Decimal("6.5"), diabetes=True))
    assert isinstance(confirmed, Points)
    assert confirmed.finding is None


TABLES = [
    le8().activity.bands,
    le8().sleep.bands,
    le8().bmi.general,
    le8().bmi.asian_pacific,
    le8().lipids.bands,
    le8().glucose.fasting,
    le8().glucose.hba1c,
    le8().glucose.diabetes,
    le8().blood_pressure.systolic,
    le8().blood_pressure.diastolic,
    le8().nicotine.quit_years,
    le8().diet.bands,
]


@given(st.sampled_from(TABLES), st.data())
def test_every_band_begins_at_its_lower_bound_and_ends_just_below_the_next(bands: Any, data: st.DataObject) -> None:
    index = data.draw(st.integers(min_value=0, max_value=len(bands) - 1))
    lower, worth = bands[index]
    assert points(bands, lower) == worth
    if index > 0:
        assert points(bands, bands[index - 1][0] - Decimal("0.0001")) == worth


@given(st.sampled_from(TABLES), NUMBERS)
def test_every_number_from_zero_up_has_points(bands: Any, value: Decimal) -> None:
    assert 0 <= points(bands, value) <= 100


@given(NUMBERS, NUMBERS)
def test_more_activity_never_costs_points(a: Decimal, b: Decimal) -> None:
    assert reached(Activity(max(a, b))) >= reached(Activity(min(a, b)))


@given(NUMBERS, NUMBERS, NUMBERS, NUMBERS)
def test_higher_blood_pressure_never_wins_points(a: Decimal, b: Decimal, c: Decimal, d: Decimal) -> None:
    assert reached(BloodPressure(max(a, b), max(c, d))) <= reached(BloodPressure(min(a, b), min(c, d)))


@given(NUMBERS, st.booleans())
def test_no_one_reaches_more_than_their_ceiling(value: Decimal, flag: bool) -> None:
    for given_part in (
        Lipids(value, flag),
        Glucose(hba1c=value, diabetes=flag),
        Glucose(hba1c=value, prevention=flag),
        BloodPressure(value, value, flag),
        Nicotine(quit_years=value, secondhand=flag),
        Nicotine(current=flag),
        Diet(value),
    ):
        found = score_part(given_part)
        assert isinstance(found, Points)
        assert 0 <= found.points <= found.ceiling <= 100


@pytest.mark.parametrize(("known", "final"), [(5, False), (6, True), (8, True)])
def test_a_category_needs_six_of_eight_parts(known: int, final: bool) -> None:
    names = list(PARTS)
    given_parts = {name: Found(part(name, VECTORS[0]["inputs"][name])) for name in names[:known]}
    given_parts |= {name: Found(reason="no-data") for name in names[known:]}
    result = score(Inputs(date(2026, 8, 9), given_parts))
    assert result.final is final
    assert result.category == ("high" if final else None)
    assert result.composite == 100
