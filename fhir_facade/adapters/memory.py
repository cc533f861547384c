"""Short-lived answers of one process, each asked for once at a time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

T = TypeVar("T")

MAX_ANSWERS = 10_000


class ProcessMemory:
    """`Memory` in a dictionary. A failed `make` is not remembered."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._answers: dict[tuple[Any, ...], tuple[float, asyncio.Future[Any]]] = {}

    async def recall(self, key: tuple[Any, ...], *, for_s: float, make: Callable[[], Awaitable[T]]) -> T:
        known = self._answers.get(key)
        now = self._monotonic()
        if known is not None and known[0] > now:
            answer: T = await asyncio.shield(known[1])
            return answer
        if len(self._answers) >= MAX_ANSWERS:
            self._answers.clear()
        future = asyncio.ensure_future(make())
        self._answers[key] = (now + for_s, future)
        try:
            return await asyncio.shield(future)
        except BaseException:
            self._answers.pop(key, None)
            raise

    def forget(self, topic: str) -> None:
        for key in [key for key in self._answers if key[0] == topic]:
            del self._answers[key]
