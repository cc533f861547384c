"""Whether what the facade depends on answers, for `/health`: also while the rest of it is still being loaded."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

from fhir_facade.errors import FacadeError
from fhir_facade.ports import Ports

PATIENCE_S = 5.0
"""A dependency that takes longer is down: whoever probes does not wait forever."""

NOT_STORED = {"Cache-Control": "no-store"}
Ping = Callable[[], Awaitable[None]]


async def readiness(ports: Ports) -> tuple[int, dict[str, Any]]:
    """The status and what is told: each dependency with its status and `response_time_ms`; 503 when one is down."""
    found = await asyncio.gather(check(ports.store.ping), check(ports.state.ping))
    checks = dict(zip(("store", "database"), found, strict=True))
    healthy = all(check["status"] == "up" for check in checks.values())
    content = {
        "status": "up" if healthy else "down",
        "version": ports.deployment.software_version,
        "dependencies": checks,
    }
    return 200 if healthy else 503, content


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
