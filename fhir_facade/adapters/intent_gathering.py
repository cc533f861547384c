"""Commits of callers who have nothing to do with each other and wait at the same time, gathered into few transactions.

Up to `AT_ONCE` are under way, each as it came. Who comes while that many are waits for the first of them to end, and
goes together with others who wait, as a group commit does on a disk: the more callers, the fewer requests for each. One
caller alone waits for nobody.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from functools import partial
from typing import Any, Final

from fhir_facade.ports import Commit, Committed
from fhir_facade.rows import RowChange
from fhir_facade.values import StoredResource, Write

AT_ONCE: Final = 8
"""Requests that a HAPI on a few processors is busy with; beyond them they wait there as well as here."""

CommitOne = Callable[[Sequence[Write], Sequence[RowChange]], Awaitable[Sequence[StoredResource]]]
CommitEach = Callable[[Sequence[Commit]], Coroutine[Any, Any, Sequence[Committed]]]
_Waiting = tuple[Commit, asyncio.Future[Sequence[StoredResource]]]
_Together = asyncio.Task[Sequence[Committed]]


class Gathering:
    """`one` commits what comes alone, `each` several: with a result or an error for each in its place."""

    def __init__(self, one: CommitOne, each: CommitEach) -> None:
        self._one = one
        self._each = each
        self._under_way = 0
        self._waiting: deque[_Waiting] = deque()
        self._together: set[_Together] = set()

    async def commit(self, writes: Sequence[Write], rows: Sequence[RowChange]) -> Sequence[StoredResource]:
        """What `one` would answer or raise."""
        if self._under_way >= AT_ONCE:
            future: asyncio.Future[Sequence[StoredResource]] = asyncio.get_running_loop().create_future()
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
        gathered = there[:count]
        # in a context of its own: it is no part of the request that ended
        together = asyncio.get_running_loop().create_task(
            self._each([commit for commit, _ in gathered]), context=contextvars.Context()
        )
        self._together.add(together)
        together.add_done_callback(partial(self._answer, gathered))

    def _answer(self, gathered: Sequence[_Waiting], together: _Together) -> None:
        """Each gets what is its own; a defect is theirs who went together."""
        self._together.discard(together)
        if together.cancelled():  # with everybody else: the process ends
            return
        self._ended()
        defect = together.exception()
        answers = together.result() if defect is None else [defect] * len(gathered)
        for (_, future), answer in zip(gathered, answers, strict=True):
            if future.done():  # who went away
                continue
            if isinstance(answer, BaseException):
                future.set_exception(answer)
            else:
                future.set_result(answer)
