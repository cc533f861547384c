"""/health for probes and people, /metrics for Prometheus."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST
from pydantic import Field

from fhir_facade.api.dependencies import PortsDep, deps_of
from fhir_facade.errors import FacadeError

router = APIRouter(tags=["operation"])

Ping = Callable[[], Awaitable[None]]
Milliseconds = Annotated[float, Field(ge=0)]


@router.get("/health", responses={503: {"description": "A dependency is down"}})
async def health(ports: PortsDep) -> JSONResponse:
    """Each dependency with its status and `response_time_ms`; 503 when one is down."""
    checks = {"store": await _check(ports.store.ping), "database": await _check(ports.state.ping)}
    healthy = all(check["status"] == "up" for check in checks.values())
    content = {
        "status": "up" if healthy else "down",
        "version": ports.deployment.software_version,
        "dependencies": checks,
    }
    return JSONResponse(content, 200 if healthy else 503, {"Cache-Control": "no-store"})


async def _check(ping: Ping) -> dict[str, Any]:
    started = time.perf_counter()
    try:
        await ping()
        status, detail = "up", None
    except FacadeError as error:
        status, detail = "down", type(error).__name__
    result: dict[str, Any] = {"status": status, "response_time_ms": round((time.perf_counter() - started) * 1000, 2)}
    return result if detail is None else {**result, "error": detail}


@router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
async def metrics(request: Request) -> Response:
    """Prometheus metrics of this process; they hold no ids."""
    return Response(deps_of(request).observer.metrics(), media_type=CONTENT_TYPE_LATEST)
