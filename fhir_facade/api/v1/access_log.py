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
from fhir_facade.flows.access_log import DEFAULT_LIMIT, MOST, Outcome, Role, Wanted, access_log

PATH: Final = "/api/v1/me/access-log"
LONGEST_PAGE: Final = 4096
Action = Literal["C", "R", "U", "D", "E"]
REFUSED: Final[dict[int | str, dict[str, Any]]] = {
    400: {"description": "A date is none, or you stand for several people and named none"},
    403: {"description": "You are no patient and stand for none, or the token lacks AuditEvent.s"},
    404: {"description": "You do not stand for this patient"},
    410: {"description": "The page is too old: begin anew"},
}

router = APIRouter(tags=["access log"])


class LookedAnswer(BaseModel):
    """One line. `action`: `C R U D E` as in AuditEvent; `kind` the type of record, or `notice` for one that the
    server mailed. `role`: who it was, with a `name` where one is known; `app` what it was done with. `emergency`: the
    record was open in an emergency; the opening has the `reason`."""

    id: str
    at: datetime
    action: str
    kind: str
    role: Role
    name: str
    app: str
    outcome: Outcome
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
    patient: Annotated[str | None, Query(max_length=64, description="Whose, for who stands for several.")] = None,
    since: Annotated[str | None, Query(alias="from", max_length=40, description="A FHIR date or dateTime.")] = None,
    until: Annotated[str | None, Query(alias="to", max_length=40, description="A FHIR date or dateTime.")] = None,
    action: Annotated[list[Action] | None, Query(description="Of these kinds only.")] = None,
    outcome: Outcome | None = None,
    emergency: Annotated[bool, Query(description="Openings of the record in an emergency only.")] = False,
) -> Response:
    """Everything that was done with your data and tried: who, when, what, with which app. `page` knows the rest."""
    wanted = Wanted(since, until, action or (), outcome, emergency)
    found = await access_log(
        ports, caller.principal, patient=patient, wanted=wanted, limit=limit, page=page, origin=caller.origin
    )
    content = {
        "entries": [{**asdict(each), "at": each.at.isoformat()} for each in found.entries],
        "next": found.next,
    }
    return Response(decimal_dumps(content), media_type="application/json", headers={"Cache-Control": "no-store"})
