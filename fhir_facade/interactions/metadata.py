"""The CapabilityStatement, generated from the table of types. https://hl7.org/fhir/R4/http.html#capabilities"""

from __future__ import annotations

import msgspec

from fhir_facade.fhir.capability import capability_statement
from fhir_facade.interactions.call import Call
from fhir_facade.values import FhirResponse

REMEMBERED_S = 3600.0


async def capabilities(call: Call) -> FhirResponse:
    """The same bytes for everybody; they name no record, so no audit line is written."""

    async def make() -> bytes:
        return msgspec.json.encode(capability_statement(call.ports.deployment))

    body = await call.ports.memory.recall(("capabilities",), for_s=REMEMBERED_S, make=make)
    return FhirResponse(200, body)
