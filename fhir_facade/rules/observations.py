"""What rules read from an Observation: its codes, its time, its numbers. https://hl7.org/fhir/R4/observation.html

Nothing here raises for an odd Observation: what cannot be read is None and takes no part in a rule.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from decimal import Decimal, InvalidOperation
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

Code = tuple[str, str]
FINAL = frozenset({"final", "amended", "corrected"})

_LARGEST = Decimal(10) ** 15
"""More than anything measures: what has more digits than the arithmetic of rules and pages is a slip, or an attack."""
_FIRST, _LAST = datetime(2, 1, 1, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC)
"""Nothing was measured beyond these; within them a year more or less is still a time that can be reckoned with."""

_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_MONTH = re.compile(r"(\d{4})(?:-(\d{2}))?")


def zone_of(name: str | None) -> tzinfo:
    """The zone of an IANA name; UTC when there is none or it is unknown."""
    if name is None:
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        return UTC


def codings(concept: Any) -> Iterator[Code]:
    """The (system, code) pairs of a CodeableConcept."""
    for coding in (concept or {}).get("coding", ()):
        if "system" in coding and "code" in coding:
            yield coding["system"], coding["code"]


def has_code(part: Mapping[str, Any], *wanted: Code) -> bool:
    """Whether an Observation or a component has one of the codes."""
    return any(code in wanted for code in codings(part.get("code")))


def quantity(part: Mapping[str, Any]) -> tuple[Decimal, str] | None:
    """Value and UCUM code of `valueQuantity`; None when it has none, a comparator, or no number that was measured."""
    found = part.get("valueQuantity")
    if not isinstance(found, Mapping) or "comparator" in found or "code" not in found:
        return None
    try:
        value = Decimal(str(found.get("value")))
    except InvalidOperation:
        return None
    return (value, found["code"]) if value.is_finite() and abs(value) < _LARGEST else None


def coded_answer(part: Mapping[str, Any], system: str) -> str | None:
    """The code of `valueCodeableConcept` in a system."""
    return next((code for known, code in codings(part.get("valueCodeableConcept")) if known == system), None)


def _midnight(day: date, zone: tzinfo) -> datetime:
    return datetime.combine(day, time(), zone).astimezone(UTC)


def _whole_days(first: date, after: date, zone: tzinfo) -> tuple[datetime, datetime]:
    return _midnight(first, zone), _midnight(after, zone)


def _span(text: str, zone: tzinfo) -> tuple[datetime, datetime] | None:
    if _DAY.fullmatch(text):
        day = date.fromisoformat(text)
        return _whole_days(day, day + timedelta(days=1), zone)
    if match := _MONTH.fullmatch(text):
        year, month = int(match[1]), int(match[2] or 1)
        months = 1 if match[2] else 12
        after = date(year + (month + months - 1) // 12, (month + months - 1) % 12 + 1, 1)
        return _whole_days(date(year, month, 1), after, zone)
    when = datetime.fromisoformat(text)
    return None if when.tzinfo is None else (when.astimezone(UTC), when.astimezone(UTC))


def interval(text: object, zone: tzinfo = UTC) -> tuple[datetime, datetime] | None:
    """What a FHIR dateTime covers, in UTC: a time is a point, a date a whole day of the zone. None when unreadable, or
    at the very ends of time."""
    try:
        found = _span(text, zone) if isinstance(text, str) else None
    except (ValueError, OverflowError):
        return None
    return found if found is not None and _FIRST <= found[0] <= found[1] <= _LAST else None


def effective(observation: Mapping[str, Any], zone: tzinfo = UTC) -> tuple[datetime, datetime] | None:
    """Start and end of what was observed, in UTC; None when the Observation does not say."""
    point = observation.get("effectiveDateTime", observation.get("effectiveInstant"))
    if point is not None:
        return interval(point, zone)
    period = observation.get("effectivePeriod") or {}
    start, end = interval(period.get("start"), zone), interval(period.get("end"), zone)
    first, last = start or end, end or start
    if first is None or last is None or last[1] < first[0]:
        return None
    return first[0], last[1]


def own_day(observation: Mapping[str, Any], zone: tzinfo) -> date | None:
    """The civil day it belongs to: the day written, by the clock written; a UTC time by the person's own clock.

    A period belongs to the day it ends.
    """
    text = observation.get("effectiveDateTime", observation.get("effectiveInstant"))
    text = text or (observation.get("effectivePeriod") or {}).get("end")
    span = interval(text, zone)
    if span is None or not _DAY.match(str(text)):
        return None
    if str(text).endswith(("Z", "+00:00")):
        return span[0].astimezone(zone).date()
    return date.fromisoformat(str(text)[:10])


def fhir_time(when: datetime) -> str:
    """An aware time as FHIR dateTime in UTC, with the digits of a second it has."""
    return when.astimezone(UTC).isoformat().removesuffix("+00:00") + "Z"
