"""Named locks: inside one process, and between a server and the commands that run beside it on its data folder.

Between processes a name is one byte of a file that stays empty: the kernel locks bytes that are not there, and frees
them the moment their holder ends, however it ends.
https://man7.org/linux/man-pages/man2/fcntl_locking.2.html (open file description locks)
"""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import os
import random
import struct
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from fhir_facade.errors import Busy

WAIT_S = 30.0
SHORTEST_PAUSE_S = 0.005
LONGEST_PAUSE_S = 0.1
_OWN = getattr(fcntl, "F_OFD_SETLK", None)  # Linux: owned by the open file, so two in one process exclude each other
_OFFSETS = 1 << 63  # file offsets have no sign

_chance = random.SystemRandom()


class ProcessLocks:
    """Locks inside one process. First come, first served; not re-entrant. What is free is taken without a timer."""

    def __init__(self, *, wait_s: float = WAIT_S) -> None:
        self._wait_s = wait_s
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}

    @asynccontextmanager
    async def hold(self, *names: str) -> AsyncIterator[None]:
        taken: list[str] = []
        try:
            await self._take_all(sorted(set(names)), taken)
            yield
        finally:
            for name in reversed(taken):
                self._give(name)

    async def _take_all(self, names: Sequence[str], taken: list[str]) -> None:
        if not any(name in self._waiting for name in names):
            self._waiting.update((name, deque()) for name in names)
            taken += names
            return
        try:
            async with asyncio.timeout(self._wait_s):
                for name in names:
                    await self._take(name)
                    taken.append(name)
        except TimeoutError as error:
            raise busy(self._wait_s) from error

    async def _take(self, name: str) -> None:
        if name not in self._waiting:
            self._waiting[name] = deque()
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting[name].append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # it became ours while we were told to stop
                self._give(name)
            raise

    def _give(self, name: str) -> None:
        """To the next who still waits."""
        waiting = self._waiting[name]
        while waiting:
            turn = waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        del self._waiting[name]


class FileLocks:
    """`Locks` of a deployment whose rows are in SQLite. Inside the process first come, first served."""

    def __init__(self, path: Path, *, wait_s: float = WAIT_S) -> None:
        self._process = ProcessLocks(wait_s=wait_s)
        self._wait_s = wait_s
        self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)

    def close(self) -> None:
        """Give up all locks of this process."""
        os.close(self._file)

    @asynccontextmanager
    async def hold(self, *names: str) -> AsyncIterator[None]:
        places = sorted({key_of(name) % _OFFSETS for name in names})
        taken: list[int] = []
        async with self._process.hold(*names):
            try:
                await self._take_all(places, taken)
                yield
            finally:
                for place in reversed(taken):
                    _change(self._file, fcntl.F_UNLCK, fcntl.LOCK_UN, place)

    async def _take_all(self, places: Sequence[int], taken: list[int]) -> None:
        loop = asyncio.get_running_loop()
        until = loop.time() + self._wait_s
        for place in places:
            pause = SHORTEST_PAUSE_S
            while not _change(self._file, fcntl.F_WRLCK, fcntl.LOCK_EX | fcntl.LOCK_NB, place):
                if loop.time() > until:
                    raise busy(self._wait_s)
                await asyncio.sleep(_chance.uniform(pause / 2, pause))
                pause = min(2 * pause, LONGEST_PAUSE_S)
            taken.append(place)


def _change(file: int, kind: int, portable: int, place: int) -> bool:
    """Lock or unlock one byte; False when another holds it."""
    try:
        if _OWN is None:
            fcntl.lockf(file, portable, 1, place)
        else:
            fcntl.fcntl(file, _OWN, struct.pack("hhqqi", kind, os.SEEK_SET, place, 1, 0))
    except (BlockingIOError, PermissionError):
        return False
    return True


def key_of(name: str) -> int:
    """A name as a signed 64-bit number, which PostgreSQL can lock."""
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8, person=b"facade").digest(), signed=True)


def busy(wait_s: float) -> Busy:
    """What a caller is told who waited in vain."""
    return Busy(f"another request has held the same lock for {wait_s:g} s; try again")
