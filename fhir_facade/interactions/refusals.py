"""The error of a decision that says no, and whom the request was about that it refuses: she is told of it.

https://hl7.org/fhir/R4/http.html#Status-Codes; docs/audit.md
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from types import MappingProxyType
from typing import Final

from fhir_facade.access.check import Deny
from fhir_facade.access.compartment import type_rules
from fhir_facade.errors import FacadeError, Forbidden, NotFound, Unauthenticated
from fhir_facade.fhir.query import parse_query
from fhir_facade.interactions.audit import patients_asked_about, patients_claimed, whose_now
from fhir_facade.interactions.audit_resource import AUDIT_EVENT
from fhir_facade.ports import Ports
from fhir_facade.values import FhirRequest, Interaction

_REFUSALS: Final[Mapping[str, type[FacadeError]]] = MappingProxyType(
    {"unauthenticated": Unauthenticated, "forbidden": Forbidden, "hidden": NotFound}
)


async def refused(ports: Ports, request: FhirRequest, decision: Deny) -> FacadeError:
    """The error to raise. The store is asked the same, once, whether what is named is there, foreign or one's own; a
    stranger's request asks it nothing."""
    error = refusal(decision, request)
    return error if decision.kind == "unauthenticated" else error.concerning(await _about(ports, request))


def refusal(decision: Deny, request: FhirRequest) -> FacadeError:
    """The error of a refusal; a hidden resource answers exactly like an absent one."""
    if decision.kind == "hidden":
        return NotFound(f"{request.type}/{request.id} is not there")
    return _REFUSALS[decision.kind](decision.reason)


async def _about(ports: Ports, request: FhirRequest) -> Set[str]:
    """The patients whose record is named, whose compartment is searched, whom the search names, or for whom somebody
    wanted to create something."""
    of = request.compartment
    if of is not None:
        return frozenset((of.id,)) if of.type == "Patient" else frozenset()
    if request.interaction is Interaction.CREATE:
        return patients_claimed(request)
    if request.id is None:
        return _asked_about(ports, request)
    if request.type == "Patient":
        return frozenset((request.id,))
    rule = type_rules().get(request.type or "")
    stored = rule is not None and rule.paths and rule.type != AUDIT_EVENT
    return await whose_now(ports, request) if stored else frozenset()


def _asked_about(ports: Ports, request: FhirRequest) -> Set[str]:
    """By the words of a search or a condition; nobody where these cannot be read."""
    if not request.params or request.operation is not None or request.type is None:
        return frozenset()
    try:
        parsed = parse_query(
            request.type, request.params, now=ports.clock.now(), base_url=ports.deployment.fhir_url, strict=False
        )
        return patients_asked_about(request.type, parsed.query.criteria)
    except FacadeError:
        return frozenset()
