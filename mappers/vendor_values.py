"""Read numbers, paths, dates and times out of vendor JSON, or say why not: https://protobuf.dev/programming-guides/json/

Vendors send int64 as strings, omit zeros, and write offsets as `-14400s` or `-04:00`; all forms are read here once.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal, InvalidOperation
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_LARGEST = Decimal(10**12)
_STEP = re.compile(r"(?P<name>\w+)(?:\[(?P<key>\w+)=(?P<wanted>\w+)\])?")
_OFFSET_SECONDS = re.compile(r"(?P<seconds>[+-]?\d{1,6})(?:\.0+)?s")
_OFFSET_CLOCK = re.compile(r"(?P<sign>[+-])(?P<hours>\d{2}):?(?P<minutes>\d{2})")
_INSTANT = re.compile(r"(\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2})(?:\.(\d{1,9}))?(Z|[+-]\d{2}:\d{2})")
_WIDEST_OFFSET = timedelta(hours=15)


class Unreadable(ValueError):
    """A vendor value that cannot be read; the text names the member and never the value."""


def number(value: object, member: str) -> Decimal:
    """A finite, non-negative number from a JSON number or a string of digits. `Unreadable` otherwise."""
    if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
        raise Unreadable(f"{member} is not a number")
    try:
        found = Decimal(repr(value) if isinstance(value, float) else value)
    except InvalidOperation:
        raise Unreadable(f"{member} is not a number") from None
    if not found.is_finite() or not 0 <= found < _LARGEST:
        raise Unreadable(f"{member} is out of range")
    return found


def _item(found: object, key: str, wanted: str) -> object:
    rows = found if isinstance(found, Sequence) and not isinstance(found, str) else ()
    return next((row for row in rows if isinstance(row, Mapping) and row.get(key) == wanted), None)


def at(record: Mapping[str, Any], path: str) -> Any:
    """What lies at `a.b[key=value].c`, or None when some part of the path is absent."""
    found: Any = record
    for step in _STEP.finditer(path):
        if not isinstance(found, Mapping):
            return None
        found = found.get(step["name"])
        if step["key"] is not None:
            found = _item(found, step["key"], step["wanted"])
    return found


def civil_date(value: object, member: str) -> str:
    """`YYYY-MM-DD` from `{year, month, day}` or from such a string. `Unreadable` when it is no whole date."""
    try:
        if isinstance(value, str):
            return date.fromisoformat(value).isoformat()
        if isinstance(value, Mapping):
            return date(*(int(value[part]) for part in ("year", "month", "day"))).isoformat()
    except (ValueError, TypeError, KeyError, OverflowError):
        pass
    raise Unreadable(f"{member} is not a date")


def offset(value: object) -> timezone | None:
    """A UTC offset from `-14400s`, `-04:00`, `+0530` or `Z`; None when there is none that can be read."""
    if not isinstance(value, str):
        return None
    if value == "Z":
        return UTC
    delta = _offset_delta(value)
    return None if delta is None or abs(delta) > _WIDEST_OFFSET else timezone(delta)


def _offset_delta(value: str) -> timedelta | None:
    if match := _OFFSET_SECONDS.fullmatch(value):
        return timedelta(seconds=int(match["seconds"]))
    if match := _OFFSET_CLOCK.fullmatch(value):
        size = timedelta(hours=int(match["hours"]), minutes=int(match["minutes"]))
        return -size if match["sign"] == "-" else size
    return None


def instant(value: object, member: str) -> datetime:
    """An aware time in UTC, cut to milliseconds. `Unreadable` without an offset or when it is no time."""
    match = _INSTANT.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise Unreadable(f"{member} is not an RFC 3339 time")
    try:
        whole = datetime.fromisoformat(match[1] + match[3].replace("Z", "+00:00"))
        milliseconds = int((match[2] or "0").ljust(3, "0")[:3])
        return whole.astimezone(UTC).replace(microsecond=milliseconds * 1000)
    except (ValueError, OverflowError):
        raise Unreadable(f"{member} is not an RFC 3339 time") from None


def local_text(when: datetime, record_offset: object, zone: str | None) -> str:
    """The time as FHIR dateTime at the offset the record names, else in the person's zone, else in UTC.

    The instant is the same in all three; only the clock a reader sees differs. A FHIR offset has whole minutes.
    """
    local = when.astimezone(offset(record_offset) or _zone(zone))
    shift = local.utcoffset()
    if shift is None or shift % timedelta(minutes=1):
        local = when
    text = local.isoformat(timespec="milliseconds" if when.microsecond else "seconds")
    return text.removesuffix("+00:00") + "Z" if text.endswith("+00:00") else text


def _zone(name: str | None) -> ZoneInfo | timezone:
    if name is None:
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        return UTC
