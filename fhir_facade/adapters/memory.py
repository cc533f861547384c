"""Short-lived answers of one process, each asked for once at a time; forgotten in all processes of a server at once."""

from __future__ import annotations

import asyncio
import mmap
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar
from zlib import crc32

T = TypeVar("T")

MAX_ANSWERS = 10_000
FEW_ANSWERS = 256
COUNT_BYTES = 8
ROWS = 64
"""Two topics that share one are forgotten together, which costs a question more."""


class Marks:
    """Made before the processes of a server part: each counts in places of its own how often a topic was forgotten, and
    all see all counts."""

    def __init__(self, processes: int = 1) -> None:
        self._row = processes * COUNT_BYTES
        self._places = mmap.mmap(-1, ROWS * self._row)
        self._own = 0

    def mine(self, process: int) -> None:
        """Which of the processes this one is."""
        self._own = process * COUNT_BYTES

    def forgotten(self, topic: str) -> None:
        at = self._start(topic) + self._own
        count = int.from_bytes(self._places[at : at + COUNT_BYTES]) + 1
        self._places[at : at + COUNT_BYTES] = count.to_bytes(COUNT_BYTES)

    def now(self, topic: str) -> bytes:
        """Another value as soon as any process has forgotten the topic."""
        start = self._start(topic)
        return self._places[start : start + self._row]

    def _start(self, topic: str) -> int:
        return crc32(topic.encode()) % ROWS * self._row


class ProcessMemory:
    """`Memory` in a dictionary. A failed `make` is not remembered."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic, marks: Marks | None = None) -> None:
        self._monotonic = monotonic
        self._marks = marks or Marks()
        self._answers: dict[tuple[Any, ...], tuple[float, bytes, asyncio.Future[Any]]] = {}
        self._enough = FEW_ANSWERS

    async def recall(self, key: tuple[Any, ...], *, for_s: float, make: Callable[[], Awaitable[T]]) -> T:
        known = self._answers.get(key)
        now, mark = self._monotonic(), self._marks.now(key[0])
        if known is not None and known[0] > now and known[1] == mark:
            answer: T = await asyncio.shield(known[2])
            return answer
        if len(self._answers) >= self._enough:
            self._drop_the_old(now)
        future = asyncio.ensure_future(make())
        self._answers[key] = (now + for_s, mark, future)
        try:
            return await asyncio.shield(future)
        except BaseException:
            if key in self._answers and self._answers[key][2] is future:
                del self._answers[key]
            raise

    def _drop_the_old(self, now: float) -> None:
        """What nobody will be answered any more; again when twice as much as stays has come together."""
        self._answers = {key: kept for key, kept in self._answers.items() if kept[0] > now}
        if len(self._answers) >= MAX_ANSWERS:
            self._answers = {}
        self._enough = min(max(2 * len(self._answers), FEW_ANSWERS), MAX_ANSWERS)

    def forget(self, topic: str) -> None:
        self._marks.forgotten(topic)
        for key in [key for key in self._answers if key[0] == topic]:
            del self._answers[key]
