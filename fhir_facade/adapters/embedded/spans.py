"""Dates and amounts apart by how long their ranges are: then a bound on one end is a bound on the other.

An index finds rows by their lower end. `ge2026` asks for the upper one, and would have to look at all rows; among those
that last a second at most the lower end says nearly the same. https://hl7.org/fhir/R4/search.html#prefix
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import Final

from fhir_facade.adapters.embedded.catalogue import DATE_TAILS, Catalogue
from fhir_facade.adapters.embedded.compare import interval
from fhir_facade.adapters.embedded.source import Condition, Sql
from fhir_facade.fhir.extract.dates import DAY_US, MINUTE_US, SECOND_US, to_us
from fhir_facade.values import DateValue

_LENGTHS: Final = (SECOND_US, MINUTE_US, DAY_US, 31 * DAY_US, 366 * DAY_US)
_SPANS: Final = dict(zip(DATE_TAILS, _LENGTHS, strict=False))

_FLOORS: Final = {
    "eq": ("low", False),
    "sa": ("high", False),
    "gt": ("high", True),
    "ge": ("low", True),
    "ap": ("low", True),
}
"""Which end of the asked range is a bound of the stored lower end, or (True) of the upper one."""
_CEILINGS: Final = {"eq": "high", "lt": "low", "le": "high", "eb": "low", "ap": "high"}
"""Which end the stored lower end is below."""


def tail_of(low: int, high: int) -> str:
    """The end of the name under which a date of this length stands."""
    return DATE_TAILS[bisect_left(_LENGTHS, high - low)]


def date_condition(catalogue: Catalogue, type: str, name: str, groups: Sequence[Sequence[DateValue]]) -> Condition:
    """Dates for which all of one group hold."""
    ranges = [found for group in groups for tail in DATE_TAILS for found in _ranges(catalogue, type, name, tail, group)]
    exact = [_exact(group) for group in groups]
    numbers = catalogue.searched(type, name)
    return Condition(
        "idx_date",
        " OR ".join(f"({sql})" for sql, _ in ranges) or "0",
        tuple(arg for _, args in ranges for arg in args),
        check=f"param IN ({', '.join('?' * len(numbers))}) AND ({' OR '.join(f'({sql})' for sql, _ in exact)})",
        check_args=(*numbers, *(arg for _, args in exact for arg in args)),
    )


def _ranges(catalogue: Catalogue, type: str, name: str, tail: str, group: Sequence[DateValue]) -> list[Sql]:
    """The rows of one length, by their lower end first."""
    span = _SPANS.get(tail)
    floors = [bound for value in group if (bound := _floor(value, span)) is not None]
    ceilings = [to_us(getattr(value, _CEILINGS[value.prefix])) for value in group if value.prefix in _CEILINGS]
    sql, args = _exact(group)
    if floors:
        sql, args = f"low >= ? AND {sql}", (max(floors), *args)
    if ceilings:
        sql, args = f"low < ? AND {sql}", (min(ceilings), *args)
    return [(f"param = ? AND {sql}", (number, *args)) for number in catalogue.searched(type, name, (tail,))]


def _floor(value: DateValue, span: int | None) -> int | None:
    end, of_upper = _FLOORS.get(value.prefix, ("", True))
    if not end or (of_upper and span is None):
        return None
    return to_us(getattr(value, end)) - (span or 0 if of_upper else 0)


def _exact(group: Sequence[DateValue]) -> Sql:
    found = [interval(value.prefix, to_us(value.low), to_us(value.high)) for value in group]
    return " AND ".join(f"({sql})" for sql, _ in found), tuple(arg for _, args in found for arg in args)
