"""The audit line of an interaction. Reads write theirs here; writes commit theirs together with the data.

https://profiles.ihe.net/ITI/BALP/
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Set
from functools import cache
from typing import Any, Final

import msgspec

from fhir_facade.access.cardinality import single_owner
from fhir_facade.access.compartment import type_rules
from fhir_facade.access.owners import PatientReference, owners, stored_owners
from fhir_facade.errors import BadRequest, FacadeError, Unavailable
from fhir_facade.fhir.definitions.occurrence import reference_path
from fhir_facade.fhir.definitions.tables import search_parameters
from fhir_facade.fhir.query import MAX_VALUES
from fhir_facade.fhir.urls import query_text
from fhir_facade.ports import Ports
from fhir_facade.rows.audit import AuditLine
from fhir_facade.values import (
    AnyOf,
    Chain,
    Criterion,
    FhirRequest,
    JsonObject,
    Match,
    Principal,
    Ref,
    ReferenceValue,
    StoredResource,
    TokenValue,
)

UNRECORDED = "the audit record cannot be written, so nothing is answered: try again later"

MOST_NAMED: Final = MAX_VALUES
"""So many patients one question may name."""
LONGEST_REPEATED: Final = 1000


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
        action=request.operation or str(request.interaction),
        outcome=outcome,
        actor=principal.name or principal.kind,
        user=principal.user,
        client=principal.client,
        token=principal.token,
        patient=patient,
        entity=entity or _entity(request),
        version=version or request.version,
        query=query_text(request.params) if request.params else None,
        detail=detail,
        address=request.address,
        request_id=request.request_id,
    )


def audit_lines(
    ports: Ports, principal: Principal, request: FhirRequest, patients: Set[str], **elements: Any
) -> list[AuditLine]:
    """A line for each patient whose records it was, one about nobody without any: each can be told who looked.

    https://profiles.ihe.net/ITI/BALP/StructureDefinition-IHE.BasicAudit.PatientQuery.html
    """
    first, *others = sorted(patients) or (None,)
    line = audit_line(ports, principal, request, patient=first, **elements)
    if not others:
        return [line]
    short = msgspec.structs.replace(line, query=_cut(line.query))
    return [line, *(msgspec.structs.replace(short, patient=patient) for patient in others)]


def _cut(query: str | None) -> str | None:
    """A long question stands in one line of its request whole: in hundreds it would fill the disk."""
    return query if query is None or len(query) <= LONGEST_REPEATED else f"{query[:LONGEST_REPEATED]}…"


def operator_line(ports: Ports, action: str, detail: str) -> AuditLine:
    """What an operator did at the command line."""
    return AuditLine(at=ports.clock.now(), action=action, outcome="success", actor="operator", detail=detail)


def _entity(request: FhirRequest) -> str | None:
    return f"{request.type}/{request.id}" if request.id else request.type


def patients_of(resource: JsonObject) -> Set[str]:
    """The patients of this server that a resource is about."""
    return _ours(owners(resource))


async def whose_now(ports: Ports, request: FhirRequest) -> Set[str]:
    """The patients whose record a request names; nobody when nothing is there, or the store cannot say."""
    if request.type is None or request.id is None:
        return frozenset()
    try:
        return patients_of_stored([await ports.store.read(Ref(request.type, request.id))])
    except FacadeError:  # the refusal stands, whatever there is
        return frozenset()


def patients_claimed(request: FhirRequest) -> Set[str]:
    """The patients whom the body of a creation is about as it says; nobody where it cannot be read. An id that a new
    Patient is sent with is none."""
    if request.type in (None, "Patient"):
        return frozenset()
    try:
        return _ours(stored_owners(request.type, request.body))
    except (msgspec.MsgspecError, RecursionError):
        return frozenset()


def patients_of_stored(stored: Iterable[StoredResource]) -> Set[str]:
    """The patients these are about, without reading more of them than that takes."""
    return {owner for each in stored for owner in stored_owners(each.type, each.body) if isinstance(owner, str)}


def patients_asked_about(type: str, criteria: Iterable[Criterion]) -> Set[str]:
    """The patients that a search is limited to by its own words: it asks about them even when it finds nothing.

    BadRequest for too many, each of whom would have a line.
    """
    names = _owner_names(type)
    found = {id_ for each in criteria for id_ in _asked_about(each, names)}
    if len(found) > MOST_NAMED:
        raise BadRequest(f"this names {len(found)} patients, at most {MOST_NAMED} are allowed: ask in several searches")
    return found


@cache
def _owner_names(type: str) -> frozenset[str]:
    """The parameters that read the element whose patient owns: often both `patient` and `subject`."""
    rule = type_rules().get(type)
    if rule is None or rule.owner is None:
        return frozenset()
    path = reference_path(type, rule.owner)
    alike = [name for name in search_parameters(type) if path is not None and reference_path(type, name) == path]
    return frozenset((rule.owner, *alike))


def _asked_about(criterion: Criterion, names: frozenset[str]) -> Iterable[str]:
    if isinstance(criterion, AnyOf):
        return {id_ for group in criterion.groups for each in group for id_ in _asked_about(each, names)}
    if isinstance(criterion, Chain) and criterion.name in names and "Patient" in criterion.targets:
        return _asked_about(criterion.inner, _owner_names("Patient"))
    return _named(criterion) if isinstance(criterion, Match) and criterion.name in names else ()


def patient_of_all(type: str, criteria: Iterable[Criterion]) -> str | None:
    """The one patient that every match is about because the search says so: then none has to be looked into."""
    owner = type_rules()[type].owner
    if owner is None or not single_owner(type):
        return None
    for each in criteria:
        if isinstance(each, Match) and each.name == owner and each.modifier is None and len(each.values) == 1:
            (value,) = each.values
            if isinstance(value, ReferenceValue) and (value.type or owner.capitalize()) == "Patient":
                return value.id
    return None


def _named(match: Match) -> Iterable[str]:
    """By reference, or a Patient by its id."""
    for value in match.values:
        if isinstance(value, ReferenceValue) and value.id is not None and value.type in (None, "Patient"):
            yield value.id
        elif isinstance(value, TokenValue) and value.code is not None:
            yield value.code


def _ours(about: Set[PatientReference]) -> Set[str]:
    return {each for each in about if isinstance(each, str)}


async def record_lines(ports: Ports, lines: Sequence[AuditLine]) -> None:
    """Durable when this returns. When it cannot be: Unavailable if the deployment demands the audit."""
    try:
        await ports.state.append(lines)
    except FacadeError as error:
        if ports.deployment.audit_required:
            raise Unavailable(UNRECORDED) from error


async def record_operator(ports: Ports, action: str, detail: str) -> None:
    """The line of an operator, durable when this returns: before what it speaks of is done."""
    await ports.state.append([operator_line(ports, action, detail)])
