"""Emergency access over REST. https://hl7.org/fhir/R4/v3/PurposeOfUse/vs.html (BTG)"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from fhir_facade.api.dependencies import CallerDep, PortsDep
from fhir_facade.api.v1.ids import PathId
from fhir_facade.flows.emergency import LONGEST_REASON, SHORTEST_REASON, open_in_emergency

PATH: Final = "/api/v1/patients/{patient_id}/emergency-access"
REFUSED: Final[dict[int | str, dict[str, Any]]] = {
    403: {"description": "You are no practitioner, an app asks, or the patient's Consent denies it"},
    404: {"description": "There is no such patient"},
}

router = APIRouter(tags=["access log"])


class EmergencyRequest(BaseModel):
    """Why the record has to be opened; the patient reads it."""

    model_config = ConfigDict(extra="forbid")
    reason: str = Field(min_length=SHORTEST_REASON, max_length=LONGEST_REASON)


class EmergencyAnswer(BaseModel):
    """The record is open to you until `ends_at`; `notice` is what the patient was told."""

    patient: str
    ends_at: datetime
    notice: str


@router.post(PATH, status_code=201, response_model=EmergencyAnswer, responses=REFUSED)
async def open_record(
    patient_id: PathId, asked: EmergencyRequest, ports: PortsDep, caller: CallerDep
) -> EmergencyAnswer:
    """Open the record of a patient who is not in your care, for four hours. The patient is told, and it is audited."""
    opened = await open_in_emergency(ports, caller.principal, patient_id, asked.reason, origin=caller.origin)
    return EmergencyAnswer(patient=opened.patient, ends_at=opened.ends_at, notice=opened.notice)
