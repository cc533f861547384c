"""What operators see: one JSON line per request and Prometheus metrics; neither holds an id, a name or a token."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from typing import Any

from fhir_facade.api.tallies import Tallies, exposition
from fhir_facade.errors import Unavailable

_LOG = logging.getLogger("fhir_facade.request")
_OF_EVERY_REQUEST = vars(logging.LogRecord(_LOG.name, logging.INFO, __file__, 0, "request.answered", (), None))


class _Answered(logging.LogRecord):
    """One record for the requests of one turn of the event loop, a line for each, and without the search for who logs:
    both cost more than a read may."""

    def __init__(self, lines: Sequence[tuple[float, Mapping[str, Any]]]) -> None:
        self.__dict__.update(_OF_EVERY_REQUEST)
        self.created = lines[-1][0]
        self.lines = lines


class Observer:
    """Counts and logs requests; one per process."""

    def __init__(self, shared_folder: str | None = None) -> None:
        """`shared_folder` is where all processes of a server write down what they counted."""
        self._tallies = Tallies(shared_folder)
        self._answered: list[tuple[float, Mapping[str, Any]]] = []

    def request(self, room: str, interaction: str, status: int, seconds: float, request_id: str) -> None:
        """Inside the event loop."""
        self._tallies.count((room, interaction, status), seconds)
        if _LOG.isEnabledFor(logging.INFO):
            if not self._answered:
                asyncio.get_running_loop().call_soon(self._tell)
            members = {
                "room": room,
                "interaction": interaction,
                "status": status,
                "ms": int(seconds * 100_000) / 100,
                "request_id": request_id,
            }
            self._answered.append((time.time(), members))

    def cut_off(self, room: str, interaction: str, seconds: float, request_id: str) -> None:
        """Of a request that the server did not wait for when it ended, however far its answer was."""
        self._tallies.count((room, interaction, Unavailable.status), seconds)
        told = {"room": room, "interaction": interaction, "status": Unavailable.status}
        _LOG.info("request.cut_off", extra={**told, "ms": round(seconds * 1000, 2), "request_id": request_id})

    def _tell(self) -> None:
        lines, self._answered = self._answered, []
        _LOG.handle(_Answered(lines))

    def defect(self, request_id: str) -> None:
        """Inside an except block: the trace goes to the log, the caller gets the id."""
        _LOG.exception("request.defect", extra={"request_id": request_id})

    def metrics(self) -> bytes:
        return exposition(self._tallies.of_all())
