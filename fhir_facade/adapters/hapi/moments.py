"""What is asked about dates that HAPI takes in another way: it is asked for more, and its finds are looked at, page by
page.

A moment that is written to the second lasts a second, and HAPI keeps the first millisecond of it: only a value with a
part of a second can tell the difference. And it takes one lower and one upper bound of a date.
https://hl7.org/fhir/R4/search.html#date
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import MAXYEAR, datetime
from typing import Final, TypeGuard

from fhir_facade.fhir.definitions.occurrence import occurs_once
from fhir_facade.values import CompositeValue, Criterion, DateValue, Match, SearchQuery


def second_of(moment: datetime) -> datetime:
    """The beginning of the second in which the moment lies."""
    return moment.replace(microsecond=0)


def _ends_within(value: DateValue) -> bool:
    """Whether a moment to the second could begin in it, and end behind it."""
    return is_within(value.high) and not is_within(value.low)


def is_within(moment: datetime) -> bool:
    """Whether the moment lies between two seconds. The end of time, which has microseconds in Python, does not."""
    return moment.microsecond != 0 and moment.year < MAXYEAR


_UNSURE: Final[Mapping[str, Callable[[DateValue], bool]]] = {
    "eq": lambda value: is_within(value.high),
    "le": _ends_within,
    "gt": lambda value: is_within(value.high),
    "ge": lambda value: is_within(value.low),
    "ap": lambda value: is_within(value.low) or is_within(value.high),
    "eb": lambda value: is_within(value.low),
}


_LOWER: Final[Mapping[str, Callable[[DateValue], datetime]]] = {
    "eq": lambda value: value.low,
    "ap": lambda value: value.low,
    "ge": lambda value: value.low,
    "gt": lambda value: value.high,
    "sa": lambda value: value.high,
}
"""The moment that what is found does not end before."""

_UPPER: Final[Mapping[str, Callable[[DateValue], datetime]]] = {
    "eq": lambda value: value.high,
    "ap": lambda value: value.high,
    "le": lambda value: value.high,
    "lt": lambda value: value.low,
    "eb": lambda value: value.low,
}
"""The moment before which what is found begins."""


def is_unsure(value: object) -> bool:
    """Whether HAPI finds what it is not meant to find for such a value."""
    if isinstance(value, CompositeValue):
        return any(is_unsure(part) for part in value.parts)
    return isinstance(value, DateValue) and value.prefix in _UNSURE and _UNSURE[value.prefix](value)


def looked_at(query: SearchQuery) -> tuple[Criterion, ...]:
    """The criteria about dates that each find of a page has to meet."""
    only = query.any_of[0] if len(query.any_of) == 1 else ()
    return looked_at_among(query.type, (*query.criteria, *only))


def looked_at_among(type: str, criteria: Sequence[Criterion]) -> tuple[Criterion, ...]:
    """Those about dates for which HAPI finds a little too much: what is asked lies between two seconds, two of several
    values may meet one of the bounds each, or there are more bounds than HAPI takes."""
    dates = [own for own in criteria if is_about_a_date(own)]
    return tuple([own for own in dates if _is_looked_at(type, own) or is_crowded(own.name, dates)])


def _is_looked_at(type: str, match: Match) -> bool:
    several = any(isinstance(value, DateValue) and value.prefix in ("eq", "ap") for value in match.values)
    return (several and not occurs_once(type, match.name)) or any(is_unsure(value) for value in match.values)


def is_about_a_date(criterion: Criterion) -> TypeGuard[Match]:
    """Whether it asks for the moments of something else than the writing of a resource."""
    return isinstance(criterion, Match) and criterion.kind == "date" and criterion.name != "_lastUpdated"


def is_crowded(name: str, dates: Sequence[Match]) -> bool:
    """Whether the parameter has two lower or two upper bounds, of which HAPI takes one."""
    values = [value for own in dates if own.name == name for value in own.values if isinstance(value, DateValue)]
    return any(sum(value.prefix in bounded for value in values) > 1 for bounded in (_LOWER, _UPPER))


def narrowest(criteria: Sequence[Criterion]) -> tuple[Criterion, ...]:
    """The same criteria with the narrowest bounds of each date that has more than HAPI takes."""
    dates = [own for own in criteria if is_about_a_date(own)]
    crowded = {own.name: own for own in dates if is_crowded(own.name, dates)}
    if not crowded:
        return tuple(criteria)
    others = [own for own in criteria if not (is_about_a_date(own) and own.name in crowded)]
    return (*others, *(bound for own in crowded.values() for bound in _narrowest(own, dates)))


def _narrowest(of: Match, dates: Sequence[Match]) -> Iterator[Match]:
    values = [value for own in dates if own.name == of.name for value in own.values if isinstance(value, DateValue)]
    lower = [_LOWER[value.prefix](value) for value in values if value.prefix in _LOWER]
    upper = [_UPPER[value.prefix](value) for value in values if value.prefix in _UPPER]
    if lower:
        yield replace(of, values=(DateValue("ge", max(lower), max(lower), ""),))
    if upper:
        yield replace(of, values=(DateValue("lt", min(upper), min(upper), ""),))
