"""Named locks between the processes of a deployment on PostgreSQL.

A lock is a session-level advisory lock: PostgreSQL frees it the moment its holder's connection ends, so a crashed
process blocks nobody and neither a clock nor a lease decides.
https://www.postgresql.org/docs/15/explicit-locking.html#ADVISORY-LOCKS
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any

import asyncpg

from fhir_facade.adapters.locks import LONGEST_PAUSE_S, SHORTEST_PAUSE_S, WAIT_S, ProcessLocks, busy, key_of
from fhir_facade.errors import Unavailable

CONNECT_TIMEOUT_S = 5.0
ANSWER_TIMEOUT_S = 3.0
HEARTBEAT_S = 2.0
FAILURES = (asyncpg.PostgresError, asyncpg.InterfaceError, OSError)
# A host that vanished is noticed here after HEARTBEAT_S + ANSWER_TIMEOUT_S, by the server only after 5 + 3 * 2 s.
SERVER_SETTINGS = {
    "application_name": "fhir-facade locks",
    "tcp_keepalives_idle": "5",
    "tcp_keepalives_interval": "2",
    "tcp_keepalives_count": "3",
}

_chance = random.SystemRandom()


class PostgresLocks:
    """`Locks` of a deployment with several processes. One connection carries all locks of this process.

    When it breaks, PostgreSQL gives the locks away: blocks that hold one are interrupted at their next await and end
    with Unavailable.
    """

    def __init__(self, url: str, *, wait_s: float = WAIT_S) -> None:
        """`url`: postgresql://user:password@host:port/name."""
        self._url = url
        self._wait_s = wait_s
        self._process = ProcessLocks(wait_s=wait_s)
        self._session: _Session | None = None
        self._connecting = asyncio.Lock()

    async def close(self) -> None:
        """Give up all locks of this process."""
        if self._session is not None:
            await self._session.close()

    @asynccontextmanager
    async def hold(self, *names: str) -> AsyncIterator[None]:
        async with AsyncExitStack() as held:
            try:
                async with asyncio.timeout(self._wait_s):
                    await held.enter_async_context(self._process.hold(*names))
                    session = await self._connected()
                    for key in sorted({key_of(name) for name in names}):
                        await held.enter_async_context(session.hold(key))
            except TimeoutError as error:
                raise busy(self._wait_s) from error
            async with session.while_connected():
                yield

    async def _connected(self) -> _Session:
        async with self._connecting:
            if self._session is None or self._session.lost:
                self._session = await _connect(self._url)
            return self._session


class _Session:
    """One connection and the blocks that rely on it."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._turn = asyncio.Lock()
        self._blocks: set[asyncio.Timeout] = set()
        self.lost = False
        connection.add_termination_listener(self._interrupt)
        self._heart = asyncio.create_task(self._beat(), name="lock heartbeat")

    async def close(self) -> None:
        self._heart.cancel()
        with suppress(*FAILURES):
            await self._connection.close(timeout=ANSWER_TIMEOUT_S)

    @asynccontextmanager
    async def hold(self, key: int) -> AsyncIterator[None]:
        """The caller is the only one of this process that asks for this key."""
        pause = SHORTEST_PAUSE_S
        try:
            while not await self._ask("SELECT pg_try_advisory_lock($1)", key):
                await asyncio.sleep(_chance.uniform(pause / 2, pause))
                pause = min(2 * pause, LONGEST_PAUSE_S)
            yield
        finally:
            # Also after an interrupted question, whose answer may have been yes; one that was not held is no error.
            with suppress(Unavailable):
                await self._ask("SELECT pg_advisory_unlock($1)", key)

    @asynccontextmanager
    async def while_connected(self) -> AsyncIterator[None]:
        scope = asyncio.timeout(None)
        try:
            async with scope:
                self._blocks.add(scope)
                if self.lost:
                    scope.reschedule(0)
                yield
        except TimeoutError as error:
            if scope.expired():
                raise Unavailable("the connection that held the lock broke; try again") from error
            raise
        finally:
            self._blocks.discard(scope)

    async def _ask(self, question: str, *values: Any) -> Any:
        """One question at a time, each to its end even when the caller is cancelled."""
        return await asyncio.shield(self._ask_in_turn(question, values))

    async def _ask_in_turn(self, question: str, values: tuple[Any, ...]) -> Any:
        async with self._turn:
            try:
                return await self._connection.fetchval(question, *values)
            except FAILURES as error:
                self._connection.terminate()
                raise Unavailable(f"the locks of the database cannot be reached: {type(error).__name__}") from error

    async def _beat(self) -> None:
        with suppress(Unavailable):
            while True:
                await asyncio.sleep(HEARTBEAT_S)
                await self._ask("SELECT 1")

    def _interrupt(self, _connection: Any) -> None:
        self.lost = True
        self._heart.cancel()
        for scope in self._blocks:
            scope.reschedule(0)


async def _connect(url: str) -> _Session:
    try:
        connection = await asyncpg.connect(
            url.replace("postgresql+asyncpg:", "postgresql:", 1),
            timeout=CONNECT_TIMEOUT_S,
            command_timeout=ANSWER_TIMEOUT_S,
            server_settings=SERVER_SETTINGS,
        )
    except FAILURES as error:
        raise Unavailable(f"the locks of the database cannot be reached: {type(error).__name__}") from error
    return _Session(connection)
