"""Conditional interactions: the condition is resolved here, under a lock, with the caller's own narrowed search.

https://hl7.org/fhir/R4/http.html#ccreate, https://hl7.org/fhir/R4/http.html#cond-update
"""

from __future__ import annotations

from collections.abc import Collection, Set
from dataclasses import replace
from urllib.parse import parse_qsl
from zlib import crc32

from fhir_facade.access.check import Check, Deny
from fhir_facade.errors import BadRequest, FacadeError, Forbidden, PreconditionFailed, TooLarge
from fhir_facade.fhir.query import NO_CODES, StoredCodes, parse_query
from fhir_facade.interactions.audit import patients_asked_about
from fhir_facade.interactions.call import Call, may_leave
from fhir_facade.interactions.stored_codes import stored_codes
from fhir_facade.interactions.within import within
from fhir_facade.values import Criterion, Ref, SearchQuery, StoredResource

Params = tuple[tuple[str, str], ...]

PAGE = 100
LOCKS = 1024
"""Conditions share so many locks: PostgreSQL has room for some thousands, and a transaction may hold many."""


def params_of(condition: str, type: str) -> Params:
    """The parameters of `If-None-Exist` or of a conditional reference; some clients send the type before them, or the
    whole address. BadRequest for another type."""
    head, mark, rest = condition.partition("?")
    if not mark or "=" in head:
        return tuple(parse_qsl(condition, keep_blank_values=True))
    named = head.rpartition("/")[2]
    if named not in ("", type):
        raise BadRequest(f"the condition is about {named}, and what is sent is a {type}: make them agree")
    return tuple(parse_qsl(rest, keep_blank_values=True))


def lock_names(type: str, params: Params) -> frozenset[str]:
    """The locks that writers share whose conditions can be about the same resource: those that name the same
    identifier, with its system or without, whatever else they ask; otherwise those that ask the same."""
    names = set(identifiers(params)) or {repr(sorted(params))}
    return frozenset(f"condition|{crc32(f'{type}|{name}'.encode()) % LOCKS}" for name in names)


def identifiers(params: Params) -> list[str]:
    """The values of the identifiers that a condition names, without their systems."""
    texts = [text for name, text in params if name == "identifier"]
    return [value.rpartition("|")[2] for text in texts for value in text.split(",")]


async def matching(
    call: Call, type: str, params: Params, *, besides: Collection[Ref] = frozenset()
) -> StoredResource | None:
    """The one resource that satisfies the condition, or None. PreconditionFailed for several. `besides` are not
    looked at."""
    found = await matches(call, type, params, at_most=2, besides=besides)
    if len(found) > 1:
        raise await about_whom(several(type), call, type, params)
    return found[0] if found else None


def several(type: str) -> PreconditionFailed:
    return PreconditionFailed(f"the condition on {type} has several matches: make it more exact")


async def all_matching(
    call: Call, type: str, params: Params, *, at_most: int, besides: Collection[Ref] = frozenset()
) -> list[StoredResource]:
    """Every resource that satisfies the condition. TooLarge for more than `at_most`."""
    found = await matches(call, type, params, at_most=at_most + 1, besides=besides)
    if len(found) > at_most:
        raise TooLarge(f"the condition on {type} has more than {at_most} matches: make it more exact")
    return found


async def matches(
    call: Call, type: str, params: Params, *, at_most: int, besides: Collection[Ref] = frozenset()
) -> list[StoredResource]:
    """The first `at_most` resources that satisfy the condition and may leave; the others are as if they were not
    there."""
    count = min(at_most + len(besides), PAGE)
    rights, stored = call.search_rights(type), await stored_codes(call, type, params)
    query = await within(call, SearchQuery(type, criteria_of(call, type, params, stored), count=count))
    if isinstance(rights, Deny):
        raise Forbidden(f"a condition on {type} needs the right to search it. {rights.reason}")
    if isinstance(query, Deny):
        raise Forbidden(f"this condition on {type} is not yours to ask. {query.reason}")
    return await _found(call, query, rights.check, at_most, besides)


def criteria_of(call: Call, type: str, params: Params, stored: StoredCodes = NO_CODES) -> tuple[Criterion, ...]:
    """What a condition demands. BadRequest for one without a search parameter: it would be about everything."""
    now, base_url = call.ports.clock.now(), call.ports.deployment.fhir_url
    parsed = parse_query(type, params, now=now, base_url=base_url, stored=stored)
    if not parsed.query.criteria:
        raise BadRequest("a condition needs at least one search parameter, e.g. identifier=system|value")
    return parsed.query.criteria


async def asked_about(call: Call, type: str, params: Params) -> Set[str]:
    """The patients whom a condition names."""
    return patients_asked_about(type, criteria_of(call, type, params, await stored_codes(call, type, params)))


async def about_whom(error: FacadeError, call: Call, type: str, params: Params) -> FacadeError:
    """The error, with the patients whom the condition names: how many matches it has was told about them."""
    return error.concerning(await asked_about(call, type, params))


async def _found(
    call: Call, query: SearchQuery, check: Check, at_most: int, besides: Collection[Ref]
) -> list[StoredResource]:
    found: list[StoredResource] = []
    while True:
        page = await call.ports.store.search(query)
        found += [stored for stored in page.entries if stored.ref not in besides and may_leave(check, stored)]
        if page.cursor is None or len(found) >= at_most:
            return found[:at_most]
        query = replace(query, cursor=page.cursor)
