"""Searching HAPI: generated parameters, first pages without a stored search, later ones with it.

https://hl7.org/fhir/R4/http.html#search, https://hl7.org/fhir/R4/http.html#paging
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from urllib.parse import quote, urlencode

from fhir_facade.adapters.hapi.alternatives import Group, groups
from fhir_facade.adapters.hapi.broad import is_broad, satisfies
from fhir_facade.adapters.hapi.content import Bundle, bundle, stored
from fhir_facade.adapters.hapi.cursor import (
    AfterFirst,
    InHistory,
    InStored,
    count_sent,
    digests,
    opened,
    sealed,
    those_sent,
)
from fhir_facade.adapters.hapi.query import Parameter, parameters, sort_keys
from fhir_facade.adapters.hapi.session import HapiSession
from fhir_facade.errors import Gone, TooLarge, UpstreamError
from fhir_facade.values import Page, SearchQuery, StoredResource

LONGEST_URL = 1500
MAX_GATHERED_IDS = 10_000
MAX_CHECKED = 2_000
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
STRICT = {"Prefer": "handling=strict"}


async def search(session: HapiSession, query: SearchQuery) -> Page:
    """One page. Gone: the stored search behind the cursor has expired."""
    if query.cursor is None:
        return await _first_page(session, query)
    match opened(query.cursor):
        case AfterFirst() as cursor:
            return await _begin_stored(session, query, cursor)
        case InStored() as cursor:
            return await _go_on(session, query, cursor)
        case InHistory():
            raise Gone("The page link belongs to a history; start the search again")


async def _first_page(session: HapiSession, query: SearchQuery) -> Page:
    """One entry more than asked for tells whether there is a next page."""
    narrowed = await _narrowed(session, query)
    if narrowed is None:
        return Page((), total=0 if query.total or query.count == 0 else None)
    if query.count == 0:
        return Page((), total=(await _ask(session, query.type, [*narrowed, ("_summary", "count")])).total)
    asked = [*narrowed, ("_sort", sort_keys(query.sort)), ("_offset", "0"), ("_count", str(query.count + 1))]
    found = await _ask(session, query.type, [*asked, ("_total", "accurate")] if query.total else asked)
    entries = _resources(found)
    total = found.total if query.total else None
    if len(entries) <= query.count:
        return Page(entries, total=total)
    shown = entries[: query.count]
    at = found.meta.lastUpdated or datetime.now(UTC)
    return Page(shown, sealed(AfterFirst(at, digests(entry.id for entry in shown), total)), total)


async def _begin_stored(session: HapiSession, query: SearchQuery, cursor: AfterFirst) -> Page:
    """The same search again, as it was when the first page was made and kept by HAPI from now on.

    Written since then: left out, which keeps the order of the rest. Already shown: skipped.
    """
    narrowed = await _narrowed(session, query, until=cursor.at)
    if narrowed is None:
        return Page((), total=cursor.total)
    asked = [*narrowed, ("_sort", sort_keys(query.sort)), ("_count", str(count_sent(cursor.sent) + query.count))]
    found = await _ask(session, query.type, asked)
    entries = _resources(found)
    sent = those_sent(cursor.sent, (entry.id for entry in entries))
    fresh = [position for position, was_sent in enumerate(sent) if not was_sent]
    shown = fresh[: query.count]
    more = len(fresh) > query.count or found.linked("next") is not None
    after = shown[-1] + 1 if shown else len(entries)
    following = sealed(InStored(found.id, after, cursor.total)) if more else None
    return Page([entries[position] for position in shown], following, cursor.total)


async def _go_on(session: HapiSession, query: SearchQuery, cursor: InStored) -> Page:
    page = {
        "_getpages": cursor.search,
        "_getpagesoffset": cursor.offset,
        "_count": query.count,
        "_bundletype": "searchset",
    }
    answer = await session.send("GET", f"?{urlencode(page)}")
    if answer.status != 200:
        raise answer.refusal("the next page of the search")
    found = bundle(answer.body)
    following = InStored(cursor.search, cursor.offset + query.count, cursor.total)
    return Page(_resources(found), sealed(following) if found.linked("next") else None, cursor.total)


async def _narrowed(
    session: HapiSession, query: SearchQuery, *, until: datetime | None = None
) -> list[Parameter] | None:
    """The parameters that say which resources; None when there are none."""
    alternatives = groups(query)
    if len(alternatives) == 1 and not any(is_broad(criterion) for criterion in alternatives[0]):
        return parameters(alternatives[0], until=until)
    found = await asyncio.gather(*(_ids(session, query.type, group) for group in alternatives))
    ids = sorted(set().union(*found))
    if len(ids) > MAX_GATHERED_IDS:
        raise _too_many(MAX_GATHERED_IDS)
    return [("_id", ",".join(ids)), *parameters((), until=until)] if ids else None


async def _ids(session: HapiSession, type: str, group: Group) -> set[str]:
    """The ids of all that satisfy the group; where HAPI finds too much, each find is looked at."""
    broad = [criterion for criterion in group if is_broad(criterion)]
    limit = MAX_CHECKED if broad else MAX_GATHERED_IDS
    asked = [*parameters(group), ("_sort", "_id"), ("_offset", "0"), ("_count", str(limit + 1))]
    found = await _ask(session, type, asked if broad else [*asked, ("_elements", "id")])
    if len(found.entry) > limit:
        raise _too_many(limit)
    entries = _resources(found)
    return {entry.id for entry in entries if satisfies(entry.body, broad)}


def _too_many(limit: int) -> TooLarge:
    return TooLarge(f"HAPI cannot do this search at once, and its parts find more than {limit:,} resources; narrow it")


async def _ask(session: HapiSession, type: str, asked: Sequence[Parameter]) -> Bundle:
    form = urlencode(asked, quote_via=quote, safe=":,/")
    if len(form) <= LONGEST_URL:
        answer = await session.send("GET", f"/{type}?{form}", headers=STRICT)
    else:
        answer = await session.send("POST", f"/{type}/_search", form.encode(), headers=STRICT | FORM)
    if answer.status != 200:
        raise answer.refusal(f"a search of {type}")
    return bundle(answer.body)


def _resources(found: Bundle) -> list[StoredResource]:
    if any(not entry.resource for entry in found.entry):
        raise UpstreamError("HAPI answered a search with an entry that holds no resource")
    return [stored(bytes(entry.resource)) for entry in found.entry]
