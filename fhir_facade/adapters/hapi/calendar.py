"""A day, month or year that is asked for, as the moments in UTC between which it lies.

HAPI takes a moment for a part of the day that its author wrote, in whatever zone, where no prefix compares it.
https://hl7.org/fhir/R4/search.html#date
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from fhir_facade.fhir.definitions.occurrence import occurs_once
from fhir_facade.values import Criterion, DateValue, Match


def in_utc(type: str, criteria: Sequence[Criterion]) -> tuple[Criterion, ...]:
    """The same criteria with two bounds for such a date, of a parameter that has one value: two values could meet one
    bound each."""
    return tuple(bound for criterion in criteria for bound in _bounds(type, criterion))


def _bounds(type: str, criterion: Criterion) -> Iterator[Criterion]:
    match criterion:
        case Match(name, "date", (DateValue("eq", low, high),), None) if name not in _WITHOUT_ZONE and occurs_once(
            type, name
        ):
            (value,) = criterion.values
            assert isinstance(value, DateValue)
            yield replace(criterion, values=(replace(value, prefix="sa", high=low),))
            yield replace(criterion, values=(replace(value, prefix="eb", low=high),))
        case _:
            yield criterion


_WITHOUT_ZONE = frozenset(("_lastUpdated", "birthdate"))
"""Asked for by its bounds already; a date without a time."""
