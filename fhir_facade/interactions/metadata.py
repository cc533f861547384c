"""What this server can do, before anybody has signed in. https://hl7.org/fhir/R4/http.html#capabilities"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from fhir_facade.errors import BadRequest
from fhir_facade.fhir.capability import NORMATIVE, capability_statement
from fhir_facade.fhir.terminology_capabilities import terminology_capabilities
from fhir_facade.interactions.call import Call
from fhir_facade.values import Deployment, FhirResponse

REMEMBERED_S = 3600.0
FULL: Final = "full"

Statement = Callable[[Deployment], dict[str, Any]]

_MODES: Final[Mapping[str, Statement]] = {
    FULL: capability_statement,
    "normative": lambda deployment: capability_statement(deployment, types=NORMATIVE),
    "terminology": terminology_capabilities,
}


async def capabilities(call: Call) -> FhirResponse:
    """The same bytes for everybody; they name no record, so no audit line is written. BadRequest: no such mode."""
    mode = call.request.operation or dict(call.request.params).get("mode", FULL)
    statement = _versions if call.request.operation else _MODES.get(mode)
    if statement is None:
        raise BadRequest(f"mode={mode} is not known: it is one of {', '.join(_MODES)}")

    async def make() -> bytes:
        return msgspec.json.encode(statement(call.ports.deployment))

    body = await call.ports.memory.recall(("capabilities", mode), for_s=REMEMBERED_S, make=make)
    return FhirResponse(200, body)


def _versions(_: Deployment) -> dict[str, Any]:
    """https://hl7.org/fhir/R4/capabilitystatement-operation-versions.html"""
    parameters = [{"name": name, "valueCode": "4.0"} for name in ("version", "default")]
    return {"resourceType": "Parameters", "parameter": parameters}
