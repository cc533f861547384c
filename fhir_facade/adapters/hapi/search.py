"""Searching HAPI: generated parameters, first pages without a stored search, later ones with it.

What others write between two pages neither hides nor repeats a resource that is there all the time: the stored search
is a fixed set that begins with the second page and leaves out what the first one held. What is new or changed since
then has its place in that set, so it may come later than its order says.
https://hl7.org/fhir/R4/http.html#search, https://hl7.org/fhir/R4/http.html#paging
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from fhir_facade.adapters.hapi.asking import ask, asked_within, follow, follow_once, once, resources
from fhir_facade.adapters.hapi.broad import satisfies
from fhir_facade.adapters.hapi.content import Bundle
from fhir_facade.adapters.hapi.cursor import (
    AfterFirst,
    InHistory,
    InOrder,
    InStored,
    digests,
    opened,
    sealed,
    those_sent,
)
from fhir_facade.adapters.hapi.edges import edged, is_about_amounts, is_meant
from fhir_facade.adapters.hapi.gathering import AT_ONCE, MAX_CHECKED, all_of, everything, narrowed
from fhir_facade.adapters.hapi.moments import looked_at
from fhir_facade.adapters.hapi.ordered import Run, in_order, is_unknown
from fhir_facade.adapters.hapi.query import Parameter, sort_keys
from fhir_facade.adapters.hapi.repeats import query_may_repeat
from fhir_facade.adapters.hapi.session import HapiSession
from fhir_facade.adapters.patience import SEARCH_S, took_too_long
from fhir_facade.errors import Gone
from fhir_facade.values import Page, SearchQuery, StoredResource

MAX_FURTHER = 10
"""So many questions fill a page, and look whether something is meant behind it."""


async def search(session: HapiSession, query: SearchQuery, *, within_s: float = SEARCH_S) -> Page:
    """One page. Gone: the stored search behind the cursor has expired. TimedOut: HAPI takes too long for it."""
    try:
        async with asyncio.timeout(within_s):
            return await _page(session, query)
    except TimeoutError as error:
        raise took_too_long(query.type, within_s) from error


async def _page(session: HapiSession, query: SearchQuery) -> Page:
    if is_unknown(query.sort) and query.count > 0:
        return await _ordered(session, query)
    if query.cursor is None:
        return await _first_page(session, query)
    match opened(query.cursor):
        case AfterFirst() as cursor:
            return await _begin_stored(session, query, cursor)
        case InStored() as cursor:
            found = await follow(session, query.type, cursor.link, query.count)
            return await _unsent(session, query, found, AfterFirst(cursor.sent, cursor.total))
        case InOrder() | InHistory():
            raise Gone("The page link belongs to another question; start the search again")


async def _ordered(session: HapiSession, query: SearchQuery) -> Page:
    """A page in an order that HAPI does not know: all finds are sorted here, each time anew."""
    cursor = InOrder(b"") if query.cursor is None else opened(query.cursor)
    if not isinstance(cursor, InOrder):
        raise Gone("The page link belongs to another question; start the search again")
    found = await everything(session, {}, query)
    entries = await in_order(found, query.sort, partial(_sorted, session, query.type, found))
    total = len(entries) if query.total else None
    sent = those_sent(cursor.sent, (entry.id for entry in entries))
    fresh = [entry for entry, was_sent in zip(entries, sent, strict=True) if not was_sent]
    shown = fresh[: _fit(fresh[: query.count], session.page_bytes)]
    if len(shown) == len(fresh):
        return Page(shown, total=total)
    return Page(shown, sealed(InOrder(cursor.sent + digests(entry.id for entry in shown))), total)


def _fit(entries: Sequence[StoredResource], page_bytes: int) -> int:
    """How many of the first ones a page has room for: one at least."""
    ends = itertools.accumulate(len(entry.body) for entry in entries)
    return max(1, sum(end <= page_bytes for end in ends))


async def _sorted(session: HapiSession, type: str, found: Sequence[StoredResource], keys: Run) -> list[str]:
    """The ids of what was found as HAPI orders them."""
    if not found:
        return []
    repeated = query_may_repeat(SearchQuery(type, sort=keys))
    named = [("_id", ",".join(entry.id for entry in found)), ("_sort", sort_keys(keys)), ("_elements", "id")]
    return [entry.id for entry in await all_of(session, type, named, MAX_CHECKED, repeated=repeated)]


async def _first_page(session: HapiSession, query: SearchQuery) -> Page:
    """One entry more than asked for tells whether there is a next page."""
    if query.count == 0:
        return Page((), total=await _total(session, query))
    count_later = query.total and query.count < AT_ONCE and is_about_amounts(edged(query))
    asked_for = await narrowed(session, query, all_of_them=count_later)
    if asked_for is None:
        return Page((), total=0 if query.total else None)
    asked = [*asked_for, ("_sort", sort_keys(query.sort))]
    if query.total and not count_later:
        asked.append(("_total", "accurate"))
    if query.count >= AT_ONCE:
        found = await _counted(session, query.type, asked, query.count)
        return await _unsent(session, query, found, AfterFirst(b"", found.total if query.total else None))
    found, count = await _fitting(session, query, asked)
    entries = resources(found)
    total = found.total if query.total else None
    if len(entries) <= count:
        shown = _those_meant(entries, query)
        return Page(shown, total=len(shown) if count_later else total)
    if count_later:
        total = await _total(session, query)
    seen = entries[:count]
    following = AfterFirst(digests(entry.id for entry in seen), total)
    shown = _those_meant(seen, query)
    if len(shown) < len(seen) or not _those_meant(entries[count:], query):
        return await _begin_stored(session, query, following, shown)
    return Page(shown, sealed(following), total)


async def _total(session: HapiSession, query: SearchQuery) -> int | None:
    """How many there are, of which none is looked at."""
    asked = await narrowed(session, replace(query, total=True))
    return 0 if asked is None else (await ask(session, query.type, [*asked, ("_summary", "count")])).total


def _those_meant(entries: Sequence[StoredResource], query: SearchQuery) -> list[StoredResource]:
    """Those that meet the criteria for which HAPI finds a little too much."""
    closely, at_edges = looked_at(query), edged(query)
    return [own for own in entries if satisfies(own.body, closely) and is_meant(own.body, at_edges)]


async def _fitting(session: HapiSession, query: SearchQuery, asked: Sequence[Parameter]) -> tuple[Bundle, int]:
    """The first page, of fewer resources where it would have more bytes than a page may; and of how many."""
    count, repeated = query.count, query_may_repeat(query)
    while count > 1:
        found = await asked_within(session, query.type, *once(asked, count + 1, repeated=repeated), session.page_bytes)
        if found is not None:
            return found, count
        count //= 2
    return await ask(session, query.type, *once(asked, count + 1, repeated=repeated)), count


async def _counted(session: HapiSession, type: str, asked: Sequence[Parameter], count: int) -> Bundle:
    """The first page of a stored search, of fewer resources where it would have more bytes than a page may."""
    while count > 1:
        found = await asked_within(session, type, [*asked, ("_count", str(count))], None, session.page_bytes)
        if found is not None:
            return found
        count //= 2
    return await ask(session, type, [*asked, ("_count", str(count))])


async def _begin_stored(
    session: HapiSession, query: SearchQuery, cursor: AfterFirst, shown: Sequence[StoredResource] = ()
) -> Page:
    """The same search again, kept by HAPI from now on. What it has beside those of the first page is behind `shown`."""
    asked_for = await narrowed(session, query)
    if asked_for is None:
        return Page(shown, total=cursor.total)
    asked = [*asked_for, ("_sort", sort_keys(query.sort))]
    found = await _counted(session, query.type, asked, query.count)
    if len(shown) + len(_fresh(query, found, cursor)) > query.count:  # others wrote since: it waits for the next page
        return Page(shown, sealed(cursor), cursor.total)
    return await _unsent(session, query, found, cursor, shown)


async def _unsent(
    session: HapiSession, query: SearchQuery, found: Bundle, first: AfterFirst, before: Sequence[StoredResource] = ()
) -> Page:
    """What was not on the first page, of this page of a stored search and of those that fill it: HAPI is asked for as
    many as there is room for, so that its next link goes on behind them."""
    shown, link, further = [*before, *_fresh(query, found, first)], found.linked("next"), 0
    while link is not None:
        room, left = query.count - len(shown), session.page_bytes - sum(len(entry.body) for entry in shown)
        if not shown:
            found = await follow(session, query.type, link, room)
        elif room <= 0 or further >= MAX_FURTHER or 2 * left < session.page_bytes:
            break
        elif (more := await follow_once(session, query.type, link, room, left)) is not None:
            found = more
        else:
            break
        shown += _fresh(query, found, first)
        link, further = found.linked("next"), further + 1
    following = None if link is None else await _leading_on(session, query, link, first)
    return Page(shown, following and sealed(InStored(following, first.sent, first.total)), first.total)


async def _leading_on(session: HapiSession, query: SearchQuery, link: str, first: AfterFirst) -> str | None:
    """The link, or a later one, behind which something is shown: a page may end before what HAPI finds and is not
    meant. None for none."""
    if not looked_at(query) and not edged(query):
        return link
    ahead = 1
    for _ in range(MAX_FURTHER):
        found = await follow_once(session, query.type, link, ahead, session.page_bytes)
        if found is None or _fresh(query, found, first):
            return link
        later = found.linked("next")
        if later is None:
            return None
        link, ahead = later, query.count
    return link


def _fresh(query: SearchQuery, found: Bundle, first: AfterFirst) -> list[StoredResource]:
    """Those that are meant and were not on the first page."""
    entries = resources(found)
    sent = those_sent(first.sent, (entry.id for entry in entries))
    return _those_meant([entry for entry, was_sent in zip(entries, sent, strict=True) if not was_sent], query)
