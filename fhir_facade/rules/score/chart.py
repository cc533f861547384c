"""What is known about a person on one day, by code and newest first; what a part of the score is, or why it is missing.

https://hl7.org/fhir/R4/observation-definitions.html#Observation.derivedFrom
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, tzinfo
from decimal import Decimal
from typing import Any

from fhir_facade.rules.observations import FINAL, Code, codings, effective, own_day, quantity
from fhir_facade.rules.score.parts import Part
from terminology import ucum
from terminology.canonical import HEALTH_SCORE, LOINC


def loinc(*codes: str) -> tuple[Code, ...]:
    """LOINC codes as pairs."""
    return tuple((LOINC, code) for code in codes)


def own(*codes: str) -> tuple[Code, ...]:
    """Codes of health-score as pairs."""
    return tuple((HEALTH_SCORE, code) for code in codes)


@dataclass(frozen=True, slots=True)
class Found:
    """One part of the score, or why it is missing.

    `reason` is a key of the sentences, `detail` fills it. `days` is how many days of how many gave the value when it
    is an estimate. `first_day` is where the observed time begins.
    """

    part: Part | None = None
    evidence: tuple[str, ...] = ()
    reason: str | None = None
    detail: Mapping[str, str] = field(default_factory=dict)
    days: tuple[int, int] | None = None
    first_day: date | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """An Observation that may take part."""

    reference: str
    day: date
    at: datetime
    resource: Mapping[str, Any]

    def amount(self, unit: str) -> Decimal | None:
        """Its number in a unit."""
        return amount(self.resource, unit)


def amount(part: Mapping[str, Any], unit: str) -> Decimal | None:
    """The number of an Observation or component in a unit; None when it has none that converts."""
    found = quantity(part)
    if found is None or not ucum.comparable(found[1], unit):
        return None
    return ucum.convert(found[0], found[1], unit)


class Chart:
    """The usable readings by code, newest first."""

    def __init__(self, observations: Iterable[Mapping[str, Any]], zone: tzinfo, day: date) -> None:
        self.day = day
        self._by_code: dict[Code, list[Reading]] = defaultdict(list)
        newest_first = sorted(
            self._usable(observations, zone), key=lambda found: (found.at, found.reference), reverse=True
        )
        for reading in newest_first:
            for code in codings(reading.resource.get("code")):
                self._by_code[code].append(reading)

    def _usable(self, observations: Iterable[Mapping[str, Any]], zone: tzinfo) -> Iterator[Reading]:
        seen = {observation.get("id"): observation for observation in observations}
        for identity, observation in seen.items():
            day, span = own_day(observation, zone), effective(observation, zone)
            if observation.get("status") in FINAL and identity and day and span and day <= self.day:
                yield Reading(f"Observation/{identity}", day, span[1], observation)

    def within(self, codes: Sequence[Code], days: int, *, last: date | None = None) -> list[Reading]:
        """Readings of the last `days` days up to `last` (the day itself), newest first."""
        until = last or self.day
        first = until - timedelta(days=days - 1)
        return [found for code in codes for found in self._by_code[code] if first <= found.day <= until]


def missing(reason: str, **detail: object) -> Found:
    """A part that is not there, with what fills the sentence."""
    return Found(reason=reason, detail={name: str(value) for name, value in detail.items()})


def mean(values: Sequence[Decimal]) -> Decimal:
    """The arithmetic mean of at least one value."""
    return sum(values, Decimal(0)) / len(values)


def first(readings: Iterable[Reading], unit: str) -> tuple[Reading, Decimal] | None:
    """The newest reading that has a number in the unit."""
    return next(((found, value) for found in readings if (value := found.amount(unit)) is not None), None)


def largest_per_day(readings: Iterable[Reading], unit: str) -> dict[date, tuple[Decimal, str]]:
    """One value per day: the largest, since a device that was not worn counts too little."""
    best: dict[date, tuple[Decimal, str]] = {}
    for reading in readings:
        value = reading.amount(unit)
        if value is not None and (reading.day not in best or value > best[reading.day][0]):
            best[reading.day] = (value, reading.reference)
    return best
