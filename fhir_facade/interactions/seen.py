"""A page of a search as if there were nothing but what its caller may see.

Where the query cannot say all of the caller's limit, a store finds records that may not leave. Left out afterwards they
would still end a page early, or give it a link to more, and so tell whether they fit what was asked for.
https://hl7.org/fhir/R4/search.html#security
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from fhir_facade.access.check import Check
from fhir_facade.access.compartment import type_rules
from fhir_facade.interactions.audit_resource import AUDIT_EVENT
from fhir_facade.interactions.call import Call, may_leave, sees_all
from fhir_facade.interactions.naming import marked
from fhir_facade.interactions.page_bytes import bytes_of
from fhir_facade.values import Page, SearchQuery, StoredResource

AHEAD: Final = 50
"""So many records are looked at together for whether any that may be seen follows."""


async def seen_page(call: Call, query: SearchQuery, check: Check, *, exact: bool) -> Page:
    """Full where something follows that may be seen, and with a cursor only then. `exact`: the query says all of the
    limit, so the page is that of the store; its total is that of the store in any case."""
    page = await call.ports.store.search(query)
    if exact or sees_all(check) or not query.count or query.type == AUDIT_EVENT:
        return page
    found = _seen(check, page)
    if page.cursor is None or not await _may_hide(call, query.type):
        return replace(page, entries=found)
    cursor: str | None = page.cursor
    most = call.ports.deployment.max_page_bytes
    while cursor is not None and len(found) < query.count and bytes_of(found) < most:
        more = await call.ports.store.search(replace(query, count=query.count - len(found), cursor=cursor, total=False))
        found, cursor = [*found, *_seen(check, more)], more.cursor
    return Page(found, await _leading_on(call, query, check, cursor), page.total)


async def _may_hide(call: Call, type: str) -> bool:
    """What is about nobody is hidden only where it names somebody, and then its type is marked."""
    return type_rules()[type].type_class != "shared" or bool(await marked(call.ports, (type,)))


async def _leading_on(call: Call, query: SearchQuery, check: Check, cursor: str | None) -> str | None:
    """The cursor, when something follows that may be seen."""
    step = cursor
    while step is not None:
        ahead = await call.ports.store.search(replace(query, count=AHEAD, cursor=step, total=False))
        if _seen(check, ahead):
            return cursor
        step = ahead.cursor
    return None


def _seen(check: Check, page: Page) -> Sequence[StoredResource]:
    return [stored for stored in page.entries if may_leave(check, stored)]
