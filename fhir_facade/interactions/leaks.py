"""What a store returns although the search for it said that it may not leave: changed meanwhile, or a defect.

A store that knows resources first and reads them afterwards (HAPI, whose later pages are a list an hour old) returns
what was the caller's when the search began and is somebody else's now. https://hl7.org/fhir/R4/http.html#paging
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from fhir_facade.errors import FacadeError
from fhir_facade.ports import FhirStore
from fhir_facade.values import Match, SearchQuery, StoredResource, TokenValue


class LeakPrevented(FacadeError):
    """A store returned a match that the caller may not see: a defect of the narrowing, so nothing is answered."""


async def refuse_leaks(store: FhirStore, query: SearchQuery, foreign: Sequence[StoredResource]) -> None:
    """For finds outside of the caller's limit, of a query that says all of it: LeakPrevented when the store still finds
    one of them as it is. What it finds no more, or in another version, was changed in between."""
    if not foreign:
        return
    named = Match("_id", "token", tuple(TokenValue(None, stored.id) for stored in foreign))
    again = replace(query, criteria=(*query.criteria, named), count=len(foreign), cursor=None, sort=(), total=False)
    found = await store.search(again)
    if {(stored.id, stored.version) for stored in found.entries} & {(one.id, one.version) for one in foreign}:
        raise LeakPrevented(f"the search was answered with {query.type} records outside of it; this was stopped")
