"""Bodies of everything beside the FHIR API have an end: how long they are and how long they may take.

Frameworks read a body before they ask who sent it. https://www.rfc-editor.org/rfc/rfc9110#section-15.5.14
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import ClassVar, Final

from starlette.exceptions import HTTPException

from fhir_facade.api.wire import Receive, Scope, Send

LARGEST: Final = 256 * 1024
"""No form and no document of ours comes near it; forms and registrations have narrower limits of their own."""


class BoundedBodies:
    """413 for a body that is too long, 408 for one that takes too long. Pure ASGI."""

    within_s: ClassVar[float] = 30.0

    def __init__(self, app: Callable[[Scope, Receive, Send], Awaitable[None]]) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        bounded = _Bounded(receive, self.within_s) if scope["type"] == "http" else receive
        await self._app(scope, bounded, send)


class _Bounded:
    """`receive` until the body is there, then as it was: those who stream listen on it for the other side to go."""

    def __init__(self, receive: Receive, within_s: float) -> None:
        self._receive = receive
        self._until = asyncio.get_running_loop().time() + within_s
        self._size = 0
        self._whole = False

    async def __call__(self) -> Scope:
        if self._whole:
            return await self._receive()
        try:
            async with asyncio.timeout_at(self._until):
                message = await self._receive()
        except TimeoutError:
            raise HTTPException(408, "the body took too long: send it again") from None
        self._size += len(message.get("body", b""))
        if self._size > LARGEST:
            raise HTTPException(413, f"the body is larger than {LARGEST} bytes, the most that is accepted here")
        self._whole = not message.get("more_body", False)
        return message
