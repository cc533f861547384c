"""Readings a person types in, over REST: plain members become Observations with LOINC and UCUM codes.

https://hl7.org/fhir/R4/observation-vitalsigns.html
"""

from __future__ import annotations

from typing import Any, Final

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from fhir_facade.api.dependencies import CallerDep, PortsDep
from fhir_facade.api.v1.ids import PathId
from fhir_facade.api.wire import headers_of, read_body
from fhir_facade.errors import BadRequest
from fhir_facade.fhir.document import decimal_loads, parse_json
from fhir_facade.flows.vitals import record_vitals
from mappers.vitals import forms

PATH: Final = "/api/v1/patients/{patient_id}/vitals"
BODY: Final = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "properties": {name: {"description": form} for name, form in forms().items()},
                    "additionalProperties": False,
                },
                "example": {"blood_pressure": {"systolic": 120, "diastolic": 80}, "heart_rate": 61},
            }
        },
    }
}

router = APIRouter(tags=["vitals"])


class RecordedAnswer(BaseModel):
    """References of the Observations, in the order of the members."""

    observations: list[str]


@router.post(
    PATH,
    status_code=201,
    response_model=RecordedAnswer,
    responses={422: {"description": "A reading cannot be recorded; `field` names it"}},
    openapi_extra=BODY,
)
async def record(patient_id: PathId, request: Request, ports: PortsDep, caller: CallerDep) -> Any:
    """Record readings, all of them or none. Alert rules see them before this answers."""
    limit = ports.deployment.max_body_bytes
    body = await read_body(request.receive, headers_of(request.scope), limit=limit)
    parse_json(body)
    entry = decimal_loads(body)
    if not isinstance(entry, dict):
        raise BadRequest("the body has to be a JSON object with one member per reading")
    written = await record_vitals(ports, caller.principal, patient_id, entry, origin=caller.origin)
    return JSONResponse({"observations": written}, 201, {"Cache-Control": "no-store"})
