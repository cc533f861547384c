"""Everything beside the FHIR API: health, sign-in, the convenience API and the portal, as one FastAPI application."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from fastapi import FastAPI

from fhir_facade.api import docs, health, problems
from fhir_facade.api.bounded import BoundedBodies
from fhir_facade.api.cross_origin import CrossOrigin
from fhir_facade.api.dependencies import WebDeps
from fhir_facade.api.head import HeadAsGet
from fhir_facade.api.oauth.routes import oauth_routes
from fhir_facade.api.observe import Observer
from fhir_facade.api.openapi import describe
from fhir_facade.api.pages.assets import assets
from fhir_facade.api.portal import portal_routes
from fhir_facade.api.v1 import access_log, accounts, alerts, callback, connections, emergency, launches, scores, vitals
from fhir_facade.api.wire import NO_SNIFFING, Receive, Scope, Send, headers_of, request_id, transport_security
from fhir_facade.ports import Ports

Asgi = Callable[[Scope, Receive, Send], Awaitable[None]]


def web_app(deps: WebDeps) -> FastAPI:
    """Built from its parts; each part knows its own routes."""
    app = FastAPI(
        title="fhir-facade",
        version=deps.ports.deployment.software_version,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,  # the framework would send people to whatever host the request names
    )
    app.openapi = describe(app, deps.oauth.issuer, deps.oauth.cookies.name)  # type: ignore[method-assign]  # the way FastAPI documents
    app.state.deps = deps
    problems.install(app)
    for part in (
        health,
        docs,
        access_log,
        accounts,
        alerts,
        callback,
        connections,
        emergency,
        launches,
        scores,
        vitals,
    ):
        app.router.routes.extend(part.router.routes)  # to include a router would look at each of its routes once more
    app.router.routes.extend(oauth_routes(deps.oauth))
    app.router.routes.extend(portal_routes(deps.oauth, deps.syncs))
    app.router.routes.append(assets())
    app.add_middleware(HeadAsGet)
    app.add_middleware(BoundedBodies)
    app.add_middleware(CrossOrigin)
    app.add_middleware(Observed, ports=deps.ports, observer=deps.observer)
    return app


class Observed:
    """Gives each request its id and every answer the headers that all have, counts and logs it, and turns a defect into
    an answer with that id. Pure ASGI."""

    def __init__(self, app: Asgi, ports: Ports, observer: Observer) -> None:
        self._app = app
        self._ports = ports
        self._observer = observer
        self._everywhere = (NO_SNIFFING, *transport_security(ports.deployment.fhir_url))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status = time.perf_counter(), 500
        rid = request_id(headers_of(scope), self._ports.ids.new)
        scope.setdefault("state", {})["request_id"] = rid

        async def watched(message: Scope) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = message.get("headers", [])
                said = {name for name, _ in headers}
                more = (header for header in self._everywhere if header[0] not in said)
                message["headers"] = [*headers, (b"x-request-id", rid.encode()), *more]
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except asyncio.CancelledError:
            self._observer.cut_off("web", _asked(scope), time.perf_counter() - started, rid)
            raise
        except Exception:  # noqa: BLE001 - the last line: logged with its id, answered without a trace
            self._observer.defect(rid)
            if status == 500:
                answer = problems.defect(scope, rid)
                await answer(scope, receive, send)
        self._observer.request("web", _asked(scope), status, time.perf_counter() - started, rid)


def _asked(scope: Scope) -> str:
    """The path of the route, with the names of its parameters."""
    return getattr(scope.get("route"), "path", "none")
