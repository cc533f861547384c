"""Conditional interactions: the condition is resolved here, under a lock, with the caller's own narrowed search.

https://hl7.org/fhir/R4/http.html#ccreate
"""

from __future__ import annotations

import hashlib
from urllib.parse import parse_qsl

from fhir_facade.access.check import Deny
from fhir_facade.errors import BadRequest, Forbidden, PreconditionFailed
from fhir_facade.fhir.query import parse_query
from fhir_facade.interactions.call import Call, within
from fhir_facade.values import SearchQuery, StoredResource

AT_MOST = 2


def lock_name(type: str, condition: str) -> str:
    """The name of the lock that writers with the same condition share."""
    pairs = sorted(parse_qsl(condition, keep_blank_values=True))
    return "condition:" + hashlib.sha256(repr((type, pairs)).encode()).hexdigest()


async def matching(call: Call, type: str, condition: str) -> StoredResource | None:
    """The one resource that satisfies the condition, or None. PreconditionFailed for several."""
    params = tuple(parse_qsl(condition.removeprefix("?"), keep_blank_values=True))
    if not params:
        raise BadRequest("a condition needs at least one search parameter, e.g. identifier=system|value")
    parsed = parse_query(type, params, now=call.ports.clock.now(), base_url=call.ports.deployment.fhir_url)
    query = within(call, SearchQuery(type, parsed.query.criteria, count=AT_MOST))
    if isinstance(query, Deny):
        raise Forbidden(f"a condition on {type} needs the right to search it. {query.reason}")
    page = await call.ports.store.search(query)
    if len(page.entries) > 1:
        raise PreconditionFailed(f"{type}?{condition} has several matches: make the condition more exact")
    return page.entries[0] if page.entries else None
