from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mappers.vendor_values import Unreadable, at, civil_date, instant, local_text, number, offset

PARTS = ("year", "month", "day")


@pytest.mark.parametrize(
    "value", [None, True, [], {}, "", "seven", math.nan, math.inf, "NaN", "Infinity", -1, "-1", 10**12, "1e30"]
)
def test_what_is_no_plausible_number_is_refused_and_the_value_is_not_repeated(value: Any) -> None:
    with pytest.raises(Unreadable, match=r"^countSum is (not a number|out of range)$"):
        number(value, "countSum")


@pytest.mark.parametrize(
    ("value", "expected"),
    [("7428", "7428"), (53, "53"), (99.3, "99.3"), (Decimal("1.50"), "1.50"), (0.1, "0.1"), ("0", "0")],
)
def test_numbers_keep_their_digits_whether_they_come_as_text_or_number(value: Any, expected: str) -> None:
    assert str(number(value, "x")) == expected


@given(st.floats(min_value=0, max_value=1e11, allow_nan=False))
def test_every_float_reads_as_the_digits_json_shows(value: float) -> None:
    assert float(number(value, "x")) == value


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("a.b", 1),
        ("a.rows[kind=X].n", 2),
        ("a.rows[kind=Z].n", None),
        ("a.b.c", None),
        ("a.b[kind=X]", None),
        ("a.text[kind=X]", None),
        ("none.at.all", None),
    ],
)
def test_a_path_leads_to_a_value_or_to_nothing(path: str, expected: Any) -> None:
    record = {"a": {"b": 1, "text": "X", "rows": ["noise", {"kind": "Y", "n": 0}, {"kind": "X", "n": 2}]}}
    assert at(record, path) == expected


def test_a_record_that_is_no_object_leads_to_nothing() -> None:
    assert at([1], "a") is None  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "value",
    [
        None,
        5,
        "yesterday",
        "2026-13-01",
        {"year": 2026, "month": 2, "day": 30},
        {"year": 2026},
        {"year": 0, "month": 1, "day": 1},
    ],
)
def test_a_part_of_a_date_is_no_civil_day(value: Any) -> None:
    with pytest.raises(Unreadable, match="is not a date"):
        civil_date(value, "date")


@pytest.mark.parametrize(
    "value", ["2026-08-09", {"year": 2026, "month": 8, "day": 9}, {"year": "2026", "month": "8", "day": "9"}]
)
def test_a_civil_day_reads_from_text_and_from_parts(value: Any) -> None:
    assert civil_date(value, "date") == "2026-08-09"


@pytest.mark.parametrize("value", [None, 5, "", "1h", "+99:00", "-999999s"])
def test_an_offset_that_cannot_be_read_is_none(value: Any) -> None:
    assert offset(value) is None


@pytest.mark.parametrize(
    ("value", "minutes"),
    [("-14400s", -240), ("0s", 0), ("+3600.000s", 60), ("-07:00", -420), ("+0530", 330), ("Z", 0)],
)
def test_offsets_read_in_all_forms_seen(value: str, minutes: int) -> None:
    found = offset(value)
    assert found is not None
    assert found.utcoffset(None) == timedelta(minutes=minutes)


@pytest.mark.parametrize(
    "value", [None, 5, "2026-08-09", "2026-08-09T10:00:00", "2026-08-32T10:00:00Z", "0001-01-01T00:00:00+14:00"]
)
def test_a_time_without_zone_or_outside_the_calendar_is_refused(value: Any) -> None:
    with pytest.raises(Unreadable, match="RFC 3339"):
        instant(value, "physicalTime")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2026-08-07T14:46:22.749348Z", datetime(2026, 8, 7, 14, 46, 22, 749000, tzinfo=UTC)),
        ("2026-08-07T14:46:22.7Z", datetime(2026, 8, 7, 14, 46, 22, 700000, tzinfo=UTC)),
        ("2026-08-07T16:46:22+02:00", datetime(2026, 8, 7, 14, 46, 22, tzinfo=UTC)),
    ],
)
def test_a_time_is_read_to_the_millisecond(value: str, expected: datetime) -> None:
    assert instant(value, "x") == expected


@pytest.mark.parametrize(
    ("record_offset", "zone", "expected"),
    [
        ("-14400s", "Europe/Berlin", "2026-10-25T20:30:00-04:00"),
        (None, "Europe/Berlin", "2026-10-26T01:30:00+01:00"),
        (None, None, "2026-10-26T00:30:00Z"),
        (None, "Mars/Olympus", "2026-10-26T00:30:00Z"),
        (None, "../etc", "2026-10-26T00:30:00Z"),
        ("-00:00", None, "2026-10-26T00:30:00Z"),
        ("17s", None, "2026-10-26T00:30:00Z"),
    ],
)
def test_the_clock_shown_is_the_records_then_the_persons_then_utc(
    record_offset: str | None, zone: str | None, expected: str
) -> None:
    assert local_text(datetime(2026, 10, 26, 0, 30, tzinfo=UTC), record_offset, zone) == expected
