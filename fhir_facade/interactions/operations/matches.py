"""All matches of a search that the caller may see, page after page: what operations compute from."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import Final

from fhir_facade.access.check import Deny
from fhir_facade.access.policy import Allow
from fhir_facade.errors import Forbidden
from fhir_facade.fhir.document import parse_stored
from fhir_facade.interactions.audit_events import with_audit_events
from fhir_facade.interactions.audit_resource import AUDIT_EVENT
from fhir_facade.interactions.call import Call, sees_all
from fhir_facade.interactions.leaks import refuse_leaks
from fhir_facade.interactions.within import within
from fhir_facade.ports import FhirStore
from fhir_facade.values import Match, Page, SearchQuery, Sort, StoredResource, TokenValue

AT_ONCE: Final = 500
NOT_IN_ERROR: Final = Match("status", "token", (TokenValue(None, "entered-in-error"),), modifier="not")
NEWEST_FIRST: Final = (Sort("date", "date", descending=True),)


async def matches(call: Call, query: SearchQuery, *, at_once: int = AT_ONCE) -> AsyncIterator[StoredResource]:
    """Narrowed in the query and checked on the way out, as a search is. Forbidden when the type may not be searched."""
    cursor: str | None = None
    while True:
        page, found = await matches_of_page(call, replace(query, count=at_once, cursor=cursor))
        for stored in found:
            yield stored
        cursor = page.cursor
        if cursor is None:
            return


async def matches_of_page(call: Call, query: SearchQuery) -> tuple[Page, Sequence[StoredResource]]:
    """One page of the store, and those of its matches that may leave."""
    rights, limited = call.search_rights(query.type), await within(call, query)
    if isinstance(rights, Deny):
        raise Forbidden(rights.reason)
    if isinstance(limited, Deny):
        raise Forbidden(limited.reason)
    ports = with_audit_events(call.ports, call.principal) if query.type == AUDIT_EVENT else call.ports
    page = await ports.store.search(limited)
    return page, await _leaving(ports.store, rights, limited, page.entries)


async def _leaving(
    store: FhirStore, rights: Allow, query: SearchQuery, found: Sequence[StoredResource]
) -> Sequence[StoredResource]:
    if sees_all(rights.check):
        return found
    may = [rights.check.may_leave(parse_stored(stored.body)) for stored in found]
    if rights.exact:
        await refuse_leaks(store, query, [stored for stored, leaves in zip(found, may, strict=True) if not leaves])
    return [stored for stored, leaves in zip(found, may, strict=True) if leaves]
