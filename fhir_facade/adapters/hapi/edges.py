"""What stands across an edge of what is asked, and is found by HAPI though it is not meant.

A period, or a year, a month or a day, that begins before the range that `ge` names and ends in it, or begins in that of
`le` and ends after it, is neither greater nor equal, nor less: docs/decisions/009-what-a-prefix-means.md. Of a quantity
that is an interval (`< 5 mg/L`, SampledData, a Range) `hapi/` keeps both ends, and each of two bounds may be met by
another one where it is to be equal to a number. Each find of a page is looked at; where finds are counted, those that
stand across the edge are asked for, and taken off.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Final

from fhir_facade.adapters.hapi.broad import is_broad, satisfies
from fhir_facade.adapters.hapi.moments import is_about_a_date
from fhir_facade.fhir.definitions.lasting import may_be_coarse, may_last
from fhir_facade.values import AnyOf, Criterion, DateValue, Match, Prefix, QuantityValue, SearchQuery, SearchValue

_LASTING: Final = re.compile(rb'"start"|"end"|iming"|[:\[,]\s*"\d{4}(-\d\d)?"')
"""It stands in a resource with a period or a timing (`effectiveTiming`, `timing`), a year or a month."""
_LASTING_A_DAY: Final = re.compile(_LASTING.pattern + rb'|[:\[,]\s*"\d{4}-\d\d-\d\d"')
_INTERVAL: Final = re.compile(rb'"comparator"|SampledData"|Range"\s*:\s*\{')
"""It stands in a resource with a quantity that is an interval. `referenceRange` is a list."""


def with_edges(type: str, criteria: Sequence[Criterion]) -> tuple[Match, ...]:
    """Those of the criteria by which HAPI may find what stands across an edge."""
    dates = [own for own in criteria if is_about_a_date(own) and _may_be_across(type, own)]
    return tuple([own for own in (*dates, *_amounts(criteria)) if any(_edges(own))])


def _may_be_across(type: str, match: Match) -> bool:
    """What is a year at most stands across no edge of a year."""
    return may_last(type, match.name) or (may_be_coarse(type, match.name) and _is_finer(match, _YEAR))


def _is_finer(match: Match, length: timedelta) -> bool:
    return any(isinstance(value, DateValue) and value.high - value.low < length for value in match.values)


_YEAR: Final = timedelta(days=365)
_DAY: Final = timedelta(days=1)


def _amounts(criteria: Sequence[Criterion]) -> list[Match]:
    return [own for own in criteria if isinstance(own, Match) and own.kind == "quantity" and not is_broad(own)]


def edged(query: SearchQuery) -> tuple[Match, ...]:
    """The criteria by which a page may have what stands across an edge."""
    only = query.any_of[0] if len(query.any_of) == 1 else ()
    return with_edges(query.type, (*query.criteria, *only))


def is_about_amounts(edged: Sequence[Match]) -> bool:
    return any(own.kind == "quantity" for own in edged)


def amounts_are_looked_at(query: SearchQuery) -> bool:
    """Whether the finds tell by `edged` all that they have to about amounts, whatever the query is split into."""
    return len(query.any_of) < 2 and not any(isinstance(own, AnyOf) for own in query.criteria)


def across(match: Match) -> Iterator[tuple[Match, Match]]:
    """For each edge what finds all that stands across it, as a lower and an upper bound."""
    for value in _edges(match):
        bounds = _at_date(value) if isinstance(value, DateValue) else _at_amount(value)
        for lower, upper in bounds:
            yield replace(match, values=(lower,)), replace(match, values=(upper,))


def _edges(match: Match) -> Iterator[DateValue | QuantityValue]:
    for value in match.values:
        if isinstance(value, DateValue | QuantityValue) and value.prefix in _UNSURE[match.kind]:
            yield value


_UNSURE: Final = {"date": ("ge", "le"), "quantity": ("eq",)}


def _at_date(value: DateValue) -> Iterator[tuple[SearchValue, SearchValue]]:
    edge = value.low if value.prefix == "ge" else value.high
    yield DateValue("ge", edge, edge, ""), DateValue("lt", edge, edge, "")


def _at_amount(value: QuantityValue) -> Iterator[tuple[SearchValue, SearchValue]]:
    for edge in (value.low, value.high):
        yield _bound(value, "ge", edge), _bound(value, "lt", edge)


def _bound(value: QuantityValue, prefix: Prefix, edge: Decimal) -> QuantityValue:
    return replace(value, prefix=prefix, number=edge)


def is_meant(body: bytes, edged: Sequence[Match]) -> bool:
    """Whether a find meets these criteria: most readings are one number with a moment, which is seen without looking
    into them."""
    return not any(_sign_of(own).search(body) for own in edged) or satisfies(body, edged)


def _sign_of(match: Match) -> re.Pattern[bytes]:
    if match.kind == "quantity":
        return _INTERVAL
    return _LASTING_A_DAY if _is_finer(match, _DAY) else _LASTING
