"""Whether somebody may do something with a patient's Observations, asked before work that an engine does for them.

The door answers the same for every FHIR request; these are the questions that are no FHIR request.
docs/decisions/011-who-may-do-what.md
"""

from __future__ import annotations

from dataclasses import dataclass

from fhir_facade.access.check import Check, Deny
from fhir_facade.access.policy import Ask, decide
from fhir_facade.errors import FacadeError, Forbidden, NotFound, Unauthenticated
from fhir_facade.interactions.audit import audit_line, record_lines
from fhir_facade.interactions.circle import circle
from fhir_facade.ports import Ports
from fhir_facade.rows.audit import AuditLine
from fhir_facade.values import FhirRequest, Interaction, JsonObject, Principal


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a question came from, for the audit record."""

    request_id: str = ""
    address: str | None = None


UNKNOWN = Origin()


def absent(patient: str) -> NotFound:
    """The one answer for a patient who is not there and for one who is somebody else's."""
    return NotFound(f"Patient/{patient} is not there")


async def admit(
    ports: Ports, principal: Principal, asked: Interaction, probe: JsonObject, *, patient: str, origin: Origin = UNKNOWN
) -> None:
    """Returns when the principal may do `asked` (READ or CREATE) with an Observation like `probe` of this patient.

    Unauthenticated, Forbidden, NotFound; the refusal is in the audit then.
    """
    error = await refusal(ports, principal, asked, probe, patient)
    if error is None:
        return
    request = FhirRequest(asked, "Observation", request_id=origin.request_id, address=origin.address)
    detail = f"{error.status} {error.code}"
    whose = None if isinstance(error, Unauthenticated) else patient
    await record_lines(ports, [audit_line(ports, principal, request, outcome="refused", patient=whose, detail=detail)])
    error.recorded = True
    raise error


async def record_look(
    ports: Ports, principal: Principal, what: str, origin: Origin, *, account: str | None = None
) -> None:
    """The audit line of an administrator who looks at what is no record: the accounts, or one of them. Unavailable."""
    line = AuditLine(
        at=ports.clock.now(),
        action="admin",
        outcome="success",
        actor=principal.name or principal.kind,
        user=principal.user,
        client=principal.client,
        token=principal.token,
        entity=None if account is None else account_entity(account),
        detail=what,
        address=origin.address,
        request_id=origin.request_id,
    )
    await record_lines(ports, [line])


def account_entity(account: str) -> str:
    """What a line calls an account, which is no resource."""
    return f"account/{account}"


async def refusal(
    ports: Ports, principal: Principal, asked: Interaction, probe: JsonObject, patient: str
) -> FacadeError | None:
    """Why not, or None; nothing is recorded."""
    decision = decide(principal, Ask(asked, "Observation", circle=await circle(ports, principal)))
    if isinstance(decision, Deny):
        return Unauthenticated(decision.reason) if decision.kind == "unauthenticated" else Forbidden(decision.reason)
    return None if _passes(decision.check, asked, probe) else absent(patient)


def _passes(check: Check, asked: Interaction, probe: JsonObject) -> bool:
    if asked is Interaction.READ:
        return check.may_leave(probe)
    return check.may_write(None, probe) is None
