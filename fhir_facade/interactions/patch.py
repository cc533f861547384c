"""Patch and conditional patch: applied here, written as an update of exactly the version it was applied to.

https://hl7.org/fhir/R4/http.html#patch
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from functools import cache

from fhir_facade.errors import NotFound
from fhir_facade.fhir.document import parse
from fhir_facade.fhir.patch import apply_patch
from fhir_facade.interactions.attempts import attempted
from fhir_facade.interactions.call import Call
from fhir_facade.interactions.conditions import about_whom, matching
from fhir_facade.interactions.read import changeable
from fhir_facade.interactions.record import Draft, draft_resource, record
from fhir_facade.interactions.update import check_id
from fhir_facade.values import ExpectVersion, FhirRequest, FhirResponse, Ref


async def patch(call: Call) -> FhirResponse:
    """200, with the resource for those who may read it. Without If-Match a patch that met another writer is applied
    again to what is there now."""
    return await attempted(call, lambda: _patch(call))


async def _patch(call: Call) -> FhirResponse:
    request = call.request
    ref = call.ref if request.id else await matched(call)
    current = await changeable(call, ref)
    after = await patched(current.body, request, call.ports.clock.now())
    body, resource = draft_resource(call, after, call.type)
    check_id(ref, resource)
    expected = ExpectVersion(request.if_match or current.version)
    draft = Draft("put", ref, request, call.allow, body, resource, parse(current.body), expected)
    (stored,) = await record(call, [draft])
    return FhirResponse(200, stored.body if call.may_read(stored) else b"", stored, stored.ref)


async def patched(current: bytes, request: FhirRequest, now: datetime) -> bytes:
    """What the patch of a request makes of a resource at a time; others go on meanwhile. Errors as `apply_patch`."""
    loop, content_type = asyncio.get_running_loop(), request.content_type or ""
    return await loop.run_in_executor(_beside(os.getpid()), apply_patch, current, request.body, content_type, now)


@cache
def _beside(process: int) -> ThreadPoolExecutor:
    """One patch at a time: a thousand operations may take half a second of the interpreter, which several would share
    among themselves instead of with everybody else. Each process has its own, for a thread does not survive a fork."""
    return ThreadPoolExecutor(1, thread_name_prefix="patch")


async def matched(call: Call, *, besides: Collection[Ref] = frozenset()) -> Ref:
    """What the condition of a patch is about. NotFound for nothing, PreconditionFailed for several."""
    found = await matching(call, call.type, call.request.params, besides=besides)
    if found is None:
        nothing = NotFound(f"no {call.type} matches the condition: there is nothing to patch")
        raise await about_whom(nothing, call, call.type, call.request.params)
    return found.ref
