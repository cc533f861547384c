"""The audit line of an interaction. Reads write theirs here; writes commit theirs together with the data.

https://profiles.ihe.net/ITI/BALP/
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Set
from urllib.parse import urlencode

from fhir_facade.access.owners import PatientReference, owners, stored_owners
from fhir_facade.errors import FacadeError, Unavailable
from fhir_facade.ports import Ports
from fhir_facade.rows.audit import AuditLine
from fhir_facade.values import FhirRequest, JsonObject, Principal, StoredResource


def audit_line(
    ports: Ports,
    principal: Principal,
    request: FhirRequest,
    *,
    outcome: str = "success",
    entity: str | None = None,
    version: str | None = None,
    patient: str | None = None,
    detail: str | None = None,
) -> AuditLine:
    """What happened, without a value out of a record. Search parameters are kept as asked: they are the question."""
    return AuditLine(
        at=ports.clock.now(),
        action=request.operation or request.interaction.value,
        outcome=outcome,
        actor=principal.name or principal.kind,
        user=principal.user,
        client=principal.client,
        token=principal.token,
        patient=patient,
        entity=entity or _entity(request),
        version=version or request.version,
        query=urlencode(request.params) if request.params else None,
        detail=detail,
        address=request.address,
        request_id=request.request_id,
    )


def _entity(request: FhirRequest) -> str | None:
    return f"{request.type}/{request.id}" if request.id else request.type


def patient_of(resource: JsonObject) -> str | None:
    """The one patient a resource is about; None for none or several."""
    return _only(owners(resource))


def patient_of_stored(stored: Iterable[StoredResource]) -> str | None:
    """The one patient that all of these are about, without reading more of them than that takes."""
    return _only({owner for each in stored for owner in stored_owners(each.type, each.body)})


def _only(about: Set[PatientReference]) -> str | None:
    only = next(iter(about)) if len(about) == 1 else None
    return only if isinstance(only, str) else None


async def record_lines(ports: Ports, lines: Sequence[AuditLine]) -> None:
    """Durable when this returns. When it cannot be: Unavailable if the deployment demands the audit."""
    try:
        await ports.state.append(lines)
    except FacadeError as error:
        if ports.deployment.audit_required:
            raise Unavailable("the audit record cannot be written, so nothing is answered: try again later") from error
