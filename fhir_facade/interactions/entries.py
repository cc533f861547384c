"""What each entry of a transaction comes to: its rights, what its condition finds, and the writes it asks for.

https://hl7.org/fhir/R4/http.html#trules
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Final, TypeVar

import msgspec

from fhir_facade.access.check import Deny
from fhir_facade.access.policy import decide
from fhir_facade.errors import BadRequest, FacadeError
from fhir_facade.fhir.bundle import BundleEntry
from fhir_facade.fhir.document import parse
from fhir_facade.fhir.operations import find_operation
from fhir_facade.interactions.answers import entry_request, name_entry
from fhir_facade.interactions.call import Call, ask_of
from fhir_facade.interactions.conditions import Params, lock_names, matching
from fhir_facade.interactions.create import condition_of
from fhir_facade.interactions.delete import condemned, deletion
from fhir_facade.interactions.operations import operation_draft
from fhir_facade.interactions.patch import matched, patched
from fhir_facade.interactions.read import changeable, visible
from fhir_facade.interactions.record import Draft, draft_resource
from fhir_facade.interactions.refusals import refused
from fhir_facade.interactions.turns import in_turns
from fhir_facade.interactions.update import check_id, conditional_draft, demanded
from fhir_facade.values import Absent, ExpectVersion, Interaction, Ref, StoredResource

IN_ORDER: Final = (
    Interaction.DELETE,
    Interaction.CREATE,
    Interaction.OPERATION,
    Interaction.UPDATE,
    Interaction.PATCH,
)
"""Writes in the order in which R4 has them processed; an operation is a POST, and counts when it changes something."""
AT_ONCE: Final = 8  # conditions that the store is asked for together
_FOUND: Final = frozenset((Interaction.CREATE, Interaction.UPDATE))

A = TypeVar("A")
T = TypeVar("T")
Condition = tuple[str, Params]


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
    def writes(self) -> bool:
        """Whether it is planned and written with the others; all else is answered after the writes."""
        request = self.call.request
        if request.interaction is not Interaction.OPERATION:
            return request.interaction in IN_ORDER
        return find_operation(request.operation or "", request.type, request.id).changes

    @property
    def condition(self) -> Params | None:
        """What has to be resolved before it is known which resource the entry is about."""
        request = self.call.request
        if request.interaction is Interaction.CREATE:
            return condition_of(request)
        return request.params if request.id is None and self.writes else None


@dataclass(frozen=True, slots=True)
class Planned:
    """What an entry writes. Instead of that a conditional create may have found `existing`, or have the same
    condition as the entry at position `twin`."""

    asked: Asked
    drafts: tuple[Draft, ...] = ()
    existing: StoredResource | None = None
    twin: int | None = None


async def admit(call: Call, position: int, entry: BundleEntry) -> Asked:
    """The entry as a call of its own. An error names the entry."""
    request = entry_request(call, entry, position)
    decision = decide(call.principal, ask_of(request, call.circle))
    if isinstance(decision, Deny):
        raise await refused(call.ports, request, decision)
    return Asked(position, entry, msgspec.structs.replace(call, request=request, allow=decision))


def locks_of(entries: Iterable[Asked]) -> Set[str]:
    """The locks to hold until everything is committed."""
    conditions = [(asked.call.type, asked.condition) for asked in entries if asked.condition is not None]
    return {name for type_, params in conditions for name in lock_names(type_, params)}


async def plan(entries: Sequence[Asked]) -> list[Planned]:
    """What the writes among the entries come to, in the order of R4: what a delete removes is not found by the
    condition of a create. References are as they were sent."""
    planned: list[Planned] = []
    so_far = _SoFar()
    for interaction in IN_ORDER:
        asking = [asked for asked in entries if asked.interaction is interaction and asked.writes]
        await _find(asking, so_far)
        async for asked in in_turns(asking):
            one = await named(asked.position, _plan(asked, so_far))
            so_far.gone.update(draft.ref for draft in one.drafts if draft.kind == "delete")
            planned.append(one)
    return planned


@dataclass(frozen=True, slots=True)
class _SoFar:
    """What earlier entries remove, what each condition finds besides that, and which entry is to create for it."""

    gone: set[Ref] = field(default_factory=set)
    found: dict[Condition, StoredResource | None] = field(default_factory=dict)
    twins: dict[Condition, int] = field(default_factory=dict)


async def _find(asking: Sequence[Asked], so_far: _SoFar) -> None:
    """Ask the store for all conditions of creates or updates, several at once."""
    conditional = [asked for asked in asking if asked.condition is not None and asked.interaction in _FOUND]
    first = {_condition(asked): asked for asked in reversed(conditional)}
    found = await several_at_once(
        lambda asked: named(asked.position, _match(asked, so_far.gone)), tuple(first.values())
    )
    so_far.found.update(zip(first, found, strict=True))


def _condition(asked: Asked) -> Condition:
    return asked.call.type, tuple(sorted(asked.condition or ()))


async def _match(asked: Asked, gone: Set[Ref]) -> StoredResource | None:
    return await matching(asked.call, asked.call.type, asked.condition or (), besides=gone)


async def several_at_once(work: Callable[[A], Awaitable[T]], items: Sequence[A]) -> list[T]:
    """The results in order, or the error of the first item that failed."""
    done: list[T] = []
    for start in range(0, len(items), AT_ONCE):
        results = await asyncio.gather(*map(work, items[start : start + AT_ONCE]), return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                raise result
            done.append(result)
    return done


async def named(position: int, doing: Awaitable[T]) -> T:
    """The result; an error says which entry it is about."""
    try:
        return await doing
    except FacadeError as error:
        name_entry(error, position)
        raise


async def _plan(asked: Asked, so_far: _SoFar) -> Planned:
    if asked.interaction is Interaction.CREATE:
        return _create(asked, so_far)
    return Planned(asked, tuple(await _DRAFTS[asked.interaction](asked, so_far)))


def _create(asked: Asked, so_far: _SoFar) -> Planned:
    call = asked.call
    if asked.condition is not None:
        same = _condition(asked)
        if same in so_far.twins:
            return Planned(asked, twin=so_far.twins[same])
        existing = so_far.found[same]
        if existing is not None:
            return Planned(asked, existing=existing)
        so_far.twins[same] = asked.position
    body, resource = draft_resource(call, _body(asked), call.type)
    ref = Ref(call.type, call.ports.ids.new())
    draft = Draft("put", ref, call.request, call.allow, body, {**resource, "id": ref.id}, precondition=Absent())
    return Planned(asked, (draft,))


async def _delete(asked: Asked, so_far: _SoFar) -> list[Draft]:
    call = asked.call
    if call.request.id is None:
        return [deletion(call, found) for found in await condemned(call, besides=so_far.gone)]
    if not call.sees_all:
        return [deletion(call, await visible(call, call.ref))]
    expected = await demanded(call)
    return [Draft("delete", call.ref, call.request, call.allow, precondition=expected)]


async def _update(asked: Asked, so_far: _SoFar) -> list[Draft]:
    call = asked.call
    body, resource = draft_resource(call, _body(asked), call.type)
    if call.request.id is None:
        return [conditional_draft(call, body, resource, so_far.found[_condition(asked)])]
    check_id(call.ref, resource)
    if call.sees_all:
        expected = await demanded(call)
        return [Draft("put", call.ref, call.request, call.allow, body, resource, precondition=expected)]
    current = await visible(call, call.ref)
    expected = await demanded(call) or ExpectVersion(current.version)
    return [Draft("put", call.ref, call.request, call.allow, body, resource, parse(current.body), expected)]


async def _patch(asked: Asked, so_far: _SoFar) -> list[Draft]:
    call = asked.call
    current = await changeable(call, call.ref if call.request.id else await matched(call, besides=so_far.gone))
    _body(asked)  # a patch is needed
    after = await patched(current.body, call.request, call.ports.clock.now())
    body, resource = draft_resource(call, after, call.type)
    expected = ExpectVersion(call.request.if_match or current.version)
    return [Draft("put", current.ref, call.request, call.allow, body, resource, parse(current.body), expected)]


async def _operation(asked: Asked, so_far: _SoFar) -> list[Draft]:
    return [await operation_draft(asked.call)]


_DRAFTS: Mapping[Interaction, Callable[[Asked, _SoFar], Awaitable[list[Draft]]]] = {
    Interaction.DELETE: _delete,
    Interaction.OPERATION: _operation,
    Interaction.UPDATE: _update,
    Interaction.PATCH: _patch,
}


def _body(asked: Asked) -> bytes:
    if not asked.entry.resource:
        raise BadRequest(f"{asked.entry.method} {asked.entry.url} needs a resource")
    return asked.entry.resource
