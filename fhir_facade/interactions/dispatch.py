"""The door: every read and write of a resource comes through `dispatch`, whoever asks.

Access is decided here, the audit line of a refusal is written here; the interaction itself is a function of one file.
"""

from __future__ import annotations

from collections.abc import Sequence

from fhir_facade.access.check import Deny
from fhir_facade.access.policy import decide
from fhir_facade.errors import FacadeError, Forbidden, NotFound, Unauthenticated
from fhir_facade.interactions.audit import MOST_NAMED, audit_line, audit_lines, patients_claimed, record_lines
from fhir_facade.interactions.audit_events import with_audit_events
from fhir_facade.interactions.audit_refusals import record_refusal
from fhir_facade.interactions.audit_resource import AUDIT_EVENT
from fhir_facade.interactions.batch import batch
from fhir_facade.interactions.call import Call, Handler, Who, ask_of
from fhir_facade.interactions.circle import circle
from fhir_facade.interactions.create import create
from fhir_facade.interactions.delete import delete
from fhir_facade.interactions.history import history
from fhir_facade.interactions.metadata import capabilities
from fhir_facade.interactions.operations import operation
from fhir_facade.interactions.patch import patch
from fhir_facade.interactions.read import read
from fhir_facade.interactions.refusals import refused
from fhir_facade.interactions.search import search
from fhir_facade.interactions.search_system import search_system
from fhir_facade.interactions.transaction import transaction
from fhir_facade.interactions.update import update
from fhir_facade.ports import Ports
from fhir_facade.rows import RowChange
from fhir_facade.rows.audit import AuditLine
from fhir_facade.values import FhirRequest, FhirResponse, Interaction, Principal

_HANDLERS: dict[Interaction, Handler] = {
    Interaction.READ: read,
    Interaction.VREAD: read,
    Interaction.HISTORY_INSTANCE: history,
    Interaction.HISTORY_TYPE: history,
    Interaction.HISTORY_SYSTEM: history,
    Interaction.SEARCH_TYPE: search,
    Interaction.SEARCH_SYSTEM: search_system,
    Interaction.CREATE: create,
    Interaction.UPDATE: update,
    Interaction.PATCH: patch,
    Interaction.DELETE: delete,
    Interaction.BATCH: batch,
    Interaction.TRANSACTION: transaction,
    Interaction.CAPABILITIES: capabilities,
    Interaction.OPERATION: operation,
}


async def dispatch(
    ports: Ports,
    principal: Principal,
    request: FhirRequest,
    *,
    rows: Sequence[RowChange] = (),
    who: Who | None = None,
) -> FhirResponse:
    """Do one interaction for `principal`. `rows` are committed with its writes (in a batch: not at all). `who` says
    whether that is still who asks, to what goes on while it is answered.

    Raises errors of `errors` only. Every outcome is in the audit before this returns or raises.
    """
    try:
        call = await _admit(ports, principal, request, rows, who)
        return await _HANDLERS[request.interaction](call)
    except FacadeError as error:
        lines = _refusal(ports, principal, request, error)
        await (record_refusal(ports, lines[0]) if principal.kind == "anonymous" else record_lines(ports, lines))
        error.recorded = True
        raise
    except Exception:
        await record_lines(ports, [audit_line(ports, principal, request, outcome="failed", detail="500 exception")])
        raise


async def _admit(
    ports: Ports, principal: Principal, request: FhirRequest, rows: Sequence[RowChange], who: Who | None
) -> Call:
    patients = await circle(ports, principal)
    decision = decide(principal, ask_of(request, patients))
    if isinstance(decision, Deny):
        raise await refused(ports, request, decision)
    reach = with_audit_events(ports, principal) if request.type == AUDIT_EVENT else ports
    return Call(reach, principal, request, decision, patients, tuple(rows), who)


def _refusal(ports: Ports, principal: Principal, request: FhirRequest, error: FacadeError) -> list[AuditLine]:
    """A line for each patient whom it was about. Of a stranger's request there is one, and of one that names more
    patients than may be asked about: a body made up of them would fill the disk."""
    refused = isinstance(error, Unauthenticated | Forbidden | NotFound)
    about = error.about
    if not about and request.interaction is Interaction.CREATE and principal.kind != "anonymous":
        about = patients_claimed(request)
    return audit_lines(
        ports,
        principal,
        request,
        about if len(about) <= MOST_NAMED else frozenset(),
        outcome="refused" if refused else "failed",
        detail=f"{error.status} {error.code}",
    )
