"""Delete. https://hl7.org/fhir/R4/http.html#delete"""

from __future__ import annotations

from fhir_facade.errors import Issue
from fhir_facade.fhir.document import parse
from fhir_facade.fhir.outcome import operation_outcome
from fhir_facade.interactions.call import Call
from fhir_facade.interactions.read import visible
from fhir_facade.interactions.record import Draft, record
from fhir_facade.values import ExpectVersion, FhirResponse


async def delete(call: Call) -> FhirResponse:
    """200 with an OperationOutcome, also when it was deleted before. People get a 404 for what they cannot see."""
    request = call.request
    ref = call.ref
    expected = None if request.if_match is None else ExpectVersion(request.if_match)
    draft = Draft("delete", ref, request, call.allow, precondition=expected)
    if not call.sees_all:
        current = await visible(call, ref)
        seen = expected or ExpectVersion(current.version)
        draft = Draft("delete", ref, request, call.allow, before=parse(current.body), precondition=seen)
    (stored,) = await record(call, [draft])
    text = f"{ref} was deleted" if stored.change == "deleted" else f"{ref} was not there"
    outcome = operation_outcome([Issue("informational", text, severity="information")])
    deleted = stored if stored.change == "deleted" else None
    return FhirResponse(200, outcome, deleted, deleted.ref if deleted else None)
