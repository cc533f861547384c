"""FHIR dates as half-open intervals of UTC microseconds (https://hl7.org/fhir/R4/search.html#date).

interval("2024-05") -> (1714521600000000, 1717200000000000) | None
to_us(datetime) -> int;  from_us(int) -> datetime
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Final

SECOND_US: Final = 1_000_000
MINUTE_US: Final = 60 * SECOND_US
DAY_US: Final = 86_400 * SECOND_US
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_DAY: Final = date(1970, 1, 1).toordinal()
_FIRST: Final = datetime.min.replace(tzinfo=UTC)
_LAST: Final = datetime.max.replace(tzinfo=UTC)
MIN_US: Final = (date.min.toordinal() - _EPOCH_DAY) * DAY_US
MAX_US: Final = (date.max.toordinal() + 1 - _EPOCH_DAY) * DAY_US

_DATE = re.compile(
    r"\d{4}(?:-\d\d(?:-\d\d"
    r"(?:T([01]\d|2[0-3]):([0-5]\d)(?::([0-5]\d|60)(?:\.(\d+))?)?(?:Z|([+-])(0\d|1[0-4]):([0-5]\d))?)?)?)?",
    re.ASCII,
)


def interval(text: str) -> tuple[int, int] | None:
    """[low, high) of a date, dateTime or instant as its precision means it; no zone is UTC. None: no such date.

    More than six digits of a second are cut to microseconds.
    """
    found = _DATE.fullmatch(text)
    if found is None:
        return None
    hour, minute, second, fraction, sign, zone_hours, zone_minutes = found.groups()
    if hour is None:
        return _days(text)
    day = _days(text[:10])
    if day is None:
        return None
    low = day[0] + (int(hour) * 60 + int(minute)) * MINUTE_US
    if sign is not None:
        offset = (int(zone_hours) * 60 + int(zone_minutes)) * MINUTE_US
        low += -offset if sign == "+" else offset
    if second is None:
        return _clipped(low, low + MINUTE_US)
    low += int(second) * SECOND_US
    if fraction is None:
        return _clipped(low, low + SECOND_US)
    digits = fraction[:6]
    unit = 10 ** (6 - len(digits))
    low += int(digits) * unit
    return _clipped(low, low + unit)


@lru_cache(maxsize=1024)
def _days(text: str) -> tuple[int, int] | None:
    """Of a year, month or day; kept, because what is written in one hour is of few days."""
    year, month, day = int(text[:4]), text[5:7], text[8:]
    try:
        low = _start(year, int(month or 1), int(day or 1))
    except ValueError:
        return None
    if day:
        return low, low + DAY_US
    if month:
        return low, _start(year + int(month) // 12, int(month) % 12 + 1)
    return low, _start(year + 1)


def _start(year: int, month: int = 1, day: int = 1) -> int:
    return MAX_US if year > date.max.year else (date(year, month, day).toordinal() - _EPOCH_DAY) * DAY_US


def _clipped(low: int, high: int) -> tuple[int, int]:
    if low >= MIN_US and high <= MAX_US:
        return low, high
    return min(max(low, MIN_US), MAX_US - 1), min(max(high, MIN_US + 1), MAX_US)


def to_us(moment: datetime) -> int:
    """Microseconds since 1970 of an aware datetime; `datetime.max` stands for the end of time, `MAX_US`."""
    if moment == _LAST:
        return MAX_US
    since = moment - _EPOCH
    return since.days * DAY_US + since.seconds * SECOND_US + since.microseconds


def from_us(microseconds: int) -> datetime:
    """The aware UTC datetime, cut to the years Python knows (1 to 9999)."""
    if microseconds >= MAX_US:
        return _LAST
    return _FIRST if microseconds <= MIN_US else _EPOCH + timedelta(microseconds=microseconds)
