"""Launches over REST: an EHR, or the person in it, starts an app with the patient at hand.

https://hl7.org/fhir/smart-app-launch/STU2.2/app-launch.html#launch-app-ehr-launch
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from fhir_facade.api.dependencies import CallerDep, PortsDep, deps_of
from fhir_facade.api.v1.ids import FhirId
from fhir_facade.flows.launch.launches import NewLaunch, issue_launch

PREFIX: Final = "/api/v1/launches"

router = APIRouter(prefix=PREFIX, tags=["sign-in"])


class LaunchRequest(BaseModel):
    """`user` (account id or user name) is for services; a person launches for herself. `fhirContext`: as SMART 2.2."""

    model_config = ConfigDict(extra="forbid")
    client_id: str = Field(min_length=1, max_length=128)
    user: str | None = Field(None, max_length=100)
    patient: FhirId | None = None
    encounter: FhirId | None = None
    intent: str | None = None
    fhirContext: list[dict[str, Any]] = Field(default_factory=list)  # noqa: N815 - the word of SMART
    need_patient_banner: bool = True


class LaunchAnswer(BaseModel):
    """`launch` goes to the app's launch address together with `iss`; `url` is that address, when one is registered."""

    launch: str
    iss: str
    url: str | None
    expires_at: datetime


@router.post("", status_code=201, response_model=LaunchAnswer)
async def launch(asked: LaunchRequest, request: Request, ports: PortsDep, caller: CallerDep) -> Any:
    """Make a launch token: for one app and one user, to be used once within minutes."""
    iss = deps_of(request).oauth.issuer.fhir
    new = NewLaunch(
        client_id=asked.client_id,
        user=asked.user,
        patient=asked.patient,
        encounter=asked.encounter,
        intent=asked.intent,
        context=tuple(asked.fhirContext),
        banner=asked.need_patient_banner,
    )
    issued = await issue_launch(ports, caller.principal, new, iss=iss, origin=caller.origin)
    answer = LaunchAnswer(launch=issued.token, iss=iss, url=issued.url, expires_at=issued.expires_at)
    return JSONResponse(answer.model_dump(mode="json"), 201, {"Cache-Control": "no-store"})
