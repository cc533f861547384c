"""Delete and conditional delete. https://hl7.org/fhir/R4/http.html#delete, https://hl7.org/fhir/R4/http.html#3.1.0.7.1"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from fhir_facade.errors import PreconditionFailed
from fhir_facade.fhir.document import parse_stored
from fhir_facade.fhir.outcome import informational
from fhir_facade.interactions.audit import audit_lines, record_lines
from fhir_facade.interactions.call import Call
from fhir_facade.interactions.conditions import about_whom, all_matching, asked_about, lock_names, matching
from fhir_facade.interactions.read import visible
from fhir_facade.interactions.record import Draft, record
from fhir_facade.interactions.update import NOTHING_TO_MATCH, demanded
from fhir_facade.values import ExpectVersion, FhirResponse, Ref, StoredResource


async def delete(call: Call) -> FhirResponse:
    """200 with an OperationOutcome, also when it was deleted before. People get a 404 for what they cannot see."""
    if call.request.id is None:
        return await _conditional(call)
    if call.sees_all:
        draft = Draft("delete", call.ref, call.request, call.allow, precondition=await demanded(call))
    else:
        draft = deletion(call, await visible(call, call.ref))
    (stored,) = await record(call, [draft])
    return _answer([stored], f"{call.ref} was not there")


def deletion(call: Call, found: StoredResource) -> Draft:
    """The deletion of exactly the version that was looked at."""
    seen = ExpectVersion(call.request.if_match or found.version)
    return Draft("delete", found.ref, call.request, call.allow, before=parse_stored(found.body), precondition=seen)


async def _conditional(call: Call) -> FhirResponse:
    """Everything that matches goes in one transaction, where the deployment lets more than one go."""
    async with call.ports.locks.hold(*lock_names(call.type, call.request.params)):
        found = await condemned(call)
        stored = await record(call, [deletion(call, each) for each in found]) if found else []
        if not found:
            await nothing_to_delete(call)
    return _answer(stored, f"no {call.type} matches the condition: nothing was deleted")


async def nothing_to_delete(call: Call) -> None:
    """The line of a condition that has no match: that there is nothing was told about those whom it names."""
    about = await asked_about(call, call.type, call.request.params)
    await record_lines(call.ports, audit_lines(call.ports, call.principal, call.request, about, detail="no match"))


async def condemned(call: Call, *, besides: Collection[Ref] = frozenset()) -> Sequence[StoredResource]:
    """What a conditional delete is about. PreconditionFailed for several, unless the deployment takes them, and for
    none when it is to have a version; those that the caller may find but not delete are refused with the rest."""
    found, request = await _found(call, besides), call.request
    if not found and (request.if_match is not None or request.must_exist):
        raise await about_whom(PreconditionFailed(NOTHING_TO_MATCH), call, call.type, request.params)
    return found


async def _found(call: Call, besides: Collection[Ref]) -> Sequence[StoredResource]:
    deployment = call.ports.deployment
    if not deployment.conditional_delete_many:
        found = await matching(call, call.type, call.request.params, besides=besides)
        return [] if found is None else [found]
    most = deployment.max_transaction_entries
    several = await all_matching(call, call.type, call.request.params, at_most=most, besides=besides)
    if len(several) > 1 and call.request.if_match is not None:
        raise PreconditionFailed("If-Match is about one resource, the condition has several matches")
    return several


def _answer(stored: Sequence[StoredResource], otherwise: str) -> FhirResponse:
    deleted = [each for each in stored if each.change == "deleted"]
    only = deleted[0] if len(deleted) == 1 else None
    many = f"{len(deleted)} resources were deleted" if deleted else otherwise
    text = many if only is None else f"{only.ref} was deleted"
    return FhirResponse(200, informational(text), only, only.ref if only else None)
