"""From inputs to the score: points per part, their mean, its category.
https://doi.org/10.1161/CIR.0000000000001078

    refusal(birth_date, day) -> Refused | None       asked first: who cannot be scored, and why
    score(inputs) -> Score
"""

from __future__ import annotations

import calendar
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from fhir_facade.rules.observations import zone_of
from fhir_facade.rules.score.chart import Found
from fhir_facade.rules.score.inputs import Inputs
from fhir_facade.rules.score.parts import Points, Undefined, score_part
from fhir_facade.rules.score.tables import le8


@dataclass(frozen=True, slots=True)
class Refused:
    """No score, and why: `reason` is `unknown-birth-date` or `under-age`; `text` says what to do."""

    reason: str
    text: str


@dataclass(frozen=True, slots=True)
class Scored:
    """One part: `points` is None when it is missing, and then `reason` with `detail` say why."""

    code: str
    found: Found
    points: Points | None
    reason: str | None = None
    detail: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Score:
    """The composite is the exact mean of the parts present, None when there are none; `category` only when `final`."""

    day: date
    parts: tuple[Scored, ...]
    composite: Decimal | None
    category: str | None
    final: bool

    @property
    def present(self) -> tuple[tuple[Scored, Points], ...]:
        """The parts that have points."""
        return tuple((part, part.points) for part in self.parts if part.points is not None)


def own_day(now: datetime, zone: str | None) -> date:
    """The civil day it is for the person; by UTC when the zone is unknown."""
    return now.astimezone(zone_of(zone)).date()


def _latest_birthday(birth_date: str) -> date | None:
    """The last day the person can have been born on; a birth date may be a year or a month."""
    try:
        numbers = [int(part) for part in birth_date.split("-")]
        year, month = numbers[0], numbers[1] if len(numbers) > 1 else 12
        return date(year, month, numbers[2] if len(numbers) > 2 else calendar.monthrange(year, month)[1])
    except (ValueError, calendar.IllegalMonthError):
        return None


def refusal(birth_date: str | None, day: date) -> Refused | None:
    """Why this person cannot be scored on the day; None when nothing speaks against it."""
    least = le8().minimum_age
    born = None if birth_date is None else _latest_birthday(birth_date)
    if born is None:
        return Refused("unknown-birth-date", f"The score is for people of {least} years or more: add Patient.birthDate")
    age = day.year - born.year - ((day.month, day.day) < (born.month, born.day))
    if age < least:
        return Refused("under-age", f"The score is defined for people of {least} years or more")
    return None


def _scored(code: str, found: Found) -> Scored:
    if found.part is None:
        return Scored(code, found, None, found.reason, found.detail)
    reached = score_part(found.part)
    if isinstance(reached, Undefined):
        return Scored(code, found, None, reached.reason, {"value": reached.detail, "least": reached.detail})
    return Scored(code, found, reached)


def _category(composite: Decimal) -> str:
    return next(category.code for category in le8().categories if composite >= category.lower)


def score(inputs: Inputs) -> Score:
    """The score of a day; parts that are missing stay missing."""
    parts = tuple(_scored(code, found) for code, found in inputs.parts.items())
    reached = [Decimal(part.points.points) for part in parts if part.points is not None]
    composite = sum(reached, Decimal(0)) / len(reached) if reached else None
    final = len(reached) >= le8().publish_from
    category = _category(composite) if final and composite is not None else None
    return Score(inputs.day, parts, composite, category, final)
