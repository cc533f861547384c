"""What each entry of a transaction comes to: its rights, what its condition finds, and the writes it asks for.

https://hl7.org/fhir/R4/http.html#trules
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import dataclasses
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Final

from fhir_facade.access.check import Deny
from fhir_facade.access.policy import decide
from fhir_facade.errors import BadRequest, FacadeError
from fhir_facade.fhir.bundle import BundleEntry
from fhir_facade.fhir.document import parse
from fhir_facade.fhir.patch import apply_patch
from fhir_facade.interactions.answers import entry_request
from fhir_facade.interactions.call import Call, ask_of
from fhir_facade.interactions.conditions import Params, lock_names, matching, params_of
from fhir_facade.interactions.delete import condemned, deletion
from fhir_facade.interactions.patch import matched
from fhir_facade.interactions.read import visible
from fhir_facade.interactions.record import Draft, draft_resource
from fhir_facade.interactions.update import check_id, conditional_draft, expectation
from fhir_facade.values import ExpectVersion, Interaction, Ref, StoredResource

BREATHE_EVERY: Final = 25  # entries prepared before other requests get their turn
IN_ORDER: Final = (Interaction.DELETE, Interaction.CREATE, Interaction.UPDATE, Interaction.PATCH)
"""Writes in the order in which R4 has them processed."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One entry with its place and its rights."""

    position: int
    entry: BundleEntry
    call: Call

    @property
    def interaction(self) -> Interaction:
        return self.call.request.interaction

    @property
    def condition(self) -> Params | None:
        """What has to be resolved before it is known which resource the entry is about."""
        request = self.call.request
        if request.interaction is Interaction.CREATE:
            return None if request.if_none_exist is None else params_of(request.if_none_exist)
        return request.params if request.interaction in IN_ORDER and request.id is None else None


@dataclass(frozen=True, slots=True)
class Planned:
    """What an entry writes. Instead of that a conditional create may have found `existing`, or have the same
    condition as the entry at position `twin`."""

    asked: Asked
    drafts: tuple[Draft, ...] = ()
    existing: StoredResource | None = None
    twin: int | None = None


def admit(call: Call, position: int, entry: BundleEntry) -> Asked:
    """The entry as a call of its own. An error names the entry."""
    request = entry_request(call, entry, position)
    if request.interaction not in IN_ORDER and entry.method not in ("GET", "HEAD"):
        raise BadRequest(f"entry {position}: {request.interaction.value} is not possible inside a transaction")
    decision = decide(call.principal, ask_of(request, call.circle))
    if isinstance(decision, Deny):
        from fhir_facade.interactions.dispatch import refusal

        raise refusal(decision, request)
    return Asked(position, entry, dataclasses.replace(call, request=request, allow=decision))


def locks_of(entries: Iterable[Asked]) -> Set[str]:
    """The locks to hold until everything is committed."""
    conditions = [(asked.call.type, asked.condition) for asked in entries if asked.condition is not None]
    return {name for type_, params in conditions for name in lock_names(type_, params)}


async def plan(entries: Sequence[Asked]) -> list[Planned]:
    """What the writes among the entries come to, in the order of R4: what a delete removes is not found by the
    condition of a create. References are as they were sent."""
    planned: list[Planned] = []
    twins: dict[tuple[str, Params], int] = {}
    gone: set[Ref] = set()
    for interaction in IN_ORDER:
        for number, asked in enumerate([one for one in entries if one.interaction is interaction], 1):
            one = await _named(asked, _plan(asked, gone, twins))
            gone.update(draft.ref for draft in one.drafts if draft.kind == "delete")
            planned.append(one)
            if number % BREATHE_EVERY == 0:
                await asyncio.sleep(0)
    return planned


async def _named(asked: Asked, doing: Awaitable[Planned]) -> Planned:
    try:
        return await doing
    except FacadeError as error:
        name_entry(error, asked.position)
        raise


def name_entry(error: FacadeError, position: int | None) -> None:
    """Say in the error which entry it is about, when that is known."""
    if position is None:
        return
    told = f"entry {position}: "
    error.issues = tuple(
        issue
        if issue.diagnostics.startswith(told)
        else dataclasses.replace(issue, diagnostics=told + issue.diagnostics)
        for issue in error.issues
    )


async def _plan(asked: Asked, gone: Set[Ref], twins: dict[tuple[str, Params], int]) -> Planned:
    if asked.interaction is Interaction.CREATE:
        return await _create(asked, gone, twins)
    return Planned(asked, tuple(await _DRAFTS[asked.interaction](asked, gone)))


async def _create(asked: Asked, gone: Set[Ref], twins: dict[tuple[str, Params], int]) -> Planned:
    call, condition = asked.call, asked.condition
    if condition is not None:
        same = (call.type, tuple(sorted(condition)))
        if same in twins:
            return Planned(asked, twin=twins[same])
        existing = await matching(call, call.type, condition, besides=gone)
        if existing is not None:
            return Planned(asked, existing=existing)
        twins[same] = asked.position
    body, resource = draft_resource(call, _body(asked), call.type)
    ref = Ref(call.type, call.ports.ids.new())
    return Planned(asked, (Draft("put", ref, call.request, call.allow, body, {**resource, "id": ref.id}),))


async def _delete(asked: Asked, gone: Set[Ref]) -> list[Draft]:
    call = asked.call
    if call.request.id is None:
        return [deletion(call, found) for found in await condemned(call, besides=gone)]
    if not call.sees_all:
        return [deletion(call, await visible(call, call.ref))]
    expected = expectation(call.request.if_match)
    return [Draft("delete", call.ref, call.request, call.allow, precondition=expected)]


async def _update(asked: Asked, gone: Set[Ref]) -> list[Draft]:
    call = asked.call
    body, resource = draft_resource(call, _body(asked), call.type)
    if call.request.id is None:
        found = await matching(call, call.type, call.request.params, besides=gone)
        return [conditional_draft(call, body, resource, found)]
    check_id(call.ref, resource)
    expected = expectation(call.request.if_match)
    if call.sees_all:
        return [Draft("put", call.ref, call.request, call.allow, body, resource, precondition=expected)]
    current = await visible(call, call.ref)
    expected = expected or ExpectVersion(current.version)
    return [Draft("put", call.ref, call.request, call.allow, body, resource, parse(current.body), expected)]


async def _patch(asked: Asked, gone: Set[Ref]) -> list[Draft]:
    call = asked.call
    current = await visible(call, call.ref if call.request.id else await matched(call, besides=gone))
    patch, content_type = _patch_of(_body(asked))
    body, resource = draft_resource(call, apply_patch(current.body, patch, content_type), call.type)
    expected = ExpectVersion(call.request.if_match or current.version)
    return [Draft("put", current.ref, call.request, call.allow, body, resource, parse(current.body), expected)]


_DRAFTS: Mapping[Interaction, Callable[[Asked, Set[Ref]], Awaitable[list[Draft]]]] = {
    Interaction.DELETE: _delete,
    Interaction.UPDATE: _update,
    Interaction.PATCH: _patch,
}


def _body(asked: Asked) -> bytes:
    if not asked.entry.resource:
        raise BadRequest(f"entry {asked.position} has no resource")
    return asked.entry.resource


def _patch_of(raw: bytes) -> tuple[bytes, str]:
    """The patch and its content type: carried by a Binary, or a Parameters resource that is a FHIRPath patch.

    https://hl7.org/fhir/R4/http.html#trules
    """
    resource = parse(raw)
    if resource["resourceType"] != "Binary":
        return raw, "application/fhir+json"
    try:
        return base64.b64decode(resource.get("data", ""), validate=True), str(resource.get("contentType", ""))
    except (binascii.Error, ValueError, TypeError) as error:
        raise BadRequest("Binary.data is not base64") from error
