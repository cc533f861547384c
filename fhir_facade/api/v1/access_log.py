"""Who looked at one's own data, over REST.

45 CFR 164.528, https://profiles.ihe.net/ITI/BALP/
"""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Query
from fastapi.responses import Response
from pydantic import BaseModel

from fhir_facade.api.dependencies import CallerDep, PortsDep
from fhir_facade.fhir.document import decimal_dumps
from fhir_facade.flows.access_log import DEFAULT_LIMIT, MOST, access_log

PATH: Final = "/api/v1/me/access-log"
LONGEST_PAGE: Final = 4096
REFUSED: Final[dict[int | str, dict[str, Any]]] = {
    403: {"description": "You are no patient, or the token lacks patient/AuditEvent.s"},
    410: {"description": "The page is too old: begin anew"},
}

router = APIRouter(tags=["access log"])


class LookedAnswer(BaseModel):
    """One line. `action`: `C R U D E` as in AuditEvent; `kind` the type of record. `role`: who it was, with a `name`
    where one is known; `app` what it was done with. `reason` is given for emergency access."""

    id: str
    at: datetime
    action: str
    kind: str
    role: Literal["you", "staff", "proxy", "service", "engine", "nobody"]
    name: str
    app: str
    outcome: Literal["success", "refused", "failed"]
    emergency: bool
    reason: str


class AccessLogAnswer(BaseModel):
    """Newest first. `next` is the `page` of the following request; null on the last page."""

    entries: list[LookedAnswer]
    next: str | None


@router.get(PATH, response_model=AccessLogAnswer, responses=REFUSED)
async def own_access_log(
    ports: PortsDep,
    caller: CallerDep,
    limit: Annotated[int, Query(ge=1, le=MOST)] = DEFAULT_LIMIT,
    page: Annotated[str | None, Query(max_length=LONGEST_PAGE)] = None,
) -> Response:
    """Everything that was done with your data and tried: who, when, what, with which app."""
    found = await access_log(ports, caller.principal, limit=limit, page=page, origin=caller.origin)
    content = {
        "entries": [{**asdict(each), "at": each.at.isoformat()} for each in found.entries],
        "next": found.next,
    }
    return Response(decimal_dumps(content), media_type="application/json", headers={"Cache-Control": "no-store"})
