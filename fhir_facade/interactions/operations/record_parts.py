"""The parts of a record: for each type of a compartment and each of its linking parameters one plain search.

One search per parameter, because an OR over several parameters reads a whole table in one store and gathers ids first
in the other. What an earlier parameter of the type has found already is left out.
https://hl7.org/fhir/R4/compartmentdefinition-patient.html
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache, lru_cache
from importlib.resources import files
from itertools import groupby
from typing import Final

import msgspec

from fhir_facade.access.check import Deny
from fhir_facade.errors import BadRequest
from fhir_facade.fhir.definitions.tables import compartment
from fhir_facade.fhir.document import parse_stored
from fhir_facade.fhir.match import matches
from fhir_facade.fhir.query import parse_query
from fhir_facade.interactions.call import Call, may_leave, sees_all
from fhir_facade.interactions.operations.matches import matches_of_page
from fhir_facade.values import (
    Criterion,
    JsonObject,
    Match,
    Ref,
    ReferenceValue,
    SearchQuery,
    StoredResource,
    TokenValue,
    Ways,
)

FEW: Final = 6
"""Searches of a record that are not worth the question which of them find anything."""
STRETCH: Final = 40
"""Searches of a record about which that is asked at once: a HAPI that is not ours answers with much of what they would
find, so a page asks about what it may come to and no further."""
_ON_DEMAND: Final = frozenset(("AuditEvent",))
"""Part of the record only when `_type` names it: who looked is no part of what was done."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What of a record is asked for: of a Patient or Encounter; no `types`: all. The bounds are as they were sent."""

    type: str
    types: frozenset[str] = frozenset()
    start: str | None = None
    end: str | None = None
    since: str | None = None

    def has(self, kind: str) -> bool:
        return not self.types or kind in self.types

    @property
    def inside(self) -> bool:
        """Whether nothing is asked for that only the references of the record lead to."""
        return bool(self.types) and self.types <= {*compartment(self.type), self.type}


@dataclass(frozen=True, slots=True)
class Part:
    """One type, found by one parameter; `before` are the parameters that were asked before."""

    type: str
    param: str
    before: tuple[str, ...] = ()


def parts(wanted: Wanted) -> Iterator[Part]:
    """The record itself first, then the types of its compartment by name: all of them where their references count."""
    members: Mapping[str, Sequence[str]] = {wanted.type: ("_id",)}
    others = compartment(wanted.type)
    for kind, params in (*members.items(), *sorted((name, others[name]) for name in others if name != wanted.type)):
        if _is_part(wanted, kind):
            for at, param in enumerate(params):
                yield Part(kind, param, tuple(params[:at]))


def _is_part(wanted: Wanted, kind: str) -> bool:
    if kind in _ON_DEMAND:
        return kind in wanted.types
    return wanted.has(kind) or not wanted.inside


def stretches(wanted: Wanted) -> tuple[tuple[Part, ...], ...]:
    """The parts in order, cut between types where a stretch would get longer than STRETCH."""
    return _stretches(wanted.type, wanted.types)


@lru_cache(maxsize=64)
def _stretches(type: str, types: frozenset[str]) -> tuple[tuple[Part, ...], ...]:
    cut: list[list[Part]] = [[]]
    for _, alike in groupby(parts(Wanted(type, types)), lambda part: part.type):
        some = list(alike)
        if cut[-1] and len(cut[-1]) + len(some) > STRETCH:
            cut.append([])
        cut[-1] += some
    return tuple(map(tuple, cut))


async def present(call: Call, wanted: Wanted, ids: Sequence[str], stretch: int) -> Ways | None:
    """By which parameters something in a stretch may belong to these records besides themselves; None: by any, because
    looking at each takes no longer than finding out."""
    ways: dict[str, list[str]] = defaultdict(list)
    for part in stretches(wanted)[stretch]:
        if part.type != wanted.type and part.type not in _ON_DEMAND:
            ways[part.type].append(part.param)
    if sum(map(len, ways.values())) <= FEW:
        return None
    return await call.ports.store.referring([Ref(wanted.type, id_) for id_ in ids], ways)


def open_parts(call: Call, wanted: Wanted, stretch: int, ways: Ways | None) -> list[Part]:
    """The parts of a stretch, by these ways besides the record itself, that the caller may search."""
    own = [part for part in stretches(wanted)[stretch] if not isinstance(call.search_rights(part.type), Deny)]
    return own if ways is None else list(_by(ways, wanted, own))


def _by(ways: Ways, wanted: Wanted, own: Sequence[Part]) -> Iterator[Part]:
    """Those of the parts that find something."""
    for part in own:
        if part.type == wanted.type or part.type in _ON_DEMAND:
            yield part
        elif part.param in ways.get(part.type, ()):
            yield replace(part, before=tuple([param for param in part.before if param in ways[part.type]]))


def itself(call: Call, wanted: Wanted, stored: StoredResource) -> list[StoredResource]:
    """What a search for the record would find: it has been read already."""
    rights = call.search_rights(stored.type)
    if isinstance(rights, Deny) or not may_leave(rights.check, stored):
        return []
    limits = bounds(wanted, stored.type, call.ports.clock.now())
    resource = parse_stored(stored.body) if limits else {}
    return [stored] if all(matches(resource, limit) for limit in limits) else []


def is_plain(call: Call, wanted: Wanted, part: Part) -> bool:
    """Whether whatever the search of a part finds is an entry, so that one that goes on leads to more of them."""
    rights, dates = call.search_rights(part.type), care_dates().get(part.type, ())
    dated = len(dates) > 1 and bool(wanted.start or wanted.end)
    return not isinstance(rights, Deny) and (rights.exact or sees_all(rights.check)) and not part.before and not dated


async def look(
    call: Call, wanted: Wanted, part: Part, ids: Sequence[str], cursor: str | None, count: int
) -> tuple[str | None, list[StoredResource]]:
    """At most `count` entries of one part of these records, and the cursor behind them."""
    now = call.ports.clock.now()
    criteria = (_link(wanted.type, part.param, ids), *bounds(wanted, part.type, now))
    page, found = await matches_of_page(call, SearchQuery(part.type, criteria, count=count, cursor=cursor))
    earlier = [_link(wanted.type, param, ids) for param in part.before]
    dates = _care_dates(wanted, part.type, now)
    return page.cursor, [stored for stored in found if _is_wanted(stored, earlier, dates)]


def _link(focus: str, param: str, ids: Sequence[str]) -> Match:
    if param == "_id":
        return Match("_id", "token", tuple(TokenValue(None, id_) for id_ in ids))
    return Match(param, "reference", tuple(ReferenceValue(focus, id_) for id_ in ids))


def _is_wanted(stored: StoredResource, earlier: Sequence[Criterion], dates: Sequence[Sequence[Criterion]]) -> bool:
    """Looked into only where the search could not say all of it."""
    if not earlier and not dates:
        return True
    resource = parse_stored(stored.body)
    return _is_new(resource, earlier) and _is_within(resource, dates)


def _is_new(resource: JsonObject, earlier: Sequence[Criterion]) -> bool:
    return not any(matches(resource, criterion) for criterion in earlier)


# --- bounds -----------------------------------------------------------------------------------------------------------


@cache
def care_dates() -> Mapping[str, tuple[str, ...]]:
    """Per type the parameters of its care date."""
    table = msgspec.json.decode(files(__package__).joinpath("care_dates.json").read_bytes())
    return {name: tuple(params) for name, params in table.items() if name != "source"}


def bounds(wanted: Wanted, kind: str, now: datetime) -> tuple[Criterion, ...]:
    """What the store can say of the bounds: `_since`, and the care date where the type has one parameter for it."""
    params = care_dates().get(kind, ())
    asked = [("_lastUpdated", f"ge{wanted.since}")] if wanted.since else []
    if len(params) == 1:
        asked += _between(wanted, params[0])
    return parse_query(kind, asked, now=now).query.criteria if asked else ()


def _between(wanted: Wanted, param: str) -> list[tuple[str, str]]:
    limits = (("ge", wanted.start), ("le", wanted.end))
    return [(param, f"{prefix}{text}") for prefix, text in limits if text is not None]


def _care_dates(wanted: Wanted, kind: str, now: datetime) -> list[tuple[Criterion, ...]]:
    """Per parameter of the care date what has to hold; empty where the store has seen to it."""
    params = care_dates().get(kind, ())
    if len(params) < 2 or not (wanted.start or wanted.end):
        return []
    return [
        parse_query(kind, [(f"{param}:missing", "false"), *_between(wanted, param)], now=now).query.criteria
        for param in params
    ]


def _is_within(resource: JsonObject, dates: Sequence[Sequence[Criterion]]) -> bool:
    """Whether the first care date that the resource has lies within the bounds."""
    for has_it, *limits in dates:
        if matches(resource, has_it):
            return all(matches(resource, limit) for limit in limits)
    return not dates


def check_bounds(wanted: Wanted) -> None:
    """BadRequest for an end before its start."""
    if wanted.start and wanted.end and wanted.start[: len(wanted.end)] > wanted.end[: len(wanted.start)]:
        raise BadRequest(f"start={wanted.start} lies after end={wanted.end}", expression="start")
