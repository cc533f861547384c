"""Wearables over REST: connect one, look at it, read it, disconnect it.

https://www.rfc-editor.org/rfc/rfc6749#section-4.1, https://www.rfc-editor.org/rfc/rfc9110#status.202
"""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from fhir_facade.api.dependencies import CallerDep, PortsDep, deps_of
from fhir_facade.api.v1.ids import ID, FhirId, PathId
from fhir_facade.flows import connect, connections
from fhir_facade.flows.connections import ConnectionView
from fhir_facade.flows.wearables.acting import acting_patient, reachable
from fhir_facade.flows.wearables.report import SyncReport
from fhir_facade.values import Interaction

PREFIX: Final = "/api/v1/connections"
CALLBACK: Final = f"{PREFIX}/callback"
LONGEST_WAIT_S: Final = 600

router = APIRouter(prefix=PREFIX, tags=["wearables"])


class BeginRequest(BaseModel):
    """`patient` is needed when the token has none in context."""

    model_config = ConfigDict(extra="forbid")
    vendor: str
    patient: FhirId | None = None


class BegunAnswer(BaseModel):
    """`authorize_url` is where the person's browser goes next; `login_hint` may be appended."""

    id: str
    state: str
    authorize_url: str


class ConnectionAnswer(BaseModel):
    """`state`: `pending active reconsent-needed missing-scopes not-linked retired error`."""

    id: str
    patient: str
    vendor: str
    state: str
    created_at: datetime
    granted_scopes: list[str]
    missing_scopes: list[str]
    zone: str | None
    last_sync: datetime | None
    last_error: str | None


class ConnectionsAnswer(BaseModel):
    connections: list[ConnectionAnswer]


class SyncRequest(BaseModel):
    """`full` reads the whole look-back again; the answer comes after `wait_s` seconds at the latest."""

    model_config = ConfigDict(extra="forbid")
    full: bool = False
    wait_s: float = Field(120, ge=0, le=LONGEST_WAIT_S)


class MetricAnswer(BaseModel):
    """`read` counts the vendor's records, the others Observations. `unreadable` counts by reason what the vendor sent
    and nobody could read: it is left out. What the vendor did not measure, or not yet, is no part of it."""

    read: int
    created: int
    updated: int
    unchanged: int
    removed: int
    unreadable: dict[str, int]
    error: str | None


class SyncAnswer(BaseModel):
    """What a sync did, by kind of data. `error` is what stopped it, or failed first."""

    connection: ConnectionAnswer
    metrics: dict[str, MetricAnswer]
    provenance: str | None
    error: str | None


class RevokedAnswer(BaseModel):
    """`revoked` false: the vendor could not be told; the application can be removed in the vendor's settings."""

    revoked: bool


@router.post("", status_code=201, response_model=BegunAnswer)
async def begin(asked: BeginRequest, request: Request, ports: PortsDep, caller: CallerDep) -> Any:
    """Begin to connect a wearable. Begun with the portal's session, the same session has to come back."""
    begun = await connect.begin(
        ports,
        caller.principal,
        vendor=asked.vendor,
        redirect_uri=f"{deps_of(request).oauth.issuer.base}{CALLBACK}",
        patient=asked.patient,
        session=caller.session,
    )
    connection = begun.connection
    content = {"id": connection.id, "state": connection.state, "authorize_url": begun.authorize_url}
    return JSONResponse(content, 201, {"Location": f"{PREFIX}/{connection.id}", "Cache-Control": "no-store"})


@router.get("", response_model=ConnectionsAnswer)
async def list_connections(
    ports: PortsDep, caller: CallerDep, patient: Annotated[str | None, Query(pattern=ID)] = None
) -> Any:
    """The connections of a patient: the one of the token, or the named one."""
    wanted = await acting_patient(ports, caller.principal, patient, Interaction.READ)
    found = await connections.connections_of(ports, caller.principal, wanted, origin=caller.origin)
    return {"connections": [_shown(each) for each in found]}


@router.get("/{connection_id}", response_model=ConnectionAnswer)
async def look(connection_id: PathId, ports: PortsDep, caller: CallerDep) -> Any:
    """One connection: its state, what was granted, when it was last read and what went wrong then."""
    return _shown(await connections.look(ports, caller.principal, connection_id, origin=caller.origin))


@router.post(
    "/{connection_id}/sync",
    response_model=SyncAnswer,
    responses={
        202: {"model": ConnectionAnswer, "description": "It takes longer and goes on; look at Location"},
        409: {"description": "The access was not granted at the vendor yet"},
    },
)
async def sync(
    connection_id: PathId,
    request: Request,
    ports: PortsDep,
    caller: CallerDep,
    asked: SyncRequest | None = None,
) -> Any:
    """Read the wearable now. It goes on when the caller goes away."""
    asked = asked or SyncRequest()
    connection = await reachable(ports, caller.principal, connection_id, Interaction.CREATE)
    report = await deps_of(request).syncs.wait_for(connection.id, full=asked.full, wait_s=asked.wait_s)
    if report is not None:
        return _told(report)
    answer = ConnectionAnswer(**_shown(connections.view(ports, connection))).model_dump(mode="json")
    return JSONResponse(answer, 202, {"Location": f"{PREFIX}/{connection.id}", "Cache-Control": "no-store"})


@router.delete("/{connection_id}", response_model=RevokedAnswer)
async def disconnect(connection_id: PathId, ports: PortsDep, caller: CallerDep) -> Any:
    """Revoke the access at the vendor and forget the tokens. What was measured stays in the record."""
    ended = await connections.disconnect(ports, caller.principal, connection_id)
    return {"revoked": ended.revoked}


def _shown(view: ConnectionView) -> dict[str, Any]:
    shown = asdict(view)
    return {**shown, "granted_scopes": shown["scopes"], "last_sync": shown["last_sync_at"]}


def _told(report: SyncReport) -> dict[str, Any]:
    return {
        "connection": _shown(report.connection),
        "metrics": {name: asdict(metric) for name, metric in report.metrics.items()},
        "provenance": report.provenance and f"Provenance/{report.provenance}",
        "error": report.error,
    }
