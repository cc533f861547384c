"""What all writes share: validation, access on the old and the new resource, consequences, audit, one unit of work."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence, Set
from dataclasses import dataclass
from typing import Literal

import msgspec

from fhir_facade.access.care import changes_care
from fhir_facade.access.check import Deny
from fhir_facade.access.compartment import TypeClass, type_rules
from fhir_facade.access.owners import PatientReference, owners, patient_references
from fhir_facade.access.policy import Allow
from fhir_facade.errors import (
    BadRequest,
    Conflict,
    DanglingReference,
    FacadeError,
    Forbidden,
    Gone,
    InvalidResource,
    NotFound,
    PreconditionFailed,
)
from fhir_facade.fhir.document import parse, with_references
from fhir_facade.fhir.references import parse_reference, reference_texts, relative_to
from fhir_facade.fhir.validation import validate
from fhir_facade.interactions.alerts.stored import currents
from fhir_facade.interactions.audit import audit_lines, patients_of
from fhir_facade.interactions.call import Call, sees_all
from fhir_facade.interactions.circle import MADE_OF, TOPIC, reached_in_emergency_only
from fhir_facade.interactions.consequences import WATCHED, Changed, Concerned, concerned, consequences, moved
from fhir_facade.interactions.naming import mark
from fhir_facade.interactions.turns import in_turns
from fhir_facade.rows import Append, RowChange
from fhir_facade.rows.audit import AuditLine
from fhir_facade.values import (
    ExpectVersion,
    FhirRequest,
    Interaction,
    JsonObject,
    Precondition,
    Ref,
    StoredResource,
    Write,
)

GUARD_ATTEMPTS = 20
LOCAL_ID_CHARACTERS = "letters, digits, '-' and '.', at most 64"


@dataclass(frozen=True, slots=True)
class Draft:
    """A write that was asked for. `before` is the current resource when the caller's rights depend on it."""

    kind: Literal["put", "delete"]
    ref: Ref
    request: FhirRequest
    allow: Allow
    body: bytes = b""
    resource: JsonObject | None = None
    before: JsonObject | None = None
    precondition: Precondition | None = None


def draft_resource(call: Call, body: bytes, type: str) -> tuple[bytes, JsonObject]:
    """The body parsed, of the right type, with references to our own base made relative. BadRequest."""
    resource = parse(body)
    if resource["resourceType"] != type:
        raise BadRequest(f"the body is of type {resource['resourceType']}, the address says {type}: make them agree")
    base = call.ports.deployment.fhir_url
    if base.encode() in body:
        own = {text: relative_to(base, text) for text in reference_texts(resource, body) if text.startswith(base)}
        body = with_references(body, own)
        resource = parse(body)
    return body, resource


async def record(call: Call, drafts: Sequence[Draft]) -> Sequence[StoredResource]:
    """Commit the drafts with everything that follows from them, or nothing. Answers in the order of the drafts."""
    async for draft in in_turns(drafts):
        _check(call, draft)
        _refuse_unseen(draft)
    await _refuse_entrenching(call, drafts)
    await _refuse_unreachable(call, drafts)
    drafts = await _with_what_goes(call, drafts)
    writes = [_write(draft) for draft in drafts]
    await mark(call.ports, [draft.resource for draft in drafts if draft.resource is not None])
    try:
        stored = await _commit(call, drafts, writes)
    except FacadeError as error:
        told = _without_what_refers(drafts, error)
        told.about = _patients_of_all(drafts)
        raise told from told.__cause__
    if any(draft.ref.type in MADE_OF for draft in drafts):
        call.ports.memory.forget(TOPIC)
    return stored


def _check(call: Call, draft: Draft) -> None:
    """What is hidden is refused first: whether the new content is valid would tell that there is something."""
    free = sees_all(draft.allow.check)
    if not free:
        _refuse(draft, draft.allow.check.may_write(draft.before, None))
    if draft.resource is not None:
        issues = validate(dict(draft.resource), type=draft.ref.type)
        errors = [issue for issue in issues if issue.severity in ("error", "fatal")]
        if errors:
            about = patients_of(draft.before or draft.resource)
            raise InvalidResource(errors[0].diagnostics, issues=issues).concerning(about)
        _refuse_conditions(draft)
        if not free:
            _refuse(draft, draft.allow.check.may_write(draft.before, draft.resource))


def _refuse_unseen(draft: Draft) -> None:
    """What was looked at is what is written over: an `If-Match` of a version that is still to come would otherwise be
    met by one that nobody looked at."""
    seen = (draft.before or {}).get("meta", {}).get("versionId")
    expected = draft.precondition
    if seen is not None and isinstance(expected, ExpectVersion) and expected.version != seen:
        stale = f"{draft.ref} is at version {seen}, not {expected.version}: look at it again"
        raise PreconditionFailed(stale).concerning(_patients_of_all([draft]))


def _refuse_conditions(draft: Draft) -> None:
    """Conditional references are resolved in a transaction, with the caller's own search; a store that was given one
    would search as itself. Escapes may hide the question mark."""
    if b"?" not in draft.body and b"\\u" not in draft.body:
        return
    for text in reference_texts(draft.resource or {}):
        if parse_reference(text).kind == "conditional":
            raise BadRequest(f"the reference {text} is conditional: send it in a transaction, where it is resolved")


def _refuse(draft: Draft, refusal: Deny | None) -> None:
    if refusal is None:
        return
    hidden = refusal.kind == "hidden"
    # What was sent counts for nothing where the record is hidden: else the log of whoever sent it tells an id that is
    # free from a foreign one.
    about = patients_of(draft.before or ({} if hidden else draft.resource) or {})
    if hidden:
        raise NotFound(f"{draft.ref} is not there").concerning(about)
    raise Forbidden(refusal.reason).concerning(about)


async def _refuse_entrenching(call: Call, drafts: Sequence[Draft]) -> None:
    """Care in an emergency ends by itself, so it may not be made into care that lasts, for oneself or for others."""
    if call.principal.kind != "practitioner":
        return
    changing = (draft for draft in drafts if changes_care(draft.before, draft.resource))
    about = {patient for draft in changing for patient in patients_of(draft.resource or draft.before or {})}
    if about and await reached_in_emergency_only(call.ports, call.principal, about):
        raise Forbidden("Who cares for a patient cannot be changed by emergency access: it ends by itself.")


async def _refuse_unreachable(call: Call, drafts: Sequence[Draft]) -> None:
    """References of people to records they may not see answer like references to nothing."""
    bound = [draft for draft in drafts if not sees_all(draft.allow.check)]
    own = {str(draft.ref) for draft in drafts} if bound else set()
    for draft in bound:
        for text in dict.fromkeys(reference_texts(draft.resource or {})):
            if text not in own and not await _reachable(call, draft, text):
                dangling = f"{draft.ref} refers to {text}, which is not there: correct the reference"
                raise DanglingReference(dangling).concerning(_patients_of_all([draft]))


async def _reachable(call: Call, draft: Draft, text: str) -> bool:
    """A person's record may refer to records about the same patient and to what is about nobody. Patients themselves
    were judged with the record."""
    reference = parse_reference(text)
    if reference.kind != "relative" or reference.type is None or reference.id is None or reference.type == "Patient":
        return True
    try:
        target = parse((await call.ports.store.read(Ref(reference.type, reference.id))).body)
    except (NotFound, Gone):
        return False
    return _same_people(target, owners(draft.resource or {}), type_rules()[reference.type].type_class)


def _same_people(target: JsonObject, patients: frozenset[PatientReference], type_class: TypeClass) -> bool:
    if type_class in ("person", "personal"):
        about = owners(target)
        return bool(about) and about <= patients
    return type_class != "closed" and patient_references(target) <= patients


async def _with_what_goes(call: Call, drafts: Sequence[Draft]) -> Sequence[Draft]:
    """Whoever sees everything deletes without a look, yet the audit has to tell the patient whose record went. A
    Patient names itself, and what is about nobody needs no look."""
    unseen = {draft.ref for draft in drafts if draft.kind == "delete" and draft.before is None}
    unseen = {ref for ref in unseen if type_rules()[ref.type].paths}
    if not unseen:
        return drafts
    going = {ref: parse(stored.body) for ref, stored in (await currents(call.ports, unseen)).items()}
    return [dataclasses.replace(each, before=going[each.ref]) if each.ref in going else each for each in drafts]


def _write(draft: Draft) -> Write:
    return Write(draft.kind, draft.ref, draft.body, draft.resource or {}, draft.precondition)


async def _commit(call: Call, drafts: Sequence[Draft], writes: Sequence[Write]) -> Sequence[StoredResource]:
    rows: list[RowChange] = [*call.rows]
    async for draft in in_turns(drafts):
        rows += [Append(line) for line in _lines(call, draft)]
    concern = await concerned(call.ports, [_changed(draft) for draft in drafts if draft.ref.type in WATCHED])
    if concern is None:
        return await call.ports.unit.commit(writes, rows)
    async with call.ports.locks.hold(*concern.locks):
        return await _commit_with_alerts(call, concern, writes, rows)


async def _commit_with_alerts(
    call: Call, concern: Concerned, writes: Sequence[Write], rows: Sequence[RowChange]
) -> Sequence[StoredResource]:
    """Alerts are judged on what is stored now; when that moved meanwhile, they are judged again."""
    own = frozenset(write.ref for write in writes)
    for attempt in range(GUARD_ATTEMPTS):
        following = await consequences(call.ports, call.request, concern, own)
        try:
            stored = await call.ports.unit.commit([*writes, *following.writes], [*rows, *following.rows])
        except (PreconditionFailed, Conflict):
            if attempt == GUARD_ATTEMPTS - 1 or not await moved(call.ports, following):
                raise
            continue
        if following.events:
            call.ports.streams.announce("event")
        return stored[: len(writes)]
    raise AssertionError("unreachable")


def _without_what_refers(drafts: Sequence[Draft], error: FacadeError) -> FacadeError:
    """A store names what refers to a deleted resource, which people may not be allowed to know of."""
    bound = (draft for draft in drafts if draft.kind == "delete" and not sees_all(draft.allow.check))
    going = next(bound, None)
    if going is None or not isinstance(error, Conflict):
        return error
    told = Conflict(f"{going.ref} cannot be deleted now: something refers to it, or changed it")
    told.__cause__ = error
    return told


def _patients_of_all(drafts: Sequence[Draft]) -> Set[str]:
    """Whom the audit names when all of them were refused."""
    return {patient for draft in drafts for patient in _patients(draft)}


def _changed(draft: Draft) -> Changed:
    fresh = draft.request.interaction is Interaction.CREATE
    return Changed(draft.ref, draft.before, draft.resource, draft.body, fresh)


def _lines(call: Call, draft: Draft) -> list[AuditLine]:
    return audit_lines(call.ports, call.principal, draft.request, _patients(draft), entity=str(draft.ref))


def _patients(draft: Draft) -> Set[str]:
    content = draft.resource or draft.before or {}
    return patients_of({**content, "resourceType": draft.ref.type, "id": draft.ref.id})


def with_request(call: Call, request: FhirRequest) -> Call:
    return msgspec.structs.replace(call, request=request)
