"""What the entries of a batch write at about the same time is handed to the store together, each for itself: on the
embedded store one turn of the writer, over HAPI a few transactions instead of a request each.

https://hl7.org/fhir/R4/http.html#brules
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from copy import copy
from typing import Final

from fhir_facade.ports import Commit, Committed, UnitOfWork
from fhir_facade.rows import RowChange
from fhir_facade.values import StoredResource, Write

QUIET: Final = 3
"""Turns of the event loop without another commit after which those that wait go: the others wait for something else."""

Outcome = asyncio.Future[Sequence[StoredResource]]


class Together:
    """A `UnitOfWork` in front of another one, for `most` callers who go on side by side in one event loop."""

    def __init__(self, unit: UnitOfWork, most: int) -> None:
        self._unit = unit
        self._most = most
        self._waiting: list[tuple[Commit, Outcome]] = []
        self._gathering: asyncio.Task[None] | None = None
        self._going: set[asyncio.Task[None]] = set()

    async def commit(self, writes: Sequence[Write], rows: Sequence[RowChange]) -> Sequence[StoredResource]:
        """As the unit behind has it."""
        outcome: Outcome = asyncio.get_running_loop().create_future()
        self._waiting.append(((writes, rows), outcome))
        if self._gathering is None:
            self._gathering = asyncio.ensure_future(self._gather())
            self._going.add(self._gathering)
            self._gathering.add_done_callback(self._going.discard)
        return await outcome

    async def commit_each(self, commits: Sequence[Commit]) -> Sequence[Committed]:
        """Handed on."""
        return await self._unit.commit_each(commits)

    async def _gather(self) -> None:
        await self._until_quiet()
        together = [(commit, outcome) for commit, outcome in self._waiting if not outcome.done()]
        self._waiting, self._gathering = [], None
        asked = self._unit.commit_each([commit for commit, _ in together])
        (found,) = await asyncio.gather(asked, return_exceptions=True)
        each: Sequence[Committed | BaseException]
        each = [copy(found) for _ in together] if isinstance(found, BaseException) else found
        for (_, outcome), committed in zip(together, each, strict=True):
            _tell(outcome, committed)

    async def _until_quiet(self) -> None:
        seen, quiet = 0, 0
        while quiet < QUIET and len(self._waiting) < self._most:
            quiet = quiet + 1 if len(self._waiting) == seen else 0
            seen = len(self._waiting)
            await asyncio.sleep(0)


def _tell(outcome: Outcome, committed: Committed | BaseException) -> None:
    """Unless nobody waits any more."""
    if isinstance(committed, asyncio.CancelledError):
        outcome.cancel()
    elif outcome.done():
        return
    elif isinstance(committed, BaseException):
        outcome.set_exception(committed)
    else:
        outcome.set_result(committed)
