"""One interaction on its way: the ports, who asks, what is asked, what the policy allowed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import lru_cache
from typing import Final

import msgspec

from fhir_facade.access.check import Check, Deny
from fhir_facade.access.guards import GUARD_TYPE
from fhir_facade.access.policy import Allow, Ask, decide
from fhir_facade.access.rights import EVERYONE, Grant, grants
from fhir_facade.errors import Forbidden
from fhir_facade.fhir.document import parse
from fhir_facade.ports import Ports
from fhir_facade.rows import RowChange
from fhir_facade.values import (
    FhirRequest,
    FhirResponse,
    Interaction,
    PatientId,
    Principal,
    Ref,
    StoredResource,
)

Who = Callable[[], Awaitable[Principal | None]]
"""Who asks, judged anew: None for whoever may not any more."""
ANONYMOUS: Final = Principal("anonymous")


class Call(msgspec.Struct, frozen=True):
    """`rows` are committed together with what the interaction writes. `circle` are the patients of a practitioner.
    `who` is for what takes long."""

    ports: Ports
    principal: Principal
    request: FhirRequest
    allow: Allow
    circle: frozenset[PatientId] = frozenset()
    rows: tuple[RowChange, ...] = ()
    who: Who | None = None

    @property
    def ref(self) -> Ref:
        """The instance that is asked for."""
        assert self.request.id is not None, "an instance interaction"
        return Ref(self.type, self.request.id)

    @property
    def type(self) -> str:
        """The resource type that is asked for."""
        assert self.request.type is not None, "a type interaction"
        return self.request.type

    @property
    def sees_all(self) -> bool:
        """True when nothing of the asked type is hidden from the caller, so that no resource has to be looked into."""
        return sees_all(self.allow.check)

    async def asker(self) -> Principal:
        """Who asks by now: an answer that is read slowly is made long after its request came."""
        return self.principal if self.who is None else await self.who() or ANONYMOUS

    def search_rights(self, type: str) -> Allow | Deny:
        """What the caller may find among resources of another type."""
        return decide(self.principal, Ask(Interaction.SEARCH_TYPE, type, circle=self.circle))

    def create_rights(self) -> Allow:
        """The rights of an update that has to create under an id of ours. Forbidden."""
        rights = decide(self.principal, Ask(Interaction.CREATE, self.type, circle=self.circle))
        if isinstance(rights, Deny):
            raise Forbidden(rights.reason)
        return rights

    def may_read(self, stored: StoredResource) -> bool:
        """Whether the caller may see a resource of the asked type, whatever else the caller may do with it."""
        rights = decide(self.principal, Ask(Interaction.READ, stored.type, circle=self.circle))
        return isinstance(rights, Allow) and may_leave(rights.check, stored)


def ask_of(request: FhirRequest, circle: frozenset[PatientId]) -> Ask:
    """What the policy is asked about a request."""
    operation = None if request.operation is None else request.operation.removeprefix("$")
    return Ask(request.interaction, request.type, request.id, operation, circle)


Handler = Callable[[Call], Awaitable[FhirResponse]]


@lru_cache(maxsize=1024)
def sees_all(check: Check) -> bool:
    """Whether a check lets everything of its type pass."""
    if check.type is None or not check.letter:
        return False
    guarded = check.type == GUARD_TYPE and check.rights.engine is None
    return not guarded and Grant(EVERYONE) in grants(check.rights, check.type, check.letter)


def may_leave(check: Check, stored: StoredResource) -> bool:
    """Whether a stored resource passes the check; it is looked into only where something could be hidden."""
    return sees_all(check) or check.may_leave(parse(stored.body))
