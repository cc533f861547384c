from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from fhir_facade.rules.observations import (
    coded_answer,
    codings,
    effective,
    has_code,
    interval,
    own_day,
    quantity,
    zone_of,
)

BERLIN = ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(
    "value", [None, 5, "", "soon", "2026-13-01", "2026-02-30", "2026-08-09T10:00:00", "9999-12-31", "2026-08-09T10:00"]
)
def test_a_time_that_cannot_be_read_covers_nothing(value: Any) -> None:
    assert interval(value) is None


@pytest.mark.parametrize("text", ["0001-01-01", "0001-12-31T23:59:59+14:00", "9999-01-01T00:00:01Z", "9999"])
def test_a_time_at_the_ends_of_all_times_covers_nothing(text: str) -> None:
    """A zone, or the window of a rule, would lead beyond them."""
    assert interval(text, BERLIN) is None
    assert own_day({"effectiveDateTime": text}, BERLIN) is None
    assert effective({"effectivePeriod": {"start": "2026-08-09", "end": text}}) is not None


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("2026-08-09", datetime(2026, 8, 8, 22, tzinfo=UTC), datetime(2026, 8, 9, 22, tzinfo=UTC)),
        ("2026-10-25", datetime(2026, 10, 24, 22, tzinfo=UTC), datetime(2026, 10, 25, 23, tzinfo=UTC)),
        ("2026-12", datetime(2026, 11, 30, 23, tzinfo=UTC), datetime(2026, 12, 31, 23, tzinfo=UTC)),
        ("2026", datetime(2025, 12, 31, 23, tzinfo=UTC), datetime(2026, 12, 31, 23, tzinfo=UTC)),
        ("2026-08-09T10:00:00+02:00", datetime(2026, 8, 9, 8, tzinfo=UTC), datetime(2026, 8, 9, 8, tzinfo=UTC)),
        (
            "2026-08-09T08:00:00.5Z",
            datetime(2026, 8, 9, 8, 0, 0, 500000, UTC),
            datetime(2026, 8, 9, 8, 0, 0, 500000, UTC),
        ),
    ],
)
def test_a_date_is_a_whole_day_of_the_zone_and_a_time_a_point(text: str, start: datetime, end: datetime) -> None:
    assert interval(text, BERLIN) == (start, end)


@pytest.mark.parametrize(
    ("observation", "expected"),
    [
        ({}, None),
        ({"effectivePeriod": {}}, None),
        ({"effectivePeriod": {"start": "2026-08-09T10:00:00Z", "end": "2026-08-09T09:00:00Z"}}, None),
        ({"effectiveInstant": "2026-08-09T10:00:00Z"}, (10, 10)),
        ({"effectivePeriod": {"start": "2026-08-09T10:00:00Z", "end": "2026-08-09T11:00:00Z"}}, (10, 11)),
        ({"effectivePeriod": {"start": "2026-08-09T10:00:00Z"}}, (10, 10)),
        ({"effectivePeriod": {"end": "2026-08-09T11:00:00Z"}}, (11, 11)),
    ],
)
def test_the_effective_time_is_read_in_every_form(observation: dict[str, Any], expected: Any) -> None:
    found = effective(observation)
    assert (found and (found[0].hour, found[1].hour)) == expected


@pytest.mark.parametrize(
    ("observation", "expected"),
    [
        ({"effectiveDateTime": "2026-08-09"}, date(2026, 8, 9)),
        ({"effectiveDateTime": "2026-08-09T23:30:00-04:00"}, date(2026, 8, 9)),
        ({"effectiveDateTime": "2026-08-09T23:30:00Z"}, date(2026, 8, 10)),
        ({"effectiveDateTime": "2026-08-09T23:30:00+00:00"}, date(2026, 8, 10)),
        (
            {"effectivePeriod": {"start": "2026-08-08T23:00:00+02:00", "end": "2026-08-09T07:00:00+02:00"}},
            date(2026, 8, 9),
        ),
        ({"effectiveDateTime": "2026-08"}, None),
        ({}, None),
    ],
)
def test_an_observation_belongs_to_the_day_its_own_clock_shows(observation: dict[str, Any], expected: Any) -> None:
    assert own_day(observation, BERLIN) == expected


def test_an_unknown_zone_is_utc() -> None:
    assert zone_of("Nowhere/City") is UTC
    assert zone_of(None) is UTC
    assert zone_of("Europe/Berlin") == BERLIN


def test_codes_and_numbers_are_read_or_are_none() -> None:
    concept = {"coding": [{"system": "s", "code": "c"}, {"code": "alone"}, {"system": "s", "code": "d"}]}
    assert list(codings(concept)) == [("s", "c"), ("s", "d")]
    assert list(codings(None)) == []
    assert has_code({"code": concept}, ("s", "d"))
    assert not has_code({}, ("s", "d"))
    assert coded_answer({"valueCodeableConcept": concept}, "s") == "c"
    assert coded_answer({}, "s") is None
    assert quantity({"valueQuantity": {"value": float("inf"), "code": "kg"}}) is None


@pytest.mark.parametrize(
    ("value", "read"), [("1e308", False), ("-1e15", False), ("999999999999999", True), ("5e-324", True)]
)
def test_a_number_that_nothing_measures_takes_no_part(value: str, read: bool) -> None:
    assert (quantity({"valueQuantity": {"value": Decimal(value), "code": "kg"}}) is not None) is read
