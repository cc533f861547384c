"""Group commit for a database without one of ours: rows that arrive during a commit wait for the next and share it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from fhir_facade.errors import FacadeError
from fhir_facade.rows import Row

MAX_CALLERS = 256

_Caller = tuple[Sequence[Row], "asyncio.Future[None]"]


class Appends:
    """Give it `insert`, which stores rows in one durable transaction, all or none."""

    def __init__(self, insert: Callable[[Sequence[Row]], Awaitable[None]]) -> None:
        self._insert = insert
        self._waiting: list[_Caller] = []
        self._flush: asyncio.Task[None] | None = None

    async def append(self, rows: Sequence[Row]) -> None:
        """Returns after the commit. A refused row fails its own caller only. Order of arrival is kept."""
        if not rows:
            return
        future = asyncio.get_running_loop().create_future()
        self._waiting.append((rows, future))
        if self._flush is None:
            self._flush = asyncio.create_task(self._flush_all(), name="append rows")
        await future

    async def settled(self) -> None:
        """Returns when nothing waits any more."""
        while self._flush is not None:
            await asyncio.wait([self._flush])

    async def _flush_all(self) -> None:
        try:
            while self._waiting:
                callers, self._waiting = self._waiting[:MAX_CALLERS], self._waiting[MAX_CALLERS:]
                await self._commit(callers)
        finally:
            self._flush = None

    async def _commit(self, callers: list[_Caller]) -> None:
        try:
            await self._insert([row for rows, _ in callers for row in rows])
        except FacadeError as error:
            if len(callers) == 1:
                _finish(callers[0][1], error)
                return
            for caller in callers:
                await self._commit([caller])
        else:
            for _, future in callers:
                _finish(future, None)


def _finish(future: asyncio.Future[None], error: FacadeError | None) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(None)
    else:
        future.set_exception(error)
