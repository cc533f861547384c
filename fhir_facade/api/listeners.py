"""How many streams one caller may hold open at a time: each is a connection, and looks at the rows every few seconds.

https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Final

from sse_starlette import EventSourceResponse, ServerSentEvent

from fhir_facade.api.wire import Receive, Scope, Send
from fhir_facade.errors import TooManyRequests
from fhir_facade.values import Principal

MOST: Final = 32
"""Of one person with all pages and apps, or of one service, in each process."""
RETRY_S: Final = 10
KEEP_ALIVE_S: Final = 15
GRACE_S: Final = 3
"""How long a stream may take to end by itself when the process does."""


class Listeners:
    """Counts who listens."""

    def __init__(self) -> None:
        self._places: Counter[str] = Counter()

    @contextmanager
    def place(self, principal: Principal) -> Iterator[None]:
        """A place for as long as somebody listens. TooManyRequests when the caller has too many."""
        name = principal.user or principal.client or principal.name or ""
        if self._places[name] >= MOST:
            raise TooManyRequests(f"At most {MOST} streams at a time: close one first.", retry_after_s=RETRY_S)
        self._places[name] += 1
        try:
            yield
        finally:
            self._places[name] -= 1
            if not self._places[name]:
                del self._places[name]


class CountedStream(EventSourceResponse):
    """A stream that has a place from its first byte until nobody reads it any more. What is left behind in memory may
    stay there for a while, so that it is no measure of who listens."""

    def __init__(self, events: AsyncIterator[ServerSentEvent], listeners: Listeners, principal: Principal) -> None:
        super().__init__(events, ping=KEEP_ALIVE_S, sep="\n", shutdown_grace_period=GRACE_S)
        del self.headers["connection"]  # of which the server speaks, who knows whether it is kept
        self._listeners, self._principal = listeners, principal

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._listeners.place(self._principal):
            await super().__call__(scope, receive, send)
