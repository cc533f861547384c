"""Dates, times and both together, each as precise as it is written. https://hl7.org/fhirpath/N1/#datetime-comparison"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import cached_property

from fhir_facade.fhir.patch.fhirpath.amounts import Amount
from fhir_facade.fhir.patch.fhirpath.tokens import NotTaken

_DAY = r"(?P<year>[0-9]{4})(?:-(?P<month>[0-9]{2})(?:-(?P<day>[0-9]{2}))?)?"
_CLOCK = r"(?P<hour>[0-9]{2})(?::(?P<minute>[0-9]{2})(?::(?P<second>[0-9]{2}(?:\.[0-9]+)?))?)?"
_WRITTEN = {
    "Date": re.compile(_DAY),
    "DateTime": re.compile(rf"{_DAY}(?:T(?:{_CLOCK}(?P<zone>Z|[+-][0-9]{{2}}:[0-9]{{2}})?)?)?"),
    "Time": re.compile(_CLOCK),
}
_DATE, _TIME = ("year", "month", "day"), ("hour", "minute", "second")
_SECONDS = {
    "wk": Decimal(604800),
    "d": Decimal(86400),
    "h": Decimal(3600),
    "min": Decimal(60),
    "s": Decimal(1),
    "ms": Decimal("0.001"),
}
_MONTHS = {"year": 12, "month": 1}


@dataclass(frozen=True)
class Moment:
    """`kind` is Date, DateTime or Time."""

    kind: str
    text: str

    @staticmethod
    def written(literal: str) -> Moment:
        """`@2026-11`, `@2026-11-22T10:00Z`, `@T10:00`. NotTaken when it is no moment."""
        text = literal.removeprefix("@")
        kind = "Time" if text.startswith("T") else ("DateTime" if "T" in text else "Date")
        moment = of_text(kind, text.removeprefix("T"))
        if moment is None:
            raise NotTaken(f"{literal} is no date or time")
        return moment

    @cached_property
    def parts(self) -> tuple[Decimal | int, ...]:
        """What is written, from the largest part to the smallest, in UTC."""
        found = _read(self.kind, self.text) or {}
        whole = [int(found[name]) for name in (*_DATE, *_TIME[:2]) if found.get(name)]
        seconds = (Decimal(found["second"]),) if found.get("second") else ()
        zone = found.get("zone")
        if zone in (None, "Z") or len(whole) < len(_DATE) + 1:
            return (*whole, *seconds)
        return (*_in_utc(whole, zone), *seconds)

    @property
    def is_zoned(self) -> bool:
        return "zone" in (_read(self.kind, self.text) or {})

    def compared(self, other: Moment) -> int | None:
        """Less than, greater than or 0; None when one is too imprecise to say so, or only one says its zone."""
        if min(len(self.parts), len(other.parts)) > len(_DATE) and self.is_zoned is not other.is_zoned:
            return None
        for mine, theirs in zip(self.parts, other.parts, strict=False):
            if mine != theirs:
                return -1 if mine < theirs else 1
        return 0 if len(self.parts) == len(other.parts) else None

    def comparable(self, other: Moment) -> bool:
        return (self.kind == "Time") == (other.kind == "Time")

    def moved(self, amount: Amount) -> Moment | None:
        """So much later, as precise as before; None when the calendar ends before that."""
        if amount.unit not in _SECONDS and (amount.unit not in _MONTHS or self.kind == "Time"):
            raise NotTaken(f"a {self.kind} has no '{amount.unit}' to add")
        try:
            if amount.unit not in ("s", "ms"):  # only seconds have a fraction
                amount = Amount(Decimal(int(amount.value)), amount.unit)
            return self._time_moved(amount) if self.kind == "Time" else self._date_moved(amount)
        except (ArithmeticError, ValueError):
            return None

    def _date_moved(self, amount: Amount) -> Moment:
        hour, minute, second = (*self.parts[3:], 0, 0, Decimal(0))[:3]
        year, month, day = (*self.parts[:3], 1, 1)[:3]
        start = datetime(int(year), int(month), int(day), int(hour), int(minute))  # noqa: DTZ001 - in UTC by now
        if amount.unit in _MONTHS:
            moved = _months_later(start, int(amount.value) * _MONTHS[amount.unit])
            return self._cut(moved, Decimal(second))
        if len(self.parts) <= len(_DATE):  # whole days at most, and no half of one
            whole = int(amount.value * _SECONDS[amount.unit] / 86400)
            return self._cut(start + timedelta(days=whole), Decimal(0))
        seconds = Decimal(second) + amount.value * _SECONDS[amount.unit]
        minutes = int(seconds // 60)
        minutes -= 1 if seconds < minutes * 60 else 0
        return self._cut(start + timedelta(minutes=minutes), seconds - minutes * 60)

    def _cut(self, moved: datetime, second: Decimal) -> Moment:
        text = f"{moved.isoformat(timespec='minutes')}:{_two_digits(second)}Z"
        text = text[: {1: 4, 2: 7, 3: 10, 4: 13, 5: 16, 6: -1}[len(self.parts)]]
        return Moment(self.kind, text + "Z" if self.is_zoned else text)

    def _time_moved(self, amount: Amount) -> Moment:
        hour, minute, second = (*self.parts, 0, Decimal(0))[:3]
        start = Decimal((int(hour) * 60 + int(minute)) * 60) + second + 86400 * 2
        minutes, seconds = divmod((start + amount.value * _SECONDS[amount.unit]) % 86400, 60)
        text = f"{int(minutes) // 60:02}:{int(minutes) % 60:02}:{_two_digits(seconds)}"
        return Moment("Time", text if len(self.parts) == len(_TIME) else text[: {1: 2, 2: 5}[len(self.parts)]])


def of_text(kind: str, text: str) -> Moment | None:
    """The moment of this kind that a text says; None when it says none."""
    return None if _read(kind, text) is None else Moment(kind, text)


def _read(kind: str, text: str) -> dict[str, str] | None:
    """The parts that are written, by name."""
    found = _WRITTEN[kind].fullmatch(text)
    if found is None:
        return None
    parts = {name: part for name, part in found.groupdict().items() if part}
    if "hour" in parts and "day" not in parts and kind != "Time":
        return None
    return parts if _exists(parts) else None


def _exists(parts: Mapping[str, str]) -> bool:
    try:
        date(*(int(parts.get(name, default)) for name, default in zip(_DATE, (2000, 1, 1), strict=True)))
    except ValueError:
        return False
    hour, minute, second = (Decimal(parts.get(name, 0)) for name in _TIME)
    return hour < 24 and minute < 60 and second < 61


def _in_utc(whole: list[int], zone: str) -> tuple[int, ...]:
    year, month, day, hour, minute = (*whole, 0)[:5]
    hours, minutes = int(zone[1:3]), int(zone[4:])
    offset = timedelta(hours=hours, minutes=minutes) * (-1 if zone[0] == "+" else 1)
    try:
        moved = datetime(year, month, day, hour, minute) + offset  # noqa: DTZ001 - the zone is what is added
    except OverflowError:  # in the first hours of year 1
        return tuple(whole)
    return (moved.year, moved.month, moved.day, moved.hour, moved.minute)[: len(whole)]


def _months_later(start: datetime, months: int) -> datetime:
    years, month = divmod(start.year * 12 + start.month - 1 + months, 12)
    for day in (start.day, 30, 29, 28):  # the last day of a shorter month
        if day <= start.day and _is_day(years, month + 1, day):
            return start.replace(year=years, month=month + 1, day=day)
    raise OverflowError("the calendar ends before")


def _is_day(year: int, month: int, day: int) -> bool:
    try:
        date(year, month, day)
    except ValueError:
        return False
    return True


def _two_digits(second: Decimal) -> str:
    whole, _, fraction = f"{second:f}".partition(".")
    return whole.zfill(2) + (f".{fraction}" if fraction else "")
