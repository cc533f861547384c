"""/health for probes and people, /metrics for Prometheus."""

from __future__ import annotations

import asyncio
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

PATIENCE_S = 5.0
"""A dependency that takes longer is down: whoever probes does not wait forever."""

Ping = Callable[[], Awaitable[None]]
Milliseconds = Annotated[float, Field(ge=0)]


@router.get("/health", responses={503: {"description": "A dependency is down"}})
async def health(ports: PortsDep) -> JSONResponse:
    """Each dependency with its status and `response_time_ms`; 503 when one is down."""
    found = await asyncio.gather(check(ports.store.ping), check(ports.state.ping))
    checks = dict(zip(("store", "database"), found, strict=True))
    healthy = all(check["status"] == "up" for check in checks.values())
    content = {
        "status": "up" if healthy else "down",
        "version": ports.deployment.software_version,
        "dependencies": checks,
    }
    return JSONResponse(content, 200 if healthy else 503, {"Cache-Control": "no-store"})


async def check(ping: Ping, patience_s: float = PATIENCE_S) -> dict[str, Any]:
    """`up` or `down`, how long it took, and the kind of error: its text could name an address."""
    started = time.perf_counter()
    try:
        async with asyncio.timeout(patience_s):
            await ping()
        status, detail = "up", None
    except (FacadeError, TimeoutError) as error:
        status, detail = "down", type(error).__name__
    result: dict[str, Any] = {"status": status, "response_time_ms": round((time.perf_counter() - started) * 1000, 2)}
    return result if detail is None else {**result, "error": detail}


@router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
async def metrics(request: Request) -> Response:
    """Prometheus metrics of this process; they hold no ids."""
    return Response(deps_of(request).observer.metrics(), media_type=CONTENT_TYPE_LATEST)
