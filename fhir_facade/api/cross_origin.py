"""Which pages of other origins may call: any that holds a bearer token, none with a cookie.

A token is no ambient authority, so every origin is welcome and credentials stay off. https://fetch.spec.whatwg.org/#http-cors-protocol
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from fhir_facade.api.wire import Answer, Headers, Receive, Scope, Send, headers_of, respond

OPEN_TO_SCRIPTS: Final = "/api/v1/"

_EXPOSED: Final = b"ETag, Location, Content-Location, Last-Modified, Retry-After, WWW-Authenticate, X-Request-ID"
_ORIGIN: Final = (b"access-control-allow-origin", b"*")
_METHODS: Final = b"GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"
_ACCEPTED: Final = (
    b"Accept, Authorization, Content-Type, If-Match, If-Modified-Since, If-None-Exist, If-None-Match, "
    b"Last-Event-ID, Prefer, X-Request-ID, X-Security-Context"
)
_PREFLIGHT: Final = (
    (b"allow", _METHODS),
    (b"access-control-allow-methods", _METHODS),
    (b"access-control-allow-headers", _ACCEPTED),
    (b"access-control-max-age", b"600"),
    (b"vary", b"Origin, Access-Control-Request-Method, Access-Control-Request-Headers"),
)


def cors(headers: Headers) -> tuple[tuple[bytes, bytes], ...]:
    """What an answer says to the browser of a script; nothing to everybody else."""
    return (_ORIGIN, (b"access-control-expose-headers", _EXPOSED)) if b"origin" in headers else ()


def preflight() -> Answer:
    """The answer to OPTIONS, which a browser asks before a script's request with an Authorization header."""
    return Answer(204, b"", _PREFLIGHT)


class CrossOrigin:
    """Opens the convenience API to scripts; the other addresses decide for themselves. Pure ASGI."""

    def __init__(self, app: Callable[[Scope, Receive, Send], Awaitable[None]]) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith(OPEN_TO_SCRIPTS):
            await self._app(scope, receive, send)
            return
        headers = headers_of(scope)

        async def opened(message: Scope) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", []), *cors(headers)]
            await send(message)

        if scope["method"] == "OPTIONS":
            await respond(opened, preflight(), headers)
        else:
            await self._app(scope, receive, opened)
