"""A history put together of those of types and of single resources, where the store knows no such history.

That is so for some types (`_type`), for the members of a list (`_list`), and for whoever may see a part only: then the
resources are found as a search finds them, and each version is judged by itself. What comes next is found by its time,
so a page keeps nothing of the store's. https://hl7.org/fhir/R4/http.html#history
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec

from fhir_facade.access.check import Check, Deny
from fhir_facade.access.compartment import type_rules
from fhir_facade.errors import Gone, NotFound, TooLarge
from fhir_facade.fhir.document import instant, parse_stored
from fhir_facade.fhir.query import parse_query
from fhir_facade.fhir.references import parse_reference
from fhir_facade.interactions.audit_resource import AUDIT_EVENT
from fhir_facade.interactions.call import Call, sees_all
from fhir_facade.interactions.page_bytes import fitting
from fhir_facade.values import HistoryQuery, Match, Page, Ref, SearchQuery, StoredResource, TokenValue

MOST: Final = 5000
"""How many resources are looked at for a page."""
AT_ONCE: Final = 8
FIRST: Final = "1"
EARLIEST: Final = datetime.min.replace(tzinfo=UTC)
LATEST: Final = datetime.max.replace(tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)

Key = tuple[int, str, str, int]
_KEY: Final[msgspec.json.Decoder[Key]] = msgspec.json.Decoder(Key)
MayLeave = Callable[[StoredResource], bool]


@dataclass(frozen=True, slots=True)
class _Part:
    """Versions in their order; none is newer than `newest`."""

    newest: datetime
    versions: AsyncIterator[StoredResource]


async def history_of_parts(
    call: Call, query: HistoryQuery, types: Sequence[str], listed: Collection[Ref] | None, may_leave: MayLeave
) -> Page:
    """A page of the versions of these types that may leave, newest first; of the `listed` resources only, where there
    is a list. TooLarge: they are too many to be looked at."""
    behind = None if query.cursor is None else _opened(query.cursor)
    within = _up_to(query, behind)
    open_types = frozenset(kind for kind in types if is_open(call, kind))
    parts = [_part(call, within, behind, whole) for whole in _whole(open_types, listed)]
    for stored in await _resources(call, query, [kind for kind in types if kind not in open_types], listed):
        parts += _of_resource(call, within, behind, stored)
    most = call.ports.deployment.max_page_bytes
    found = await _merged(parts, query.count + 1, most, may_leave) if query.count else []
    shown = found[: min(query.count, fitting(found, most))]
    cursor = msgspec.json.encode(_key(shown[-1])).decode() if len(found) > len(shown) else None
    return Page(shown, cursor)


def _whole(types: Collection[str], listed: Collection[Ref] | None) -> list[tuple[str, str | None]]:
    """Types, or resources of these types, whose history is told with their deletions."""
    if listed is None:
        return [(kind, None) for kind in types]
    return [(ref.type, ref.id) for ref in listed if ref.type in types]


def is_open(call: Call, type: str) -> bool:
    """Whether nothing of a type is hidden from the caller."""
    check = call.allow.check
    return sees_all(Check(check.rights, type, check.letter))


def open_to(call: Call) -> list[str]:
    """All types whose histories the caller may ask for, or the one that is asked for."""
    if call.request.type is not None:
        return [call.request.type]
    stored = (rule.type for rule in type_rules().values() if rule.type_class != "transient")
    return sorted(kind for kind in stored if kind != AUDIT_EVENT and not isinstance(call.search_rights(kind), Deny))


async def members(call: Call, list_id: str) -> frozenset[Ref]:
    """What a List holds, as far as the caller may search for it; nothing for one that is not there. TooLarge."""
    from fhir_facade.interactions.operations.matches import matches  # its room is loaded by those who need it

    named = SearchQuery("List", (Match("_id", "token", (TokenValue(None, list_id),)),))
    lists = [parse_stored(stored.body) async for stored in matches(call, named)]
    refs = frozenset(_items(entry for one in lists for entry in one.get("entry", ())))
    if len(refs) > MOST:
        raise TooLarge(f"List/{list_id} has {len(refs)} members, a history is told of at most {MOST}")
    return refs


def _items(entries: Iterable[object]) -> Iterator[Ref]:
    for entry in entries:
        item = entry.get("item") if isinstance(entry, dict) else None
        found = parse_reference(str(item.get("reference", ""))) if isinstance(item, dict) else None
        if found is not None and found.kind == "relative" and found.type and found.id:
            yield Ref(found.type, found.id)


# --- which resources --------------------------------------------------------------------------------------------------


async def _resources(
    call: Call, query: HistoryQuery, types: Sequence[str], listed: Collection[Ref] | None
) -> list[StoredResource]:
    """The current ones that the caller may see, and that were changed in the time that is asked for."""
    found: list[StoredResource] = []
    for start in range(0, len(types), AT_ONCE):
        looks = (_of_type(call, query, kind, listed) for kind in types[start : start + AT_ONCE])
        found += [stored for several in await asyncio.gather(*looks) for stored in several]
        if len(found) > MOST:
            raise _too_many()
    return found


async def _of_type(call: Call, query: HistoryQuery, kind: str, listed: Collection[Ref] | None) -> list[StoredResource]:
    from fhir_facade.interactions.operations.matches import matches

    asked = [("_lastUpdated", f"ge{instant(query.since)}")] if query.since is not None else []
    criteria = parse_query(kind, asked, now=call.ports.clock.now()).query.criteria
    if listed is not None:
        own = [TokenValue(None, ref.id) for ref in listed if ref.type == kind]
        if not own:
            return []
        criteria = (*criteria, Match("_id", "token", tuple(own)))
    found: list[StoredResource] = []
    async for stored in matches(call, SearchQuery(kind, criteria)):
        found.append(stored)
        if len(found) > MOST:
            raise _too_many()
    return found


def _too_many() -> TooLarge:
    return TooLarge(f"these are more than {MOST} resources: ask for one type, or for what changed _since a time")


# --- their versions ---------------------------------------------------------------------------------------------------


def _part(call: Call, within: HistoryQuery, behind: Key | None, whole: tuple[str, str | None]) -> _Part:
    kind, id_ = whole
    return _Part(LATEST, _versions(call, replace(within, type=kind, id=id_), behind))


def _of_resource(call: Call, within: HistoryQuery, behind: Key | None, stored: StoredResource) -> Iterator[_Part]:
    """Nothing has to be asked about a resource that has one version."""
    if stored.version != FIRST:
        yield _Part(stored.last_updated, _versions(call, replace(within, type=stored.type, id=stored.id), behind))
    elif (within.at is None or stored.last_updated < within.at[1]) and (behind is None or _key(stored) > behind):
        yield _Part(stored.last_updated, _only(msgspec.structs.replace(stored, change="created")))


async def _only(stored: StoredResource) -> AsyncIterator[StoredResource]:
    yield stored


async def _versions(call: Call, query: HistoryQuery, behind: Key | None) -> AsyncIterator[StoredResource]:
    """Those that come behind a place. What was written in one moment is put in order."""
    moment: list[StoredResource] = []
    while True:
        try:
            page = await call.ports.store.history(query)
        except NotFound:  # erased meanwhile
            return
        for version in page.entries:
            if moment and version.last_updated != moment[0].last_updated:
                for one in _ordered(moment, behind):
                    yield one
                moment = []
            moment.append(version)
        if page.cursor is None:
            break
        query = replace(query, cursor=page.cursor)
    for one in _ordered(moment, behind):
        yield one


def _ordered(versions: Iterable[StoredResource], behind: Key | None) -> list[StoredResource]:
    return sorted((each for each in versions if behind is None or _key(each) > behind), key=_key)


def _key(version: StoredResource) -> Key:
    """Newest first, then by type, id and version, as a store has them."""
    at = version.last_updated
    return -(int(at.timestamp()) * 1000 + at.microsecond // 1000), version.type, version.id, -int(version.version)


def _opened(cursor: str) -> Key:
    try:
        return _KEY.decode(cursor)
    except msgspec.DecodeError as error:
        raise Gone("this page link is of another version of the server: start the history again") from error


def _up_to(query: HistoryQuery, behind: Key | None) -> HistoryQuery:
    """The question without what is newer than the place; the end of a time does not change what stood when it began."""
    plain = replace(query, cursor=None, total=False, count=max(query.count, 1))
    if behind is None:
        return plain
    after = datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=-behind[0]) + _MILLISECOND
    low, high = query.at or (EARLIEST, LATEST)
    return replace(plain, at=(low, min(high, after)))


# --- together ---------------------------------------------------------------------------------------------------------


async def _merged(parts: Sequence[_Part], count: int, most: int, may_leave: MayLeave) -> list[StoredResource]:
    """The first so many of all parts that may leave, or the first that have more than so many bytes. A part is looked
    into when its newest could be next."""
    waiting = sorted(parts, key=lambda part: part.newest)
    heads: list[tuple[Key, int, StoredResource, AsyncIterator[StoredResource]]] = []
    found: list[StoredResource] = []
    size = 0
    while len(found) < count and size <= most:
        while waiting and (not heads or waiting[-1].newest >= heads[0][2].last_updated):
            some = [waiting.pop() for _ in range(min(AT_ONCE, len(waiting)))]
            firsts = await asyncio.gather(*(anext(part.versions, None) for part in some))
            for part, first in zip(some, firsts, strict=True):
                if first is not None:
                    heapq.heappush(heads, (_key(first), len(heads), first, part.versions))
        if not heads:
            break
        _, place, version, versions = heapq.heappop(heads)
        if may_leave(version):
            found.append(version)
            size += len(version.body)
        following = await anext(versions, None)
        if following is not None:
            heapq.heappush(heads, (_key(following), place, following, versions))
    return found
