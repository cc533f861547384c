"""Alerts over REST and as a live stream: who looks at what, who is on it, how it ended.

https://www.rfc-editor.org/rfc/rfc6585#section-3 (428), https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any, Final, Literal

import msgspec
from fastapi import APIRouter, Header, Path, Query, Request
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field
from sse_starlette import EventSourceResponse, ServerSentEvent

from fhir_facade.api.dependencies import Caller, CallerDep, PortsDep, caller_again, deps_of
from fhir_facade.api.listeners import CountedStream
from fhir_facade.api.v1.ids import ID
from fhir_facade.errors import FacadeError, Unauthenticated
from fhir_facade.fhir.document import decimal_dumps
from fhir_facade.flows.alert_stream import Told, admit_listener, alert_stream, id_text, newest_event, place_of
from fhir_facade.flows.alerts import DEFAULT_LIMIT, MOST, Alert, act_on, list_alerts, look_at
from fhir_facade.interactions.answers import version_of
from fhir_facade.ports import Ports
from fhir_facade.values import Principal

PREFIX: Final = "/api/v1/alerts"
RECONNECT_MS: Final = 3000
LONGEST_NOTE: Final = 4000
NO_STORE: Final = {"Cache-Control": "no-store"}

router = APIRouter(prefix=PREFIX, tags=["alerts"])
AlertId = Annotated[str, Path(pattern=ID, description="The id of the alert's Task")]
Action = Literal["acknowledge", "respond", "resolve", "false-alarm"]
IfMatch = Annotated[str | None, Header(description='The version you looked at, e.g. W/"1"; demanded')]

ACTED: Final[dict[int | str, dict[str, Any]]] = {
    403: {"description": "Not yours to act on: patients read their alerts"},
    404: {"description": "There is no such alert, or it is not yours: the same answer"},
    409: {"description": "Not possible in the present state"},
    412: {"description": "Somebody was faster: look again"},
    428: {"description": "If-Match is missing"},
}


class NoteAnswer(BaseModel):
    by: str | None
    at: datetime | None
    text: str


class AlertAnswer(BaseModel):
    """One alert. `id` and `version` are those of its Task, `issue` is its finding.

    `state`: `new acknowledged responding cleared-unacked resolved false-alarm`. `open`: somebody still has to deal with
    it. `condition_active`: the readings still show it. `since` and `ended` are times of readings; `actions` are what
    you may do with it now. What the token may not see of the finding is null.
    """

    id: str
    version: str
    state: str
    open: bool
    rule: str
    title: str
    priority: str
    patient: str
    issue: str
    raised_at: datetime
    changed_at: datetime
    severity: str | None
    detail: str | None
    observed: float | None
    comparator: str | None
    threshold: float | None
    unit: str | None
    since: datetime | None
    ended: datetime | None
    condition_active: bool | None
    evidence: list[str]
    owner: str | None
    verdict: str | None
    notes: list[NoteAnswer]
    actions: list[str]


class AlertsAnswer(BaseModel):
    """Newest first. `next` is the `page` of the following request; null on the last page."""

    alerts: list[AlertAnswer]
    next: str | None


class ActRequest(BaseModel):
    """`reason`: for resolve `true-actionable` or `true-not-actionable`; for false-alarm `false-alarm`, `artefact`,
    `wrong-limit` or `context`."""

    model_config = ConfigDict(extra="forbid")
    note: str | None = Field(None, min_length=1, max_length=LONGEST_NOTE)
    reason: str | None = Field(None, min_length=1, max_length=64)


@router.get("", response_model=AlertsAnswer)
async def alerts(
    ports: PortsDep,
    caller: CallerDep,
    patient: Annotated[str | None, Query(pattern=ID)] = None,
    state: Literal["open", "all"] = "open",
    limit: Annotated[int, Query(ge=1, le=MOST)] = DEFAULT_LIMIT,
    page: Annotated[str | None, Query(max_length=4096)] = None,
) -> Response:
    """The alerts of the patients you may see: those somebody still has to deal with, or all."""
    found = await list_alerts(
        ports,
        caller.principal,
        patient=patient,
        open_only=state == "open",
        limit=limit,
        page=page,
        origin=caller.origin,
    )
    return _json({"alerts": [asdict(each) for each in found.alerts], "next": found.next})


@router.get(
    "/stream",
    response_class=EventSourceResponse,
    responses={200: {"description": "Events named `alert`", "content": {"text/event-stream": {}}}},
)
async def stream(
    request: Request,
    ports: PortsDep,
    caller: CallerDep,
    patient: Annotated[str | None, Query(pattern=ID)] = None,
    after: Annotated[str | None, Query(description="As Last-Event-ID, for a first look; that one wins")] = None,
    last_event_id: Annotated[str | None, Header(description="Replay what came after this event; 0: all")] = None,
) -> CountedStream:
    """Alerts as they happen, from the moment the answer begins. `data` is JSON: `kind`, `at`, and references and codes,
    never a value or a name. The stream ends within seconds when the token or session does."""
    await admit_listener(ports, caller.principal, patient)
    told = last_event_id or after
    seen = place_of(ports, told) if told else await newest_event(ports)
    events = _events(request, ports, caller, after=seen, patient=patient)
    return CountedStream(events, deps_of(request).listeners, caller.principal)


async def _events(
    request: Request, ports: Ports, caller: Caller, *, after: int, patient: str | None
) -> AsyncIterator[ServerSentEvent]:
    async def who() -> Principal | None:
        if deps_of(request).syncs.stopping:
            return None
        try:
            return (await caller_again(request)).principal
        except Unauthenticated:
            return None

    yield ServerSentEvent(comment="listening", retry=RECONNECT_MS)
    try:
        async for told in alert_stream(ports, who, after=after, patient=patient, origin=caller.origin):
            yield _event(ports, told)
    except FacadeError:  # a dependency is away: the client comes back with the last id it has
        return


def _event(ports: Ports, told: Told) -> ServerSentEvent:
    data = {"kind": told.kind, "at": told.at, **told.data}
    return ServerSentEvent(msgspec.json.encode(data).decode(), event="alert", id=id_text(ports, told.id))


@router.get("/{alert_id}", response_model=AlertAnswer, responses={404: ACTED[404]})
async def look(alert_id: AlertId, ports: PortsDep, caller: CallerDep) -> Response:
    """One alert."""
    return _one(await look_at(ports, caller.principal, alert_id, origin=caller.origin))


@router.post("/{alert_id}/{action}", response_model=AlertAnswer, responses=ACTED)
async def handle(
    alert_id: AlertId,
    action: Action,
    ports: PortsDep,
    caller: CallerDep,
    asked: ActRequest | None = None,
    if_match: IfMatch = None,
) -> Response:
    """Take the alert over, or close it. Closing ends the episode: the next such reading raises a new alert."""
    asked = asked or ActRequest()
    alert = await act_on(
        ports,
        caller.principal,
        alert_id,
        action,
        version=version_of(if_match),
        note=asked.note,
        verdict=asked.reason,
        origin=caller.origin,
    )
    return _one(alert)


def _one(alert: Alert) -> Response:
    return _json(asdict(alert), {"ETag": f'W/"{alert.version}"'})


def _json(content: Any, headers: dict[str, str] | None = None) -> Response:
    """Digits leave as they are stored, so the framework's encoder stays out of it."""
    return Response(decimal_dumps(content), media_type="application/json", headers={**NO_STORE, **(headers or {})})
