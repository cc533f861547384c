"""Read and vread. https://hl7.org/fhir/R4/http.html#read, https://hl7.org/fhir/R4/http.html#vread"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from fhir_facade.errors import Gone, NotFound
from fhir_facade.fhir.document import parse
from fhir_facade.interactions.audit import audit_line, patient_of, record_lines
from fhir_facade.interactions.call import Call
from fhir_facade.values import FhirResponse, Ref, StoredResource

NOT_MODIFIED = 304


async def read(call: Call) -> FhirResponse:
    """The current version, or the one that is named. Foreign, absent and deleted-and-foreign answer the same 404."""
    request = call.request
    ref = replace(call.ref, version=request.version)
    stored = await visible(call, ref)
    if request.version is not None and not call.sees_all:
        await visible(call, call.ref)
    patient = patient_of(parse(stored.body))
    line = audit_line(call.ports, call.principal, request, version=stored.version, patient=patient)
    await record_lines(call.ports, [line])
    if _not_modified(call, stored):
        return FhirResponse(NOT_MODIFIED, b"", stored)
    return FhirResponse(200, stored.body, stored)


async def visible(call: Call, ref: Ref) -> StoredResource:
    """The stored resource if this caller may see it; NotFound otherwise. Gone only where nothing could be hidden."""
    absent = NotFound(f"{ref} is not there")
    try:
        stored = await call.ports.store.read(ref)
    except Gone:
        if call.sees_all:
            raise
        raise absent from None
    except NotFound:
        raise absent from None
    if not call.sees_all and not call.allow.check.may_leave(parse(stored.body)):
        raise absent
    return stored


def _not_modified(call: Call, stored: StoredResource) -> bool:
    """Judged after access; times are compared by the second, as HTTP writes them."""
    if call.request.if_none_match is not None:
        return call.request.if_none_match in (stored.version, "*")
    since = call.request.if_modified_since
    return since is not None and stored.last_updated < since + timedelta(seconds=1)
