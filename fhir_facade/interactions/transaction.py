"""Transaction: all entries or none. https://hl7.org/fhir/R4/http.html#trules

Conditions and references are resolved before anything is written, in the order of R4; the locks of the conditions are
kept until everything is committed. Reads come after the writes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence

from fhir_facade.errors import BadRequest, Conflict, FacadeError, InvalidResource, Issue
from fhir_facade.fhir.bundle import Answered, parse_bundle
from fhir_facade.fhir.validation import validate
from fhir_facade.interactions.answers import Room, answer, bundled, name_entry, refuse_large, refused
from fhir_facade.interactions.call import Call
from fhir_facade.interactions.create import found_instead
from fhir_facade.interactions.delete import nothing_to_delete
from fhir_facade.interactions.entries import Asked, Planned, admit, locks_of, plan
from fhir_facade.interactions.links import linked
from fhir_facade.interactions.operations import operation_written
from fhir_facade.interactions.record import Draft, record
from fhir_facade.interactions.turns import in_turns
from fhir_facade.values import FhirResponse, Interaction, StoredResource

Written = Mapping[int, Sequence[StoredResource]]


async def transaction(call: Call) -> FhirResponse:
    """200 with a transaction-response. An error names its entry; nothing is written then."""
    deployment = call.ports.deployment
    refuse_large(call.request.body, deployment.max_transaction_bytes)
    bundle = parse_bundle(call.request.body, max_entries=deployment.max_transaction_entries)
    entries = [await admit(call, position, entry) async for position, entry in in_turns(enumerate(bundle.entries))]
    async with call.ports.locks.hold(*locks_of(entries)):
        planned = await plan(entries)
        _refuse_repeats(planned)
        written = await _write(call, await linked(planned))
    plans = {one.asked.position: one for one in planned}
    room = Room(deployment.max_batch_bytes)
    answers = [
        room.take(await _answer(asked, plans.get(asked.position), written, room)) async for asked in in_turns(entries)
    ]
    return await bundled(call, "transaction-response", _each(answers))


async def _each(answers: list[Answered]) -> AsyncIterator[Answered]:
    """None of them is kept once it was given away."""
    answers.reverse()
    while answers:
        yield answers.pop()


def _refuse_repeats(planned: Sequence[Planned]) -> None:
    """No resource twice, also not by way of a condition, and no full URL twice."""
    refs = [draft.ref for one in planned for draft in one.drafts]
    urls = [one.asked.entry.full_url for one in planned if one.asked.entry.full_url]
    for found in (refs, urls):
        repeated = [value for value, times in Counter(found).items() if times > 1]
        if repeated:
            raise BadRequest(f"{repeated[0]} appears twice in this transaction: each resource may be there once")


async def _write(call: Call, planned: Sequence[Planned]) -> Written:
    """What was stored, by the position of its entry."""
    drafts = [(one.asked.position, draft) for one in planned for draft in one.drafts]
    stored = await _recorded(call, drafts) if drafts else []
    written: dict[int, list[StoredResource]] = {}
    for (position, _), result in zip(drafts, stored, strict=True):
        written.setdefault(position, []).append(result)
    return written


async def _recorded(call: Call, drafts: Sequence[tuple[int, Draft]]) -> Sequence[StoredResource]:
    try:
        return await record(call, [draft for _, draft in drafts])
    except InvalidResource as error:
        found = (position for position, draft in drafts if _issues(draft) == error.issues)
        name_entry(error, next(found, None))
        raise


def _issues(draft: Draft) -> tuple[Issue, ...]:
    return () if draft.resource is None else tuple(validate(dict(draft.resource), type=draft.ref.type))


async def _answer(asked: Asked, plan: Planned | None, written: Written, room: Room) -> Answered:
    if plan is not None:
        return answer(asked.call, await _respond(asked, plan, written))
    return room.refusal(asked.interaction) or await _read(asked)


async def _read(asked: Asked) -> Answered:
    """One that fails says so in its own entry: what was written is written."""
    from fhir_facade.interactions.dispatch import dispatch

    try:
        found = await dispatch(asked.call.ports, asked.call.principal, asked.call.request)
    except FacadeError as error:
        return refused(error)
    return answer(asked.call, found)


async def _respond(asked: Asked, plan: Planned, written: Written) -> FhirResponse:
    position = asked.position if plan.twin is None else plan.twin
    stored = written.get(position, ())
    existing = plan.existing or (stored[0] if plan.twin is not None and stored else None)
    if existing is not None:
        return await found_instead(asked.call, existing)
    if asked.interaction is Interaction.DELETE:
        deleted = [each for each in stored if each.change == "deleted"]
        only = deleted[0] if len(deleted) == 1 else None
        if not stored:
            await nothing_to_delete(asked.call)
        return FhirResponse(204, b"", only, only.ref if only else None)
    if not stored:
        raise Conflict(f"entry {asked.position} was not written")
    (one,) = stored
    if asked.interaction is Interaction.OPERATION:
        return operation_written(asked.call, one)
    shown = asked.interaction is not Interaction.PATCH or asked.call.may_read(one)
    return FhirResponse(201 if one.change == "created" else 200, one.body if shown else b"", one, one.ref)
