"""Create and conditional create. https://hl7.org/fhir/R4/http.html#create"""

from __future__ import annotations

from fhir_facade.interactions.audit import audit_lines, patients_of_stored, record_lines
from fhir_facade.interactions.call import Call
from fhir_facade.interactions.conditions import Params, lock_names, matching, params_of
from fhir_facade.interactions.record import Draft, draft_resource, record
from fhir_facade.values import Absent, FhirRequest, FhirResponse, Ref, StoredResource


async def create(call: Call) -> FhirResponse:
    """201 with the new resource; 200 with the existing one when its condition has a match."""
    condition = condition_of(call.request)
    if condition is None:
        return await _create(call, call.type)
    async with call.ports.locks.hold(*lock_names(call.type, condition)):
        existing = await matching(call, call.type, condition)
        if existing is not None:
            return await found_instead(call, existing)
        return await _create(call, call.type)


def condition_of(request: FhirRequest) -> Params | None:
    """What a create must not find: `If-None-Exist`, or the parameters of its address, as some clients send them."""
    if request.if_none_exist is not None:
        return params_of(request.if_none_exist, request.type or "")
    return request.params or None


async def found_instead(call: Call, existing: StoredResource) -> FhirResponse:
    """The answer of a conditional create that had a match: a read of what is there, and audited as such."""
    lines = audit_lines(
        call.ports,
        call.principal,
        call.request,
        patients_of_stored((existing,)),
        entity=str(existing.ref),
        version=existing.version,
        detail="found instead of created",
    )
    await record_lines(call.ports, lines)
    return FhirResponse(200, existing.body, existing, existing.ref)


async def _create(call: Call, type: str) -> FhirResponse:
    body, resource = draft_resource(call, call.request.body, type)
    ref = Ref(type, call.ports.ids.new())
    draft = Draft("put", ref, call.request, call.allow, body, {**resource, "id": ref.id}, precondition=Absent())
    (stored,) = await record(call, [draft])
    return FhirResponse(201, stored.body, stored, stored.ref)
