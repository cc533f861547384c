"""The TerminologyCapabilities: which code systems this server knows, out of what it ships.

https://hl7.org/fhir/R4/terminologycapabilities.html
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fhir_facade.fhir.capability import RELEASED
from fhir_facade.values import Deployment
from terminology.known import known


def terminology_capabilities(deployment: Deployment, *, released: str = RELEASED) -> dict[str, Any]:
    """The statement of one deployment, a new dictionary each time."""
    return {
        "resourceType": "TerminologyCapabilities",
        "id": "facade",
        "name": "FhirFacadeTerminology",
        "title": "fhir-facade",
        "status": "active",
        "date": released,
        "kind": "instance",
        "software": {"name": "fhir-facade", "version": deployment.software_version},
        "implementation": {"description": "Code systems of FHIR R4 and of the project", "url": deployment.fhir_url},
        "lockedDate": False,
        "codeSystem": [_system(url, system) for url, system in sorted(known("CodeSystem").items())],
    }


def _system(url: str, system: Mapping[str, Any]) -> dict[str, Any]:
    version = system.get("version")
    return {"uri": url} if version is None else {"uri": url, "version": [{"code": version, "isDefault": True}]}
