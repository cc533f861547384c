"""HEAD is answered wherever GET is. https://www.rfc-editor.org/rfc/rfc9110#section-9.3.2"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from fhir_facade.api.wire import Receive, Scope, Send


class HeadAsGet:
    """Asks for what GET would get, and sends the head of it. The content of a stream would never end: the answer is
    over before it begins, and whoever streams is told so as if the other side had gone. Pure ASGI."""

    def __init__(self, app: Callable[[Scope, Receive, Send], Awaitable[None]]) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return

        async def head_only(message: Scope) -> None:
            if message["type"] == "http.response.start":
                await send(message)
                await send({"type": "http.response.body", "body": b""})

        asked = {**scope, "method": "GET"}
        try:
            await self._app(asked, receive, head_only)
        finally:
            scope["route"] = asked.get("route")  # which is counted by its name


def with_head(allowed: str) -> str:
    """What Allow says, of a framework that does not know of HEAD wherever GET is."""
    methods = allowed.split(", ")
    return f"{allowed}, HEAD" if "GET" in methods and "HEAD" not in methods else allowed
