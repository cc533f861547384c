"""A chart holds every value, keeps days where they are, and says in words what it shows."""

import re
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_facade.api.pages.texts import LANGUAGES, messages, texts
from fhir_facade.api.portal.charts import HEIGHT, WIDTH, chart_of, scale_of
from fhir_facade.api.portal.wording import Wording
from fhir_facade.flows.readings import Reading, Series, kinds, series_of

LAST = date(2026, 3, 30)
FIRST = LAST - timedelta(days=29)
KINDS = {kind.id: kind for kind in kinds()}
ENGLISH = Wording(texts("en"), UTC, datetime(2026, 3, 30, 18, tzinfo=UTC))


def reading(days_ago, value, *, at=None, second=None):
    return Reading(f"o{days_ago}", LAST - timedelta(days=days_ago), at, Decimal(value), second and Decimal(second))


def chart(kind, *readings, words=ENGLISH, more=False):
    return chart_of(Series(KINDS[kind], readings, more), words, FIRST, LAST)


@given(
    st.lists(st.decimals("-50", "40000", places=2), min_size=1, max_size=20),
    st.booleans(),
    st.integers(0, 2),
)
def test_a_scale_holds_every_value_and_wastes_little(values, from_zero, digits):
    values = [abs(value) for value in values] if from_zero else values
    scale = scale_of(values, from_zero=from_zero, digits=digits)
    assert all(scale.low <= value <= scale.high for value in values)
    assert all(0 <= scale.y(value) <= HEIGHT for value in values)
    spread = max(values) - (0 if from_zero else min(values))
    assert scale.high - scale.low <= max(4 * spread, Decimal(8).scaleb(-digits))
    assert scale.ticks == sorted(scale.ticks, reverse=True)


@pytest.mark.parametrize(
    ("values", "from_zero", "ticks"),
    [
        (["12124"], True, ["16000", "12000", "8000", "4000", "0"]),
        (["58", "108"], False, ["120", "100", "80", "60", "40"]),
        (["89.6", "96.9"], False, ["97.5", "95.0", "92.5", "90.0", "87.5"]),
        (["0", "0"], True, ["4", "3", "2", "1", "0"]),
        (["61"], False, ["65", "64", "63", "62", "61"]),
    ],
)
def test_ticks_are_round_numbers(values, from_zero, ticks):
    digits = 1 if "." in values[0] else 0
    scale = scale_of([Decimal(value) for value in values], from_zero=from_zero, digits=digits)
    assert scale.ticks == [Decimal(tick) for tick in ticks]


def test_bars_stand_on_zero_in_the_place_of_their_day():
    shown = chart("steps", reading(29, 4000), reading(0, 8000))
    first, last = shown.bars
    assert first.y + first.height == last.y + last.height == HEIGHT
    assert last.height == 2 * first.height
    assert 0 < first.x < WIDTH / 30
    assert last.x + last.width < WIDTH
    assert last.x - first.x == pytest.approx(29 * WIDTH / 30, abs=0.2)


def test_a_line_joins_its_readings_and_a_panel_has_two():
    shown = chart("blood-pressure", reading(2, 120, second=80), reading(1, 130, second=85))
    assert len(shown.lines) == 2
    assert len(shown.dots) == 4
    assert shown.latest == "130/85"
    assert shown.bars == ()


def test_one_reading_is_a_dot_without_a_line():
    shown = chart("weight", reading(3, "80.15", at=datetime(2026, 3, 27, 7, 41, tzinfo=UTC)))
    assert shown.lines == ()
    assert len(shown.dots) == 1
    assert shown.dots[0].title == "27 Mar, 07:41: 80.2 kg"


def test_readings_before_the_period_are_in_the_table_only():
    shown = chart("weight", reading(40, 90), reading(1, 80))
    assert len(shown.dots) == 1
    assert [row.value for row in shown.rows] == ["80.0", "90.0"]
    assert shown.summary == "one reading: 80.0 kg"


def test_a_reading_of_tomorrow_is_not_drawn_beside_the_chart():
    shown = chart("weight", reading(-1, 80))
    assert shown.dots == ()
    assert shown.latest == "80.0"


def test_it_says_in_words_what_it_shows_and_what_it_leaves_out():
    shown = chart("steps", reading(1, 6000), reading(0, 8001), more=True)
    assert shown.summary == "6,000 to 8,001 per day, on average 7,001, from 2 readings"
    assert shown.latest_when == "today"
    assert [row.when for row in shown.rows] == ["today", "yesterday"]
    assert shown.more


def test_one_blood_pressure_is_told_with_both_parts():
    shown = chart("blood-pressure", reading(1, "124", second="78"))
    assert shown.summary == "one reading: 124/78 mmHg"


def test_blood_pressures_are_told_with_both_parts():
    shown = chart("blood-pressure", reading(2, "118", second="82"), reading(1, "130", second="76"))
    assert shown.summary == "118/76 to 130/82 mmHg, on average 124/79, from 2 readings"


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_a_name_and_a_unit(language, kind):
    assert {f"kind.{kind}", f"unit.{kind}"} <= messages(language).keys()


# --- numbers and days -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("language", "number", "day", "moment"),
    [
        ("en", "−12,345.7", "5 Mar", "today, 18:00"),
        ("de", "−12.345,7", "5. März", "heute, 18:00 Uhr"),
    ],
)
def test_numbers_and_days_are_written_as_the_reader_writes_them(language, number, day, moment):
    words = Wording(texts(language), UTC, ENGLISH.now)
    assert words.number(Decimal("-12345.65"), 1) == number
    assert words.day(date(2026, 3, 5)) == day
    assert words.moment(ENGLISH.now) == moment


def test_another_year_is_named():
    assert re.fullmatch(r"5 Mar 2025", ENGLISH.day(date(2025, 3, 5)))


# --- Observations as readings -----------------------------------------------------------------------------------


def observation(code, value, unit="/min", *, day="2026-03-29", status="final", system="http://loinc.org", **more):
    quantity = {"value": value, "unit": unit, "system": "http://unitsofmeasure.org", "code": unit}
    concept = {"coding": [{"system": system, "code": each} for each in code.split()]}
    return {
        "resourceType": "Observation",
        "id": f"{code}-{day}",
        "status": status,
        "code": concept,
        "effectiveDateTime": day,
        "valueQuantity": quantity,
        **more,
    }


@pytest.mark.parametrize(
    "unreadable",
    [
        observation("40443-4", 61, status="entered-in-error"),
        observation("40443-4", 61, unit="kg"),
        observation("40443-4", 61, unit="furlong"),
        observation("40443-4", 61, day="2026"),
        {**observation("40443-4", 61), "valueQuantity": {"value": 61, "comparator": "<", "code": "/min"}},
        {key: value for key, value in observation("40443-4", 61).items() if key != "valueQuantity"},
        observation("8867-4", 61),
    ],
    ids=["entered in error", "another dimension", "unknown unit", "only a year", "below", "no value", "another code"],
)
def test_what_is_no_reading_of_the_kind_is_left_out(unreadable):
    assert series_of(KINDS["resting-heart-rate"], [unreadable], UTC) == ()


def test_a_resting_heart_rate_is_no_heart_rate_although_it_has_both_codes():
    both = observation("40443-4 8867-4", 61)
    assert len(series_of(KINDS["resting-heart-rate"], [both], UTC)) == 1
    assert series_of(KINDS["heart-rate"], [both], UTC) == ()


def test_values_are_shown_in_one_unit():
    (found,) = series_of(KINDS["weight"], [observation("29463-7", 176, unit="[lb_av]")], UTC)
    assert round(found.value, 1) == Decimal("79.8")


def test_sleeps_of_a_day_add_up_in_hours():
    night = observation("93832-4", 420, unit="min")
    nap = {**observation("93832-4", 30, unit="min"), "id": "nap"}
    (found,) = series_of(KINDS["sleep"], [nap, night], UTC)
    assert found.value == Decimal("7.5")


def test_a_panel_needs_both_parts():
    parts = [
        {
            "code": {"coding": [{"system": "http://loinc.org", "code": code}]},
            "valueQuantity": {"value": value, "code": "mm[Hg]"},
        }
        for code, value in (("8480-6", 120), ("8462-4", 80))
    ]
    panel = observation("85354-9", 0)
    del panel["valueQuantity"]
    (found,) = series_of(KINDS["blood-pressure"], [{**panel, "component": parts}], UTC)
    assert (found.value, found.second) == (120, 80)
    assert series_of(KINDS["blood-pressure"], [{**panel, "component": parts[:1]}], UTC) == ()


@pytest.mark.parametrize(
    ("value", "digits"), [("1e308", 1), ("-1e308", 0), ("5e-324", 2), ("99999999999999999999999999999.5", 1)]
)
def test_every_number_that_a_document_may_hold_can_be_written(value: str, digits: int) -> None:
    assert ENGLISH.number(Decimal(value), digits).replace(",", "").replace("−", "-") == f"{Decimal(value):.{digits}f}"
