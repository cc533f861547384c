"""Commits of callers who have nothing to do with each other and wait at the same time, gathered into few transactions.

Up to `AT_ONCE` are under way, each as it came. Who comes while that many are waits for the first of them to end, and
goes together with others who wait, as a group commit does on a disk: the more callers, the fewer requests for each. One
caller alone waits for nobody.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from fhir_facade.ports import Commit, Committed
from fhir_facade.rows import RowChange
from fhir_facade.values import StoredResource, Write

AT_ONCE: Final = 8
"""Requests that a HAPI on a few processors is busy with; beyond them they wait there as well as here."""

_Answer = asyncio.Future[Sequence[StoredResource]]
CommitOne = Callable[[Sequence[Write], Sequence[RowChange]], Awaitable[Sequence[StoredResource]]]
CommitEach = Callable[[Sequence[Commit]], Awaitable[Sequence[Committed]]]


class Gathering:
    """`one` commits what comes alone, `each` several: with a result or an error for each in its place."""

    def __init__(self, one: CommitOne, each: CommitEach) -> None:
        self._one = one
        self._each = each
        self._under_way = 0
        self._waiting: deque[tuple[Commit, _Answer]] = deque()
        self._tasks: set[asyncio.Task[None]] = set()

    async def commit(self, writes: Sequence[Write], rows: Sequence[RowChange]) -> Sequence[StoredResource]:
        """What `one` would answer or raise."""
        if self._under_way >= AT_ONCE:
            future: _Answer = asyncio.get_running_loop().create_future()
            self._waiting.append(((writes, rows), future))
            return await future
        self._under_way += 1
        try:
            return await self._one(writes, rows)
        finally:
            self._ended()

    def _ended(self) -> None:
        """The place goes to an equal part of those who still wait."""
        self._under_way -= 1
        there = [waiting for waiting in self._waiting if not waiting[1].done()]  # who went away is done
        count = -(-len(there) // AT_ONCE)
        self._waiting = deque(there[count:])
        if not count:
            return
        self._under_way += 1
        # in a context of its own: it is no part of the request that ended
        task = asyncio.get_running_loop().create_task(self._together(there[:count]), context=contextvars.Context())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _together(self, gathered: list[tuple[Commit, _Answer]]) -> None:
        answers: Sequence[Committed | Exception]
        try:
            answers = await self._each([commit for commit, _ in gathered])
        except Exception as error:  # noqa: BLE001 - a defect, which is theirs who wait
            answers = [error] * len(gathered)
        finally:
            self._ended()
        for (_, future), answer in zip(gathered, answers, strict=True):
            if future.done():
                continue
            if isinstance(answer, Exception):
                future.set_exception(answer)
            else:
                future.set_result(answer)
