"""Read and vread. https://hl7.org/fhir/R4/http.html#read, https://hl7.org/fhir/R4/http.html#vread"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta

import msgspec

from fhir_facade.errors import Forbidden, Gone, NotFound
from fhir_facade.fhir.document import parse_stored
from fhir_facade.interactions.audit import audit_lines, patients_of, patients_of_stored, record_lines
from fhir_facade.interactions.call import Call
from fhir_facade.interactions.shape import shaped_for
from fhir_facade.values import FhirResponse, HistoryQuery, JsonObject, Ref, StoredResource

NOT_MODIFIED = 304


async def read(call: Call) -> FhirResponse:
    """The current version, or the one that is named. Foreign, absent and deleted-and-foreign answer the same 404."""
    request = call.request
    ref = call.ref if request.version is None else msgspec.structs.replace(call.ref, version=request.version)
    stored = await visible(call, ref)
    if request.version is not None and not call.sees_all:
        await _refuse_foreign_now(call, ref)
    about = patients_of_stored((stored,))
    await record_lines(call.ports, audit_lines(call.ports, call.principal, request, about, version=stored.version))
    if _not_modified(call, stored):
        return FhirResponse(NOT_MODIFIED, b"", stored)
    return FhirResponse(200, shaped_for(call, stored.body) if request.params else stored.body, stored)


async def visible(call: Call, ref: Ref) -> StoredResource:
    """The stored resource if this caller may see it; NotFound otherwise. Gone for whoever saw it before it went."""
    try:
        stored = await call.ports.store.read(ref)
    except (Gone, NotFound) as missing:
        shown = call.sees_all or await was_yours(call, ref)
        if shown and isinstance(missing, Gone):
            raise
        raise _absent(ref) from None
    if not call.sees_all:
        await _refuse_foreign(call, ref, parse_stored(stored.body))
    return stored


async def changeable(call: Call, ref: Ref) -> StoredResource:
    """What a change is applied to that depends on what is there, and so tells of it: that takes the right to read too.
    NotFound, Gone, Forbidden."""
    stored = await visible(call, ref)
    if not call.may_read(stored):
        lacking = f"This change depends on what is there: it needs a scope like {ref.type}.r too."
        raise Forbidden(lacking).concerning(patients_of(parse_stored(stored.body)))
    return stored


async def was_yours(call: Call, ref: Ref) -> bool:
    """Whether this caller may see the last content of a resource that was deleted."""
    last = next((version for version in await _last_versions(call, ref) if not version.deleted), None)
    return last is not None and call.allow.check.may_leave(parse_stored(last.body))


async def _refuse_foreign(call: Call, ref: Ref, resource: JsonObject) -> None:
    if not call.allow.check.may_leave(resource):
        await _last_versions(call, ref)  # as for what is absent: how long it takes would tell one from the other
        raise _absent(ref).concerning(patients_of(resource))


async def _last_versions(call: Call, ref: Ref) -> Sequence[StoredResource]:
    """The last two, or none of what never was."""
    with suppress(NotFound):
        return (await call.ports.store.history(HistoryQuery(ref.type, ref.id, count=2))).entries
    return ()


def _absent(ref: Ref) -> NotFound:
    return NotFound(f"{ref} is not there").concerning({ref.id} if ref.type == "Patient" else set())


async def _refuse_foreign_now(call: Call, version: Ref) -> None:
    """The version may have been the caller's; what it became may not be. Says the same as for no such version."""
    try:
        with suppress(Gone):  # it was the caller's to the end
            await visible(call, call.ref)
    except NotFound as refused:
        raise NotFound(f"{version} is not there").concerning(refused.about) from None


def _not_modified(call: Call, stored: StoredResource) -> bool:
    """Judged after access; times are compared by the second, as HTTP writes them."""
    if call.request.if_none_match is not None:
        return not {stored.version, "*"}.isdisjoint(call.request.if_none_match.split(","))
    since = call.request.if_modified_since
    return since is not None and stored.last_updated - timedelta(seconds=1) < since
