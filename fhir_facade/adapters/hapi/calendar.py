"""A day, month or year that is asked for, as the moments in UTC between which it lies.

HAPI takes a moment for a part of the day that its author wrote, in whatever zone, where no prefix compares it. That of
`hapi/` does not, and answers right too where no two bounds can be asked for.
https://hl7.org/fhir/R4/search.html#date
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from fhir_facade.adapters.hapi.moments import narrowest
from fhir_facade.fhir.definitions.occurrence import occurs_once, single_valued
from fhir_facade.values import Chain, Criterion, DateValue, Match


def in_utc(type: str, criteria: Sequence[Criterion]) -> tuple[Criterion, ...]:
    """The same criteria with two bounds for such a date. Of several values two could meet one bound each: then the
    finds are to be looked at. Behind a reference, where none is, there are two bounds for what occurs once only."""
    return tuple(bound for criterion in narrowest(criteria) for bound in _bounds(type, criterion))


def _bounds(type: str, criterion: Criterion) -> Iterator[Criterion]:
    match criterion:
        case Match(name, "date", (DateValue("eq", low, high),), None) if name not in _WITHOUT_ZONE:
            (value,) = criterion.values
            assert isinstance(value, DateValue)
            yield replace(criterion, values=(replace(value, prefix="sa", high=low),))
            yield replace(criterion, values=(replace(value, prefix="eb", low=high),))
        case Chain(name, targets, inner) if single_valued(type, name) and _is_single(targets, inner):
            yield from (replace(criterion, inner=bound) for bound in _bounds(targets[0], inner))
        case _:
            yield criterion


def _is_single(targets: Sequence[str], inner: Criterion) -> bool:
    """Whether what lies behind a reference has one value at most, whichever of the targets it is."""
    match inner:
        case Match(name=name):
            return all(occurs_once(target, name) for target in targets)
        case Chain(name=name):
            return len(targets) == 1
    return False


_WITHOUT_ZONE = frozenset(("_lastUpdated", "birthdate"))
"""Asked for by its bounds already; a date without a time."""
