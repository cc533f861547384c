"""Work of many callers on the same rows, one transaction of a process after the other: at once they repeat each other.

https://www.postgresql.org/docs/15/transaction-iso.html#XACT-SERIALIZABLE
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from fhir_facade.ports import StateTransaction

MAX_CALLERS = 256

Work = Callable[[StateTransaction, Sequence[Any]], Sequence[Any]]
_Caller = tuple[Any, "asyncio.Future[Any]"]


class Together:
    """Give it `write`, which runs a function in one durable transaction."""

    def __init__(
        self, write: Callable[[Callable[[StateTransaction], Sequence[Any]]], Awaitable[Sequence[Any]]]
    ) -> None:
        self._write = write
        self._waiting: dict[Work, list[_Caller]] = {}
        self._running: dict[Work, asyncio.Task[None]] = {}

    async def write(self, work: Work, item: Any) -> Any:
        """What `work` answers for the item. It is called with all items that came during the transaction before, and
        again for each alone when it raises."""
        future = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(work, []).append((item, future))
        if work not in self._running:
            self._running[work] = asyncio.create_task(self._write_all(work), name="write together")
        return await future

    async def settled(self) -> None:
        """Returns when nothing waits any more."""
        while self._running:
            await asyncio.wait(list(self._running.values()))

    async def _write_all(self, work: Work) -> None:
        try:
            while waiting := self._waiting.pop(work, []):
                callers, later = waiting[:MAX_CALLERS], waiting[MAX_CALLERS:]
                if later:
                    self._waiting[work] = later
                await self._commit(work, callers)
        finally:
            del self._running[work]

    async def _commit(self, work: Work, callers: list[_Caller]) -> None:
        items = [item for item, _ in callers]
        writing = asyncio.ensure_future(self._write(lambda tx: work(tx, items)))
        await asyncio.wait([writing])
        error = writing.exception()
        if error is None:
            for (_, future), answer in zip(callers, writing.result(), strict=True):
                _finish(future, answer)
        elif len(callers) == 1:
            _finish(callers[0][1], error=error)
        else:
            for caller in callers:
                await self._commit(work, [caller])


def _finish(future: asyncio.Future[Any], answer: Any = None, error: BaseException | None = None) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(answer)
    else:
        future.set_exception(error)
