"""Transaction: all entries or none. https://hl7.org/fhir/R4/http.html#transaction

References between entries (`urn:uuid:…`, other full URLs) and conditional references are resolved before anything is
written; conditional creates keep their locks until everything is committed.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fhir_facade.access.check import Deny
from fhir_facade.access.policy import Ask, decide
from fhir_facade.errors import BadRequest, Conflict, FacadeError, MethodNotAllowed, NotFound
from fhir_facade.fhir.bundle import Answered, BundleEntry, parse_bundle, response_bundle
from fhir_facade.fhir.document import parse, with_references
from fhir_facade.fhir.patch import apply_patch
from fhir_facade.fhir.references import parse_reference, reference_texts, references_in
from fhir_facade.fhir.routes import Route
from fhir_facade.interactions.answers import Room, answer, entry_request, refused
from fhir_facade.interactions.call import Call
from fhir_facade.interactions.conditions import lock_names, matching, params_of
from fhir_facade.interactions.create import found_instead
from fhir_facade.interactions.read import visible
from fhir_facade.interactions.record import Draft, draft_resource, record
from fhir_facade.interactions.update import check_id, expectation
from fhir_facade.values import ExpectVersion, FhirResponse, Interaction, JsonObject, Ref, StoredResource

BREATHE_EVERY = 25  # entries prepared before other requests get their turn


@dataclass(frozen=True, slots=True)
class _Planned:
    """One entry with its place, its rights, and the id it will have. `existing` answers a conditional create."""

    position: int
    entry: BundleEntry
    route: Route
    call: Call
    ref: Ref | None
    existing: StoredResource | None = None


async def transaction(call: Call) -> FhirResponse:
    """200 with a transaction-response. An error names its entry; nothing is written then."""
    bundle = parse_bundle(call.request.body, max_entries=call.ports.deployment.max_transaction_entries)
    entries = [_admit(call, i, entry) for i, entry in enumerate(bundle.entries)]
    conditions = [(p.route.type or "", params_of(p.entry.if_none_exist)) for p in entries if p.entry.if_none_exist]
    locks = {name for type_, params in conditions for name in lock_names(type_, params)}
    async with call.ports.locks.hold(*locks):
        planned = [await _identify(call, item) for item in entries]
        _refuse_repeats(planned)
        drafts = await _drafts(call, planned)
        stored = await record(call, [draft for _, draft in drafts]) if drafts else []
    written = {position: result for (position, _), result in zip(drafts, stored, strict=True)}
    room = Room(call.ports.deployment.max_batch_bytes)
    answers = [room.take(await _answer(p, written.get(p.position), room)) for p in planned]
    return FhirResponse(200, response_bundle("transaction-response", answers, id=call.ports.ids.new()))


def _admit(call: Call, position: int, entry: BundleEntry) -> _Planned:
    request, route = entry_request(call, entry, position)
    if request.interaction not in _READS | _WRITES:
        raise BadRequest(f"entry {position}: {request.interaction.value} is not possible inside a transaction")
    if request.interaction in _WRITES - {Interaction.CREATE} and request.id is None:
        raise MethodNotAllowed(f"entry {position}: conditional {request.interaction.value} is not available here")
    ask = Ask(request.interaction, request.type, request.id, circle=call.circle)
    decision = decide(call.principal, ask)
    if isinstance(decision, Deny):
        from fhir_facade.interactions.dispatch import refusal

        raise refusal(decision, request)
    own = dataclasses.replace(call, request=request, allow=decision)
    return _Planned(position, entry, route, own, Ref(request.type or "", request.id) if request.id else None)


_READS = frozenset((Interaction.READ, Interaction.VREAD, Interaction.SEARCH_TYPE))
_WRITES = frozenset((Interaction.CREATE, Interaction.UPDATE, Interaction.PATCH, Interaction.DELETE))


async def _identify(call: Call, item: _Planned) -> _Planned:
    if item.call.request.interaction is not Interaction.CREATE:
        return item
    assert item.route.type is not None
    if item.entry.if_none_exist:
        existing = await matching(item.call, item.route.type, params_of(item.entry.if_none_exist))
        if existing is not None:
            return dataclasses.replace(item, ref=existing.ref, existing=existing)
    return dataclasses.replace(item, ref=Ref(item.route.type, call.ports.ids.new()))


def _refuse_repeats(planned: Sequence[_Planned]) -> None:
    """https://hl7.org/fhir/R4/http.html#trules: no resource twice, no full URL twice."""
    refs = [p.ref for p in planned if p.call.request.interaction in _WRITES and p.existing is None]
    urls = [p.entry.full_url for p in planned if p.entry.full_url and p.call.request.interaction in _WRITES]
    for found in (refs, urls):
        repeated = [value for value, times in Counter(found).items() if times > 1]
        if repeated:
            raise BadRequest(f"{repeated[0]} appears twice in this transaction: each resource may be there once")


async def _drafts(call: Call, planned: Sequence[_Planned]) -> list[tuple[int, Draft]]:
    known = {p.entry.full_url: str(p.ref) for p in planned if p.entry.full_url and p.ref}
    conditional: dict[str, str] = {}
    drafts: list[tuple[int, Draft]] = []
    for item in planned:
        if item.call.request.interaction in _WRITES and item.existing is None:
            try:
                drafts.append((item.position, await _draft(item, known, conditional)))
            except FacadeError as error:
                error.add_note(f"entry {item.position}")
                raise
        if item.position % BREATHE_EVERY == BREATHE_EVERY - 1:
            await asyncio.sleep(0)
    return drafts


async def _draft(item: _Planned, known: Mapping[str, str], conditional: dict[str, str]) -> Draft:
    ref, request = item.ref, item.call.request
    assert ref is not None
    expected = expectation(request.if_match)
    current = None if item.call.sees_all else await _current(item, ref)
    before = None if current is None else parse(current.body)
    if current is not None and expected is None:
        expected = ExpectVersion(current.version)
    if request.interaction is Interaction.DELETE:
        return Draft("delete", ref, request, item.call.allow, before=before, precondition=expected)
    raw = item.entry.resource
    if request.interaction is Interaction.PATCH:
        current = current or await visible(item.call, ref)
        expected = expected or ExpectVersion(current.version)
        patch, content_type = _patch_of(item, raw)
        raw = apply_patch(current.body, patch, content_type)
    if not raw:
        raise BadRequest(f"entry {item.position} has no resource")
    body, resource = draft_resource(item.call, raw, ref.type)
    if request.interaction is not Interaction.CREATE:
        check_id(ref, resource)
    replace = await _references(item, body, resource, known, conditional)
    if replace:
        body = with_references(body, replace)
        resource = parse(body)
    return Draft("put", ref, request, item.call.allow, body, {**resource, "id": ref.id}, before, expected)


def _patch_of(item: _Planned, raw: bytes) -> tuple[bytes, str]:
    """The patch and its content type: carried by a Binary, or a Parameters resource that is a FHIRPath patch.

    https://hl7.org/fhir/R4/http.html#trules
    """
    resource = parse(raw)
    if resource["resourceType"] != "Binary":
        return raw, "application/fhir+json"
    try:
        return base64.b64decode(resource.get("data", ""), validate=True), str(resource.get("contentType", ""))
    except binascii.Error as error:
        raise BadRequest(f"entry {item.position}: Binary.data is not base64") from error


async def _current(item: _Planned, ref: Ref) -> StoredResource | None:
    """The current resource of a write by a person: what they cannot see they cannot change."""
    if item.call.request.interaction is Interaction.CREATE:
        return None
    return await visible(item.call, ref)


async def _references(
    item: _Planned, body: bytes, resource: JsonObject, known: Mapping[str, str], conditional: dict[str, str]
) -> dict[str, str]:
    replace: dict[str, str] = {}
    for text in reference_texts(resource, body):
        if text in known:
            replace[text] = known[text]
        elif text.startswith("urn:"):
            path = next(path for path, found in references_in(resource) if found == text)
            raise BadRequest(f"entry {item.position}: no entry has the fullUrl {text}", expression=path)
        elif "?" in text:
            if text not in conditional:
                conditional[text] = await _resolve(item, text)
            replace[text] = conditional[text]
    return replace


async def _resolve(item: _Planned, text: str) -> str:
    reference = parse_reference(text)
    if reference.kind != "conditional" or reference.type is None or reference.query is None:
        raise BadRequest(f"entry {item.position}: '{text}' is no reference")
    found = await matching(item.call, reference.type, params_of(reference.query))
    if found is None:
        raise NotFound(f"entry {item.position}: nothing matches the reference {text}")
    return str(found.ref)


async def _answer(item: _Planned, stored: StoredResource | None, room: Room) -> Answered:
    if item.call.request.interaction in _WRITES:
        return answer(item.call, item.entry, await _respond(item, stored))
    return room.refusal(item.call.request.interaction) or await _read(item)


async def _read(item: _Planned) -> Answered:
    """Reads come after the writes. One that fails says so in its own entry: what was written is written."""
    from fhir_facade.interactions.dispatch import dispatch

    try:
        found = await dispatch(item.call.ports, item.call.principal, item.call.request)
    except FacadeError as error:
        return refused(error)
    return answer(item.call, item.entry, found)


async def _respond(item: _Planned, stored: StoredResource | None) -> FhirResponse:
    if item.existing is not None:
        return await found_instead(item.call, item.existing)
    if stored is None:
        raise Conflict(f"entry {item.position} was not written")
    if stored.deleted:
        deleted = stored if stored.change == "deleted" else None
        return FhirResponse(204, b"", deleted, deleted.ref if deleted else None)
    shown = item.call.request.interaction is not Interaction.PATCH or item.call.may_read(stored)
    body = stored.body if shown else b""
    return FhirResponse(201 if stored.change == "created" else 200, body, stored, stored.ref)
