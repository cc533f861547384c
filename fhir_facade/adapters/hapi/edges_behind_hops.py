"""What stands across the near edge of `ge` or `le` behind a chain or `_has`, where no find of a page can be looked at.

HAPI finds exactly what is greater, and exactly what is equal: where anything stands across the edge at all, both are
asked for in the place of `ge`, and their finds are gathered. docs/decisions/009-what-a-prefix-means.md
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final

from fhir_facade.adapters.hapi.edges import with_edges
from fhir_facade.adapters.hapi.moments import is_about_a_date
from fhir_facade.values import AnyOf, Chain, Criterion, DateValue, Has, Match, Prefix, SearchQuery, SearchValue

StandsAcross = Callable[[str, Match], Awaitable[bool]]
"""Whether anything of a type stands across an edge of the criterion."""

Group = tuple[Criterion, ...]
_APART: Final[Mapping[str, tuple[Prefix, Prefix]]] = {"ge": ("gt", "eq"), "le": ("lt", "eq")}


async def without_edges_behind_hops(stands_across: StandsAcross, query: SearchQuery) -> SearchQuery:
    """The same query without `ge` and `le` behind its hops, of dates that may last and where it makes a difference."""

    async def met(group: Group) -> Group:
        return tuple([await _met(stands_across, own) for own in group])

    return replace(query, criteria=await met(query.criteria), any_of=tuple([await met(own) for own in query.any_of]))


async def _met(stands_across: StandsAcross, criterion: Criterion) -> Criterion:
    match criterion:
        case Chain(_, targets, inner):
            return replace(criterion, inner=await _behind(stands_across, targets, inner))
        case Has(source, _, inner):
            return replace(criterion, inner=await _behind(stands_across, (source,), inner))
        case AnyOf(groups):
            return AnyOf(tuple([tuple([await _met(stands_across, own) for own in group]) for group in groups]))
    return criterion


async def _behind(stands_across: StandsAcross, types: Sequence[str], inner: Criterion) -> Criterion:
    if not is_about_a_date(inner):
        return await _met(stands_across, inner)
    for kind in types:
        if with_edges(kind, (inner,)) and await stands_across(kind, inner):
            return replace(inner, values=tuple([part for value in inner.values for part in _parts(value)]))
    return inner


def _parts(value: SearchValue) -> Iterator[SearchValue]:
    if isinstance(value, DateValue) and value.prefix in _APART:
        yield from (replace(value, prefix=prefix) for prefix in _APART[value.prefix])
    else:
        yield value
