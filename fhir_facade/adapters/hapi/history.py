"""Versions of one resource, one type or all, newest first; https://hl7.org/fhir/R4/http.html#history."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from itertools import accumulate, count
from urllib.parse import quote, urlencode, urlsplit

import msgspec

from fhir_facade.adapters.hapi.asking import halved, of_as_many
from fhir_facade.adapters.hapi.content import Bundle, Entry, bundle, stored, tombstone
from fhir_facade.adapters.hapi.cursor import InHistory, digests, opened, sealed, those_sent
from fhir_facade.adapters.hapi.read import deletion, path_of, read
from fhir_facade.adapters.hapi.session import HapiSession
from fhir_facade.errors import Gone, NotFound, UpstreamError
from fhir_facade.fhir.document import instant
from fhir_facade.values import HistoryQuery, Page, Ref, StoredResource

FIRST = "1"
MAX_FURTHER = 10
"""So many questions fill a page and look what follows, where HAPI has versions that are not meant."""
THE_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)


async def history(session: HapiSession, query: HistoryQuery) -> Page:
    """New versions push the later pages of HAPI down, so what was shown already is left out there. What is left of a
    page is filled from those that follow, and its link leads to a version that is meant: after MAX_FURTHER questions
    it leaves as it is."""
    place, shown = _position(query), list[StoredResource]()
    asked = _parameters(query) if place is None else _of_as_many(place.link, query.count)
    begins, total = place is None, place.total if place else None
    for further in count():
        found = await _ask(session, query, asked)
        looked_at = found.entry[: max(query.count, 1)]  # the newest one tells how many there are
        versions = list(await asyncio.gather(*(_version(session, entry) for entry in looked_at)))
        unseen = _unseen(place, versions) if place else versions
        fresh = await _current_then(session, query, unseen)
        if begins and further == 0:
            total = _total(query, found, fresh)
        if query.count == 0:
            return Page((), total=total)
        room = _room(session, query, shown, fresh)
        shown += fresh[:room]
        if room < len(fresh):
            break
        link = found.linked("next")
        if link is None or await _is_past(session, query, versions):
            return Page(shown, total=len(shown) if begins and query.total and total is None else total)
        place = _behind(link, unseen, total) if unseen else place
        is_full = _is_full(session, query, shown)
        asked = _of_as_many(link, 1 if is_full and fresh else query.count)
        if shown and (further == MAX_FURTHER or (is_full and _is_followed(query))):
            break
    return Page(shown, sealed(_behind(f"?{of_as_many(asked, query.count)}", shown, total)), total)


def _room(session: HapiSession, query: HistoryQuery, shown: list[StoredResource], fresh: list[StoredResource]) -> int:
    """How many of these versions the page has room for behind those shown: one at least."""
    ends = accumulate(len(version.body) for version in (*shown, *fresh))
    fitting = sum(end <= session.page_bytes for end in ends)
    return max(min(fitting, query.count) - len(shown), 0 if shown else 1)


def _is_full(session: HapiSession, query: HistoryQuery, shown: list[StoredResource]) -> bool:
    """By number, or by bytes: where HAPI was asked for fewer, as many again are too many."""
    return len(shown) == query.count or 2 * sum(len(version.body) for version in shown) > session.page_bytes


def _is_followed(query: HistoryQuery) -> bool:
    """Whether `_is_past` tells for sure that something follows."""
    return query.id is not None and query.at is None


def _behind(link: str, versions: list[StoredResource], total: int | None) -> InHistory:
    return InHistory(link, versions[-1].last_updated, digests(map(_name, versions)), total)


def _of_as_many(link: str, count: int) -> str:
    return of_as_many(urlsplit(link).query, count)


async def _is_past(session: HapiSession, query: HistoryQuery, versions: list[StoredResource]) -> bool:
    """Whether nothing that follows is meant, though HAPI names a next page behind each full one. It looks at `_since`
    only without `_at`. Of one resource the version before is known."""
    if not versions:
        return False
    oldest = versions[-1]
    if query.since is not None and oldest.last_updated < query.since:
        return True
    if query.id is None:
        return False
    if oldest.version == FIRST or (query.at is not None and oldest.last_updated < query.at[0]):
        return True
    if query.since is None:
        return False
    written = await _written(session, _beside(oldest, -1))
    return written is None or written < query.since


def _total(query: HistoryQuery, found: Bundle, versions: list[StoredResource]) -> int | None:
    """On the first page. Where HAPI tells none, the newest version of a resource tells how many there are."""
    if not query.total or found.total is not None:
        return found.total if query.total else None
    if found.linked("next") is None and query.count:
        return len(versions)
    whole = query.id and query.since is None and query.at is None
    return int(versions[0].version) if versions and whole else None


async def _current_then(
    session: HapiSession, query: HistoryQuery, versions: list[StoredResource]
) -> list[StoredResource]:
    """Those of the time that is asked for; HAPI knows its end, and its beginning only for one resource."""
    if query.at is None:
        return versions
    recent = [each for each in versions if query.since is None or each.last_updated >= query.since]
    held = await asyncio.gather(*(_held(session, query.at[0], version) for version in recent))
    return [version for version, was in zip(recent, held, strict=True) if was]


async def _held(session: HapiSession, moment: datetime, version: StoredResource) -> bool:
    """Whether a version is later than the moment, or was current then: no deletion, and replaced later or never."""
    if version.last_updated >= moment:
        return True
    if version.deleted:
        return False
    replaced = await _written(session, _beside(version, +1))
    return replaced is None or replaced > moment


def _beside(version: StoredResource, step: int) -> Ref:
    return Ref(version.type, version.id, str(int(version.version) + step))


async def _written(session: HapiSession, ref: Ref) -> datetime | None:
    """When a version was written, a deletion too; None for one that is not there."""
    try:
        return (await read(session, ref)).last_updated
    except NotFound:
        return None
    except Gone:
        return (await deletion(session, ref)).last_updated


def _position(query: HistoryQuery) -> InHistory | None:
    if query.cursor is None:
        return None
    cursor = opened(query.cursor)
    if not isinstance(cursor, InHistory):
        raise Gone("The page link does not belong to a history; start again")
    return cursor


def _parameters(query: HistoryQuery) -> str:
    """Always with a limit: without one HAPI counts first, keeps the count for a minute, and hides newer versions. It
    takes no two of them."""
    limit = (
        ("_since", instant(query.since or THE_BEGINNING)) if query.at is None else ("_at", f"lt{instant(query.at[1])}")
    )
    asked = [("_count", str(max(query.count, 1))), limit]
    return urlencode(asked, quote_via=quote, safe=":")


async def _ask(session: HapiSession, query: HistoryQuery, asked: str) -> Bundle:
    """Of fewer versions where they would have more bytes than a page may: HAPI's next link goes on behind them."""
    fewer = halved(asked)
    answer = await session.send("GET", f"{_path(query)}/_history?{asked}", most=session.page_bytes if fewer else None)
    if answer.overlong and fewer:
        return await _ask(session, query, fewer)
    if answer.status in (400, 404) and query.id is not None:
        raise NotFound(f"{query.type}/{query.id} does not exist")
    if answer.status != 200:
        raise answer.refusal("a history")
    return bundle(answer.body)


def _path(query: HistoryQuery) -> str:
    if query.type is None:
        return ""
    return f"/{query.type}" if query.id is None else path_of(Ref(query.type, query.id))


def _unseen(cursor: InHistory, versions: list[StoredResource]) -> list[StoredResource]:
    """Those that are not newer than the last one shown, nor among those of the page before."""
    sent = those_sent(cursor.sent, map(_name, versions))
    return [each for each, was in zip(versions, sent, strict=True) if not was and each.last_updated <= cursor.at]


def _name(version: StoredResource) -> str:
    return f"{version.ref}/_history/{version.version}"


async def _version(session: HapiSession, entry: Entry) -> StoredResource:
    if entry.resource:
        written = stored(bytes(entry.resource))
        return msgspec.structs.replace(written, change="created" if written.version == FIRST else "updated")
    if entry.request is None:
        raise UpstreamError("HAPI answered a history with an entry that says nothing")
    # HAPI tells a deletion's time in no history, only when the version is read
    path, _, version = entry.request.url.partition("/_history/")
    kind, _, name = path.rpartition("/")
    ref = Ref(kind.rpartition("/")[2], name, version or entry.version)
    at = entry.response.lastModified if entry.response else None
    if at is not None:
        return tombstone(ref.type, ref.id, str(ref.version), at.astimezone(UTC))
    return await deletion(session, ref)
