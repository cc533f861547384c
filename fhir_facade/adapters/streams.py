"""Wakes those who wait for new rows: at once within a process, by looking at the newest row number between processes.

A listener takes `position`, reads the rows after the last it has, and waits; whatever was committed in between wakes
it. https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict

from fhir_facade.errors import FacadeError
from fhir_facade.ports import StateStore
from fhir_facade.rows import Row

LOOK_EVERY_S = 0.5
MAX_TOPICS = 10_000

log = logging.getLogger(__name__)


class ProcessStreams:
    """`Streams` of one process. Call it from the event loop's thread only."""

    def __init__(self) -> None:
        self._count = 0
        self._forgotten = 0
        self._last: dict[str, int] = {}
        self._waiting: defaultdict[str, set[asyncio.Future[None]]] = defaultdict(set)

    def announce(self, topic: str) -> None:
        self._count += 1
        if len(self._last) >= MAX_TOPICS:
            self._last.clear()
            self._forgotten = self._count
        self._last[topic] = self._count
        _wake(self._waiting.pop(topic, set()))

    def announce_everything(self) -> None:
        """Wake the listeners of all topics."""
        self._count += 1
        self._last.clear()
        self._forgotten = self._count
        for topic in list(self._waiting):
            _wake(self._waiting.pop(topic))

    def position(self, topic: str) -> int:
        return self._last.get(topic, self._forgotten)

    async def wait(self, topic: str, *, timeout_s: float, after: int | None = None) -> None:
        if after is not None and self.position(topic) != after:
            return
        future = asyncio.get_running_loop().create_future()
        self._waiting[topic].add(future)
        try:
            await asyncio.wait([future], timeout=timeout_s)
        finally:
            self._forget(topic, future)

    def _forget(self, topic: str, future: asyncio.Future[None]) -> None:
        others = self._waiting.get(topic)
        if others is not None:
            others.discard(future)
            if not others:
                del self._waiting[topic]


class PolledStreams(ProcessStreams):
    """`Streams` of several processes: one look per process and half second at the newest number of a serial table."""

    def __init__(self, state: StateStore, row: type[Row]) -> None:
        """`row` is the numbered row class that listeners read, e.g. `Event`."""
        super().__init__()
        self._state = state
        self._row = row
        self._newest: Row | None = None

    async def run(self) -> None:
        """The poller: run it as a task for the life of the process."""
        self._newest = await self._look()
        self.announce_everything()  # rows of others may have come before this first look
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            newest = await self._look()
            if newest != self._newest:
                self._newest = newest
                self.announce_everything()

    async def _look(self) -> Row | None:
        """The newest row; the one already known while the database is away."""
        try:
            rows = await self._state.read(lambda tx: tx.find(self._row, order=("-id",), limit=1))
        except FacadeError as error:
            log.warning("new events cannot be looked for: %s", error)
            return self._newest
        return rows[0] if rows else None


def _wake(futures: set[asyncio.Future[None]]) -> None:
    for future in futures:
        if not future.done():
            future.set_result(None)
