"""What begins before the range that `ge` names and ends in it, or begins in that of `le` and ends after it.

It is neither greater nor equal, nor less, and HAPI finds it: docs/decisions/009-what-a-prefix-means.md. Each find of a
page is looked at; where finds are counted, those that stand across the edge are asked for, and taken off.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from fhir_facade.adapters.hapi.broad import satisfies
from fhir_facade.adapters.hapi.moments import is_about_a_date
from fhir_facade.fhir.definitions.lasting import may_last
from fhir_facade.values import Criterion, DateValue, Match, SearchQuery

_LASTING = (b'"start"', b'"end"', b"iming")
"""One of them stands in a resource with a period or a timing (`effectiveTiming`, `timing`)."""


def with_edges(type: str, criteria: Sequence[Criterion]) -> tuple[Match, ...]:
    """Those of the criteria by which HAPI may find what stands across an edge."""
    dates = (own for own in criteria if is_about_a_date(own))
    return tuple([own for own in dates if may_last(type, own.name) and any(_edges(own))])


def edged(query: SearchQuery) -> tuple[Match, ...]:
    """The criteria by which a page may have what stands across an edge."""
    only = query.any_of[0] if len(query.any_of) == 1 else ()
    return with_edges(query.type, (*query.criteria, *only))


def across(match: Match) -> Iterator[tuple[Match, Match]]:
    """For each edge what finds all that stands across it, as a lower and an upper bound."""
    for value in _edges(match):
        edge = value.low if value.prefix == "ge" else value.high
        lower, upper = DateValue("ge", edge, edge, ""), DateValue("lt", edge, edge, "")
        yield replace(match, values=(lower,)), replace(match, values=(upper,))


def _edges(match: Match) -> Iterator[DateValue]:
    return (value for value in match.values if isinstance(value, DateValue) and value.prefix in ("ge", "le"))


def is_meant(body: bytes, edged: Sequence[Match]) -> bool:
    """Whether a find meets these criteria: most readings have a moment, which is seen without looking into them."""
    return not edged or not any(sign in body for sign in _LASTING) or satisfies(body, edged)
