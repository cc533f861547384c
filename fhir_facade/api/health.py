"""/health for probes and people, /metrics for Prometheus."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from pydantic import Field

from fhir_facade.api.dependencies import PortsDep, deps_of
from fhir_facade.api.readiness import NOT_STORED, readiness

router = APIRouter(tags=["operation"])

Milliseconds = Annotated[float, Field(ge=0)]


@router.get("/health", responses={503: {"description": "A dependency is down"}})
async def health(ports: PortsDep) -> JSONResponse:
    """Each dependency with its status and `response_time_ms`; 503 when one is down."""
    status, content = await readiness(ports)
    return JSONResponse(content, status, NOT_STORED)


@router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
async def metrics(request: Request) -> Response:
    """Prometheus metrics of all processes of this server; they hold no ids."""
    from prometheus_client import CONTENT_TYPE_LATEST  # loaded when somebody asks

    return Response(deps_of(request).observer.metrics(), media_type=CONTENT_TYPE_LATEST)
