"""Conditional interactions: the condition is resolved here, under a lock, with the caller's own narrowed search.

https://hl7.org/fhir/R4/http.html#ccreate
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from urllib.parse import parse_qsl

from fhir_facade.access.check import Check, Deny
from fhir_facade.errors import BadRequest, Forbidden, PreconditionFailed
from fhir_facade.fhir.query import parse_query
from fhir_facade.interactions.call import Call, may_leave, within
from fhir_facade.values import Criterion, SearchQuery, StoredResource

AT_MOST = 2


def lock_name(type: str, condition: str) -> str:
    """The name of the lock that writers with the same condition share."""
    pairs = sorted(parse_qsl(condition, keep_blank_values=True))
    return "condition:" + hashlib.sha256(repr((type, pairs)).encode()).hexdigest()


async def matching(call: Call, type: str, condition: str) -> StoredResource | None:
    """The one resource that satisfies the condition, or None. PreconditionFailed for several."""
    params = tuple(parse_qsl(condition.removeprefix("?"), keep_blank_values=True))
    criteria = _criteria(call, type, params)
    rights, query = call.search_rights(type), within(call, SearchQuery(type, criteria, count=AT_MOST))
    if isinstance(rights, Deny):
        raise Forbidden(f"a condition on {type} needs the right to search it. {rights.reason}")
    if isinstance(query, Deny):
        raise Forbidden(f"this condition on {type} is not yours to ask. {query.reason}")
    found = await _found(call, query, rights.check)
    if len(found) > 1:
        raise PreconditionFailed(f"{type}?{condition} has several matches: make the condition more exact")
    return found[0] if found else None


def _criteria(call: Call, type: str, params: tuple[tuple[str, str], ...]) -> tuple[Criterion, ...]:
    parsed = parse_query(type, params, now=call.ports.clock.now(), base_url=call.ports.deployment.fhir_url)
    if not parsed.query.criteria:
        raise BadRequest("a condition needs at least one search parameter, e.g. identifier=system|value")
    return parsed.query.criteria


async def _found(call: Call, query: SearchQuery, check: Check) -> list[StoredResource]:
    """At least two of the matches that may leave, when there are as many; the others are as if they were not there."""
    found: list[StoredResource] = []
    cursor: str | None = None
    while True:
        page = await call.ports.store.search(replace(query, cursor=cursor))
        found += [stored for stored in page.entries if may_leave(check, stored)]
        cursor = page.cursor
        if cursor is None or len(found) >= AT_MOST:
            return found
