"""/health for probes and people, /metrics for Prometheus."""

from __future__ import annotations

from secrets import compare_digest
from typing import Final

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from fhir_facade.api.address import is_local
from fhir_facade.api.dependencies import PortsDep, authorization_of, deps_of
from fhir_facade.api.readiness import NOT_STORED, readiness
from fhir_facade.errors import Unauthenticated

router = APIRouter(tags=["operation"])

FROM_ELSEWHERE: Final = (
    "metrics are for programs on this machine that come without a proxy; from elsewhere send the bearer token that the "
    "operator chose in FHIR_FACADE_METRICS_TOKEN"
)


@router.get("/health", responses={503: {"description": "A dependency is down"}})
async def health(ports: PortsDep) -> JSONResponse:
    """Each dependency with its status and `response_time_ms`; 503 when one is down."""
    status, content = await readiness(ports)
    return JSONResponse(content, status, NOT_STORED)


@router.get(
    "/metrics",
    response_class=Response,
    responses={200: {"content": {"text/plain": {}}}, 401: {"description": "From elsewhere, without the token"}},
)
async def metrics(request: Request) -> Response:
    """Prometheus metrics of all processes of this server; they hold no ids. They tell what everybody does together, so
    they are for programs on the same machine, and for who has the bearer token of FHIR_FACADE_METRICS_TOKEN."""
    from prometheus_client import CONTENT_TYPE_LATEST  # loaded when somebody asks

    deps = deps_of(request)
    if not (_is_local(request) or _has_token(request, deps.metrics_token)):
        raise Unauthenticated(FROM_ELSEWHERE)
    return Response(deps.observer.metrics(), media_type=CONTENT_TYPE_LATEST, headers=NOT_STORED)


def _is_local(request: Request) -> bool:
    peer = request.client.host if request.client else None
    return is_local(peer, request.headers.keys(), ",".join(request.headers.getlist("host")))


def _has_token(request: Request, token: str) -> bool:
    scheme, _, said = authorization_of(request).partition(" ")
    return bool(token) and scheme.lower() == "bearer" and compare_digest(said.strip().encode(), token.encode())
