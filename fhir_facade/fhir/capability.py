"""The CapabilityStatement: what this server does for every type of R4, out of the table of definitions.

https://hl7.org/fhir/R4/capabilitystatement.html, https://hl7.org/fhir/smart-app-launch/conformance.html
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import cache
from typing import Any, Final

from fhir_facade.fhir.compartments import COMPARTMENTS
from fhir_facade.fhir.definitions import SearchParameter, resource_types, search_parameters
from fhir_facade.fhir.media_types import FHIR_JSON
from fhir_facade.fhir.operations import announced
from fhir_facade.fhir.patch import PATCH_FORMATS
from fhir_facade.values import Deployment, Interaction

RELEASED: Final = "2026-11-21"
"""When what the statement says last changed."""

_OF_THE_SYSTEM = (
    Interaction.TRANSACTION,
    Interaction.BATCH,
    Interaction.SEARCH_SYSTEM,
    Interaction.HISTORY_SYSTEM,
)
_OF_A_TYPE = (
    *(Interaction.READ, Interaction.VREAD, Interaction.UPDATE, Interaction.PATCH, Interaction.DELETE),
    *(Interaction.HISTORY_INSTANCE, Interaction.HISTORY_TYPE, Interaction.CREATE, Interaction.SEARCH_TYPE),
)
_OAUTH_URIS = "http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris"
_SECURITY_SERVICE = "http://terminology.hl7.org/CodeSystem/restful-security-service"
AUDIT_SEARCH: Final = frozenset(
    ("_id", "_lastUpdated", "action", "agent", "date", "entity", "outcome", "patient", "subtype", "type")
)
"""What AuditEvents are searched by."""
_OF_EVERY_TYPE = ("_id", "_lastUpdated", "_profile", "_security", "_source", "_tag")
_EVERYWHERE = (("_filter", "special"), ("_has", "special"), ("_list", "special"), ("_type", "token"))
_FULL_TEXT = (("_content", "string"), ("_text", "string"))

Operation = tuple[str, str]
"""(name without $, canonical URL of its definition)."""

VERSIONS: Final[Operation] = ("versions", "http://hl7.org/fhir/OperationDefinition/CapabilityStatement-versions")
"""Answered beside /metadata, before anybody has signed in."""

NORMATIVE: Final = frozenset(
    (
        *("Binary", "Bundle", "CapabilityStatement", "CodeSystem", "Observation", "OperationDefinition"),
        *("OperationOutcome", "Parameters", "Patient", "StructureDefinition", "ValueSet"),
    )
)
"""The resource types that are normative in R4. https://hl7.org/fhir/R4/resourcelist.html"""

_REMARKS = {
    "Subscription": "Kept as a record like any other, and nothing is sent for it, whatever its status: "
    "GET /api/v1/alerts/stream tells of alerts as they happen."
}


def oauth_endpoints(fhir_url: str) -> dict[str, str]:
    """The endpoints of the sign-in beside a FHIR base, by the names of the `oauth-uris` extension."""
    base = fhir_url.removesuffix("/fhir")
    named = {name: f"{base}/oauth/{name}" for name in ("authorize", "token", "introspect", "register", "revoke")}
    return {**named, "manage": f"{base}/apps"}


def capability_statement(deployment: Deployment, *, types: Collection[str] | None = None) -> dict[str, Any]:
    """The statement of one deployment, a new dictionary each time; it is large, so callers keep its bytes.

    `types` are those to tell of; None: all.
    """
    offered = announced()
    told = resource_types() if types is None else [kind for kind in resource_types() if kind in types]
    rest: dict[str, Any] = {
        "mode": "server",
        "security": _security(oauth_endpoints(deployment.fhir_url)),
        "resource": [_resource(kind, deployment, offered.get(kind, ())) for kind in told],
        "interaction": _codes(_OF_THE_SYSTEM),
        "searchParam": _everywhere(deployment),
        "operation": _operations((*offered.get("", ()), VERSIONS)),
        "compartment": [f"http://hl7.org/fhir/CompartmentDefinition/{name.lower()}" for name in COMPARTMENTS],
    }
    return {
        "resourceType": "CapabilityStatement",
        "id": "facade",
        "name": "FhirFacade",
        "title": "fhir-facade",
        "status": "active",
        "date": RELEASED,
        "kind": "instance",
        "software": {"name": "fhir-facade", "version": deployment.software_version, "releaseDate": RELEASED},
        "implementation": {"description": "FHIR R4 with SMART on FHIR sign-in", "url": deployment.fhir_url},
        "fhirVersion": "4.0.1",
        "format": [FHIR_JSON, "json"],
        "patchFormat": list(PATCH_FORMATS),
        "rest": [_filled(rest)],
    }


def _everywhere(deployment: Deployment) -> list[dict[str, str]]:
    """What the whole system can be searched by: what every type has, and parameters that no path leads to."""
    known = search_parameters("Basic")
    found = (*_EVERYWHERE, *_FULL_TEXT) if deployment.full_text else _EVERYWHERE
    every = [(name, known[name].kind) for name in _OF_EVERY_TYPE]
    return [{"name": name, "type": kind} for name, kind in (*every, *found)]


def _filled(element: dict[str, Any]) -> dict[str, Any]:
    """FHIR has no empty arrays."""
    return {name: value for name, value in element.items() if value != []}


def _codes(interactions: Sequence[Interaction]) -> list[dict[str, str]]:
    return [{"code": one.value} for one in interactions]


def _operations(operations: Sequence[Operation]) -> list[dict[str, str]]:
    return [{"name": name, "definition": definition} for name, definition in operations]


def _security(endpoints: Mapping[str, str]) -> dict[str, Any]:
    uris = [{"url": name, "valueUri": address} for name, address in endpoints.items()]
    return {
        "extension": [{"url": _OAUTH_URIS, "extension": uris}],
        "cors": True,
        "service": [{"coding": [{"system": _SECURITY_SERVICE, "code": "SMART-on-FHIR"}], "text": "SMART on FHIR"}],
        "description": "OAuth 2.0 with SMART App Launch scopes; see .well-known/smart-configuration",
    }


def _resource(kind: str, deployment: Deployment, operations: Sequence[Operation]) -> dict[str, Any]:
    if kind == "AuditEvent":
        return _audit_event()
    parameters = _searchable(kind)
    enforced = ["enforced"] if deployment.references_enforced else []
    return _filled(
        {
            "type": kind,
            "profile": f"http://hl7.org/fhir/StructureDefinition/{kind}",
            "documentation": _REMARKS.get(kind, []),
            "interaction": _codes(_OF_A_TYPE),
            "versioning": "versioned-update",
            "readHistory": True,
            "updateCreate": True,
            "conditionalCreate": True,
            "conditionalRead": "full-support",
            "conditionalUpdate": True,
            "conditionalDelete": "multiple" if deployment.conditional_delete_many else "single",
            "referencePolicy": ["literal", "logical", "local", *enforced],
            "searchInclude": [f"{kind}:{one.code}" for one in parameters if one.kind == "reference"],
            "searchRevInclude": _pointing_at().get(kind, []),
            "searchParam": [{"name": one.code, "type": one.kind} for one in parameters],
            "operation": _operations(operations),
        }
    )


def _audit_event() -> dict[str, Any]:
    """AuditEvents are made from the audit when they are asked for: nobody writes them, and each has one version."""
    reading = (Interaction.READ, Interaction.VREAD, Interaction.HISTORY_INSTANCE, Interaction.SEARCH_TYPE)
    parameters = [one for one in _searchable("AuditEvent") if one.code in AUDIT_SEARCH]
    return {
        "type": "AuditEvent",
        "profile": "http://hl7.org/fhir/StructureDefinition/AuditEvent",
        "interaction": _codes(reading),
        "versioning": "no-version",
        "readHistory": True,
        "updateCreate": False,
        "conditionalCreate": False,
        "conditionalRead": "full-support",
        "conditionalUpdate": False,
        "conditionalDelete": "not-supported",
        "searchInclude": [f"AuditEvent:{one.code}" for one in parameters if one.kind == "reference"],
        "searchParam": [{"name": one.code, "type": one.kind} for one in parameters],
    }


def _searchable(kind: str) -> list[SearchParameter]:
    return [
        one
        for one in search_parameters(kind).values()
        if one.expression and (one.kind != "special" or one.code == "near")
    ]


@cache
def _pointing_at() -> Mapping[str, list[str]]:
    """`Type:parameter` by the type it can point to; parameters for any type are left out, they would be everywhere."""
    found: dict[str, list[str]] = {}
    everything = len(resource_types())
    for kind in resource_types():
        for one in _searchable(kind):
            for target in one.targets if len(one.targets) < everything else ():
                found.setdefault(target, []).append(f"{kind}:{one.code}")
    return found
