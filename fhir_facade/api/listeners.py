"""How many streams one caller may hold open at a time: each is a connection, and looks at the rows every few seconds.

https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

from __future__ import annotations

from typing import Final
from weakref import WeakSet

from fhir_facade.errors import TooManyRequests
from fhir_facade.values import Principal

MOST: Final = 32
"""Of one person with all pages and apps, or of one service, in each process."""
RETRY_S: Final = 10
_MOST_CALLERS: Final = 10_000


class Place:
    """Held by a stream as long as it lives."""


class Listeners:
    """Counts the places that still live, so that a connection that broke leaves nothing behind."""

    def __init__(self) -> None:
        self._places: dict[str, WeakSet[Place]] = {}

    def place(self, principal: Principal) -> Place:
        """A place to be kept as long as somebody listens. TooManyRequests when the caller has too many."""
        if len(self._places) >= _MOST_CALLERS:
            self._places = {name: places for name, places in self._places.items() if places}
        places = self._places.setdefault(principal.user or principal.client or principal.name or "", WeakSet())
        if len(places) >= MOST:
            raise TooManyRequests(f"At most {MOST} streams at a time: close one first.", retry_after_s=RETRY_S)
        place = Place()
        places.add(place)
        return place
