"""Create and conditional create. https://hl7.org/fhir/R4/http.html#create"""

from __future__ import annotations

from fhir_facade.interactions.call import Call
from fhir_facade.interactions.conditions import lock_name, matching
from fhir_facade.interactions.record import Draft, draft_resource, record
from fhir_facade.values import FhirResponse, Ref


async def create(call: Call) -> FhirResponse:
    """201 with the new resource; 200 with the existing one when If-None-Exist has a match."""
    condition = call.request.if_none_exist
    if condition is None:
        return await _create(call, call.type)
    async with call.ports.locks.hold(lock_name(call.type, condition)):
        existing = await matching(call, call.type, condition)
        if existing is not None:
            return FhirResponse(200, existing.body, existing, existing.ref)
        return await _create(call, call.type)


async def _create(call: Call, type: str) -> FhirResponse:
    body, resource = draft_resource(call, call.request.body, type)
    ref = Ref(type, call.ports.ids.new())
    (stored,) = await record(call, [Draft("put", ref, call.request, call.allow, body, {**resource, "id": ref.id})])
    return FhirResponse(201, stored.body, stored, stored.ref)
