"""Update, version-aware update, update-as-create and conditional update.

https://hl7.org/fhir/R4/http.html#update, https://hl7.org/fhir/R4/http.html#cond-update
"""

from __future__ import annotations

from fhir_facade.errors import BadRequest, Gone, NotFound, PreconditionFailed
from fhir_facade.fhir.document import parse_stored
from fhir_facade.fhir.references import ID
from fhir_facade.interactions.attempts import ATTEMPTS, attempted
from fhir_facade.interactions.call import Call
from fhir_facade.interactions.conditions import about_whom, lock_names, matching
from fhir_facade.interactions.record import LOCAL_ID_CHARACTERS, Draft, draft_resource, record
from fhir_facade.values import Absent, ExpectVersion, FhirResponse, JsonObject, Precondition, Ref, StoredResource

NOTHING = "0"
ANYTHING = "*"
NOTHING_TO_MATCH = "nothing matches, so there is no version to match"


async def update(call: Call) -> FhirResponse:
    """200, or 201 when the id was free and the caller may choose ids. The rights of people depend on the current
    resource, so theirs is a write on exactly that version, repeated when somebody was faster."""
    request = call.request
    body, resource = draft_resource(call, request.body, call.type)
    if request.id is None:
        return await _conditional(call, body, resource)
    ref = call.ref
    check_id(ref, resource)
    if call.sees_all:
        expected = await demanded(call)
        return await _put(call, Draft("put", ref, request, call.allow, body, resource, precondition=expected))
    return await attempted(call, lambda: _checked(call, ref, body, resource))


async def demanded(call: Call) -> Precondition | None:
    """What the request demands of what is there now. PreconditionFailed for `If-Match: *` when nothing is, and for
    `If-None-Match: *` when something is."""
    request = call.request
    if not request.must_exist and request.if_none_match != ANYTHING:
        return expectation(request.if_match)
    current = await _current(call, call.ref)
    if current is None and request.must_exist:
        raise PreconditionFailed(f"{call.ref} is not there, so it has no version to match")
    _refuse_anything(call, current)
    return Absent() if current is None else ExpectVersion(current.version)


def _refuse_anything(call: Call, current: StoredResource | None) -> None:
    if current is not None and call.request.if_none_match == ANYTHING:
        raise PreconditionFailed(f"{call.ref} is there, at version {current.version}: nothing was to be replaced")


def expectation(if_match: str | None) -> Precondition | None:
    """What `If-Match` demands. Version 0 is that of a resource that is not there, as HAPI reads it too: the only way
    in R4 to say "create it, and replace nothing"; 409 when it is there."""
    if if_match is None:
        return None
    return Absent() if if_match == NOTHING else ExpectVersion(if_match)


def check_id(ref: Ref, resource: JsonObject) -> None:
    """The id of the body must be that of the address. BadRequest."""
    if not ID.fullmatch(ref.id):
        raise BadRequest(f"'{ref.id}' is no id: {LOCAL_ID_CHARACTERS}")
    if resource.get("id") != ref.id:
        raise BadRequest(f"the body has the id {resource.get('id')!r}, the address {ref.id!r}: make them agree")


async def _conditional(call: Call, body: bytes, resource: JsonObject) -> FhirResponse:
    """One match is updated, in exactly the version that matched; no match creates."""
    params = call.request.params
    async with call.ports.locks.hold(*lock_names(call.type, params)):
        for attempt in range(ATTEMPTS):
            found = await matching(call, call.type, params)
            try:
                return await _put(call, conditional_draft(call, body, resource, found))
            except PreconditionFailed as error:
                if call.request.if_match is not None or attempt == ATTEMPTS - 1:
                    raise await about_whom(error, call, call.type, params) from None
    raise AssertionError("unreachable")


def conditional_draft(call: Call, body: bytes, resource: JsonObject, found: StoredResource | None) -> Draft:
    """The write that a conditional update comes to. BadRequest: the body has another id than the match. Without a
    match and without an id it is a create, and needs the right to; with an id of its own it replaces nothing."""
    request, own = call.request, resource.get("id")
    if found is not None and own not in (None, found.id):
        raise BadRequest(f"the body has the id {own!r}, what matches has {found.id!r}: make them agree or leave it out")
    if found is not None:
        expected = expectation(request.if_match) or ExpectVersion(found.version)
        changed = {**resource, "id": found.id}
        return Draft("put", found.ref, request, call.allow, body, changed, parse_stored(found.body), expected)
    if request.must_exist or request.if_match not in (None, NOTHING):
        raise PreconditionFailed(NOTHING_TO_MATCH)
    ref = Ref(call.type, call.ports.ids.new() if own is None else str(own))
    if own is None:
        return Draft("put", ref, request, call.create_rights(), body, {**resource, "id": ref.id}, precondition=Absent())
    check_id(ref, resource)
    return Draft("put", ref, request, call.allow, body, resource, precondition=Absent())


async def _checked(call: Call, ref: Ref, body: bytes, resource: JsonObject) -> FhirResponse:
    current = await _current(call, ref)
    before = None if current is None else parse_stored(current.body)
    if before is not None and call.allow.check.may_leave(before):
        _refuse_anything(call, current)
    draft = Draft("put", ref, call.request, call.allow, body, resource, before, _expected(call, current))
    return await _put(call, draft)


def _expected(call: Call, current: StoredResource | None) -> Precondition:
    """Exactly what was looked at: that version, or that nothing is there."""
    return expectation(call.request.if_match) or (Absent() if current is None else ExpectVersion(current.version))


async def _current(call: Call, ref: Ref) -> StoredResource | None:
    try:
        return await call.ports.store.read(ref)
    except (NotFound, Gone):
        return None


async def _put(call: Call, draft: Draft) -> FhirResponse:
    (stored,) = await record(call, [draft])
    return FhirResponse(201 if stored.change == "created" else 200, stored.body, stored, stored.ref)
