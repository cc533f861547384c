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
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from fhir_facade.errors import Unavailable

WAIT_S = 30.0
SHORTEST_PAUSE_S = 0.005
LONGEST_PAUSE_S = 0.1
_OWN = getattr(fcntl, "F_OFD_SETLK", None)  # Linux: owned by the open file, so two in one process exclude each other
_OFFSETS = 1 << 63  # file offsets have no sign

_chance = random.SystemRandom()


class ProcessLocks:
    """Locks inside one process. First come, first served; not re-entrant."""

    def __init__(self, *, wait_s: float = WAIT_S) -> None:
        self._wait_s = wait_s
        self._locks: dict[str, tuple[asyncio.Lock, int]] = {}

    @asynccontextmanager
    async def hold(self, *names: str) -> AsyncIterator[None]:
        async with AsyncExitStack() as held:
            try:
                async with asyncio.timeout(self._wait_s):
                    for name in sorted(set(names)):
                        await held.enter_async_context(self._one(name))
            except TimeoutError as error:
                raise busy(self._wait_s) from error
            yield

    @asynccontextmanager
    async def _one(self, name: str) -> AsyncIterator[None]:
        lock, users = self._locks.get(name, (asyncio.Lock(), 0))
        self._locks[name] = (lock, users + 1)
        try:
            async with lock:
                yield
        finally:
            lock, users = self._locks.pop(name)
            if users > 1:
                self._locks[name] = (lock, users - 1)


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
        async with AsyncExitStack() as held:
            try:
                async with asyncio.timeout(self._wait_s):
                    await held.enter_async_context(self._process.hold(*names))
                    for place in sorted({key_of(name) % _OFFSETS for name in names}):
                        await held.enter_async_context(self._byte(place))
            except TimeoutError as error:
                raise busy(self._wait_s) from error
            yield

    @asynccontextmanager
    async def _byte(self, place: int) -> AsyncIterator[None]:
        pause = SHORTEST_PAUSE_S
        while not _change(self._file, fcntl.F_WRLCK, fcntl.LOCK_EX | fcntl.LOCK_NB, place):
            await asyncio.sleep(_chance.uniform(pause / 2, pause))
            pause = min(2 * pause, LONGEST_PAUSE_S)
        try:
            yield
        finally:
            _change(self._file, fcntl.F_UNLCK, fcntl.LOCK_UN, place)


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


def busy(wait_s: float) -> Unavailable:
    """What a caller is told who waited in vain."""
    return Unavailable(f"another request has held the same lock for {wait_s:g} s; try again")
