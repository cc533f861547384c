"""Which resources a search is about, as the parameters of one request: gathered by their ids where HAPI cannot say it,
and all of them where each has to be looked into. https://hl7.org/fhir/R4/search.html
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial

from fhir_facade.adapters.hapi.alternatives import Group, groups
from fhir_facade.adapters.hapi.asking import ask, ask_once, follow, resources
from fhir_facade.adapters.hapi.broad import elements_looked_at, is_broad, satisfies
from fhir_facade.adapters.hapi.calendar import in_utc
from fhir_facade.adapters.hapi.edges import across, amounts_are_looked_at, edged, is_meant, with_edges
from fhir_facade.adapters.hapi.edges_behind_hops import without_edges_behind_hops
from fhir_facade.adapters.hapi.hops import NOTHING, without_hard_hops
from fhir_facade.adapters.hapi.ids import but_for, with_ids_together
from fhir_facade.adapters.hapi.moments import looked_at, looked_at_among
from fhir_facade.adapters.hapi.query import Parameter, parameters
from fhir_facade.adapters.hapi.repeats import may_repeat, query_may_repeat
from fhir_facade.adapters.hapi.session import HapiSession
from fhir_facade.errors import TooLarge
from fhir_facade.values import Criterion, Match, SearchQuery, StoredResource

AT_ONCE = 1000  # what HAPI finds at most without a stored search, unless it is configured otherwise
MAX_GATHERED_IDS = 10_000
MAX_CHECKED = 2_000
Known = dict[tuple[str, tuple[int, ...]], tuple[list[StoredResource], SearchQuery]]
"""What lies behind a hop to a type, by the criteria that are asked there, which are kept beside it."""


async def narrowed(
    session: HapiSession, query: SearchQuery, before: Known | None = None, *, all_of_them: bool = False
) -> list[Parameter] | None:
    """The parameters that say which resources; None when there are none. Those of a page are looked at once more, as
    `looked_at` and `edged` say; where they are counted, they are here. `all_of_them`: those that are exact but for
    amounts are wanted, which are looked at once more."""
    counted = query.total or query.count == 0
    amounts_later = (all_of_them or not counted) and amounts_are_looked_at(query)
    counted = counted or all_of_them
    later, at_edges = set(() if counted else looked_at(query)), set(edged(query))
    query = await without_hard_hops(partial(everything, session, {} if before is None else before), query)
    query = await without_edges_behind_hops(partial(_stands_across, session), query)
    known = partial(_those_there, session, query.type)
    plain = [await with_ids_together(group, known) for group in groups(query)]
    alternatives = [group for group in plain if NOTHING not in group]
    if not alternatives:
        return None
    only = alternatives[0] if len(alternatives) == 1 else None
    if only is not None and set(_inexact(query.type, only)) <= later and set(with_edges(query.type, only)) <= at_edges:
        if counted:
            others = but_for(only, await _across(session, query.type, only, amounts=not amounts_later))
            only = await with_ids_together(others, known)
        return parameters(in_utc(query.type, only))
    found = await asyncio.gather(
        *(_ids(session, query.type, group, amounts=not amounts_later) for group in alternatives)
    )
    ids = sorted(set().union(*found))
    if len(ids) > MAX_GATHERED_IDS:
        raise _too_many(MAX_GATHERED_IDS)
    return [("_id", ",".join(ids))] if ids else None


async def _those_there(session: HapiSession, type: str, ids: list[str]) -> set[str]:
    asked = [("_id", ",".join(ids)), ("_elements", "id")]
    return {entry.id for entry in await all_of(session, type, asked, MAX_GATHERED_IDS, repeated=False)}


def _inexact(type: str, group: Group) -> list[Criterion]:
    """The criteria for which HAPI finds too much."""
    return [*(criterion for criterion in group if is_broad(criterion)), *looked_at_among(type, group)]


async def everything(session: HapiSession, known: Known, query: SearchQuery) -> list[StoredResource]:
    """All that a query finds, to be looked into; asked once, by however many ways a search leads there."""
    key = (query.type, tuple(id(criterion) for criterion in query.criteria))
    if key not in known:
        asked = await narrowed(session, query, known, all_of_them=True)
        repeated, named = query_may_repeat(query), [*(asked or ()), ("_sort", "_id")]
        found = await all_of(session, query.type, named, MAX_CHECKED, repeated=repeated) if asked is not None else []
        at_edges = edged(query)
        known[key] = ([own for own in found if is_meant(own.body, at_edges)], query)
    return known[key][0]


async def _ids(session: HapiSession, type: str, group: Group, *, amounts: bool) -> set[str]:
    """The ids of all that satisfy the group; where HAPI finds too much, each find is looked at. `amounts`: as to them
    nothing is looked at later."""
    broad = _inexact(type, group)
    elements = elements_looked_at(broad)
    limit = MAX_CHECKED if elements is None else MAX_GATHERED_IDS
    asked = [
        *parameters(in_utc(type, group)),
        ("_sort", "_id"),
        *([] if elements is None else [("_elements", elements)]),
    ]
    entries = await all_of(session, type, asked, limit, repeated=may_repeat(type, group))
    found = {entry.id for entry in entries if satisfies(entry.body, broad)}
    return found - await _across(session, type, group, amounts=amounts) if found else found


async def _across(session: HapiSession, type: str, group: Group, *, amounts: bool) -> set[str]:
    """The ids of what HAPI finds because it stands across an edge, though it is not meant."""
    at_edges = [own for own in with_edges(type, group) if amounts or own.kind != "quantity"]
    found: set[str] = set()
    for bounds in (own for match in at_edges for own in across(match)):
        asked = [*parameters(in_utc(type, (*group, *bounds))), ("_sort", "_id")]
        entries = await all_of(session, type, asked, MAX_CHECKED, repeated=may_repeat(type, (*group, *bounds)))
        found |= {entry.id for entry in entries if not is_meant(entry.body, at_edges)}
    return found


async def _stands_across(session: HapiSession, type: str, match: Match) -> bool:
    """Whether any resource of the type does, whoever it is about: it may be one that is meant all the same."""
    for bounds in across(match):
        asked = [*parameters(bounds), ("_elements", "id")]
        if (await ask_once(session, type, asked, 1, repeated=False)).entry:
            return True
    return False


async def all_of(
    session: HapiSession, type: str, asked: Sequence[Parameter], limit: int, *, repeated: bool
) -> list[StoredResource]:
    """Every find, cheaply when there are few. TooLarge beyond the limit. `repeated`: by several rows each perhaps."""
    if repeated:
        found = await ask_once(session, type, asked, limit + 1, repeated=True)
    else:
        found = await ask_once(session, type, asked, AT_ONCE, repeated=False)
        if len(found.entry) < AT_ONCE:
            return resources(found)
        found = await ask(session, type, [*asked, ("_count", str(limit + 1))])
    entries = resources(found)
    while len(entries) <= limit:
        link = found.linked("next")
        if link is None:
            return entries
        found = await follow(session, type, link)
        entries += resources(found)
    raise _too_many(limit)


def _too_many(limit: int) -> TooLarge:
    return TooLarge(f"HAPI cannot do this search at once, and its parts find more than {limit:,} resources; narrow it")
