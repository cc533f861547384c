"""One SQLite file: one writer with group commit, reader connections beside it.

Durable (WAL, synchronous=FULL): a write returns after its commit reached the disk. Callers that wait at the same time
share one commit; each keeps its own savepoint, so one caller's failure never touches another's rows.
https://sqlite.org/wal.html
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from fhir_facade.adapters.sqlite_jobs import Job
from fhir_facade.adapters.sqlite_writer import SqliteWriter
from fhir_facade.adapters.turns import Turns
from fhir_facade.errors import Unavailable

T = TypeVar("T")
Item = TypeVar("Item")

CACHE_KIB = 16384
READING_CACHE_KIB = 4096
"""What a reader has cached is thrown away at the next commit of anybody, and every read that is audited is followed by
one: more than one search needs twice is memory that comes and goes."""
HERE_CACHE_KIB = 512
"""The event loop's thread asks by primary key alone, one record or some hundred lines that stand together."""
CACHED_STATEMENTS = 128
"""10 to 60 KiB each, on four connections of each process. A load that mixes all searches and writes uses about 80."""
WAL_AUTOCHECKPOINT_PAGES = 16384
BUSY_TIMEOUT_MS = 10_000
READER_THREADS = 2

for _type in (bytes, type(None)):  # which sqlite3 takes as they are, after asking each value in vain for two methods
    sqlite3.register_adapter(_type, lambda value: value)


class SqliteFile:
    """Open once per process with `open()`. That one server owns it is said by `data_lock`, not here.

    Who writes takes `turns` with other processes, of a file beside it if none are given.
    """

    def __init__(
        self,
        path: Path,
        *,
        apart_s: float = 0.0,
        turns: Turns | None = None,
        checkpoint_pages: int = WAL_AUTOCHECKPOINT_PAGES,
        cache_kib: int = CACHE_KIB,
    ) -> None:
        self.path = path
        self._cache_kib = cache_kib
        self._checkpoint_pages = checkpoint_pages
        self._apart_s = apart_s
        self._writer: SqliteWriter | None = None
        self._here: sqlite3.Connection | None = None
        self._readers: ThreadPoolExecutor | None = None
        self._local = threading.local()
        self._turns = turns or Turns(path.with_name(f"{path.name}.turns"))
        self._connections: list[sqlite3.Connection] = []

    # --- life ------------------------------------------------------------------------------------------------

    def open(self) -> None:
        """Start the writer. Unavailable when the file cannot be opened."""
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600))  # SQLite's other files take its mode
            self._turns.open()
            writing = self._connect()
            self._turns.take()  # SQLite refuses at once whoever changes the mode while another does
            try:
                writing.execute("PRAGMA journal_mode=WAL")
            finally:
                self._turns.give()
            self._here = self._connect(HERE_CACHE_KIB)
        except OSError as error:
            raise Unavailable(f"the data folder {self.path.parent} cannot be used: {error.strerror}") from error
        except sqlite3.Error as error:
            raise Unavailable(f"{self.path} cannot be opened: {error}") from error
        self._readers = ThreadPoolExecutor(READER_THREADS, thread_name_prefix="sqlite-reader")
        self._writer = SqliteWriter(writing, self._turns, apart_s=self._apart_s)
        self._writer.start()

    def close(self) -> None:
        """Commit what waits and stop the writer."""
        if self._writer is not None:
            self._writer.stop()
            self._writer = None
        if self._readers is not None:
            self._readers.shutdown()
        for connection in self._connections:
            connection.close()
        self._connections.clear()
        self._turns.close()

    def _connect(self, reading_cache_kib: int | None = None) -> sqlite3.Connection:
        """The writer's connection, or a reader's with its own size of cache."""
        connection = sqlite3.connect(
            self.path,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=CACHED_STATEMENTS,
            timeout=BUSY_TIMEOUT_MS / 1000,
        )
        for pragma in (  # no mmap_size: a mapping is thrown away at each commit of another process
            f"cache_size=-{reading_cache_kib or self._cache_kib}",
            f"wal_autocheckpoint={self._checkpoint_pages}",
            "synchronous=FULL",
            "foreign_keys=ON",
            "temp_store=MEMORY",
            f"query_only={'ON' if reading_cache_kib else 'OFF'}",
        ):
            connection.execute(f"PRAGMA {pragma}")
        self._connections.append(connection)
        return connection

    @property
    def writer(self) -> sqlite3.Connection:
        """The writer's connection: only inside a job of `write`, or before the first one (schema)."""
        if self._writer is None:
            raise Unavailable("the data file is not open")
        return self._writer.connection

    # --- writing ---------------------------------------------------------------------------------------------

    async def write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run `work` on the writer thread inside the shared transaction; returns after the commit.

        `work` must not BEGIN, COMMIT or ROLLBACK. What it raises undoes only its own changes.
        """
        loop = asyncio.get_running_loop()
        return await self._submitted(Job(loop, loop.create_future(), work))

    async def write_shared(
        self, shared: Callable[[sqlite3.Connection, Sequence[Item]], Sequence[T]], item: Item, *, size: int = 1
    ) -> T:
        """Like `write`, but on any thread; `shared` is called with the items of all callers that wait and answers in
        their order. `size` says how much the item is: what is much is not done on the event loop's thread.

        When it raises, it is called again for each alone, so that a caller fails for its own item only.
        """
        return await self.share(shared, item, size=size)

    def share(
        self, shared: Callable[[sqlite3.Connection, Sequence[Item]], Sequence[T]], item: Item, *, size: int = 1
    ) -> asyncio.Future[T]:
        """`write_shared` that waits from the call on; the future is done after the commit."""
        loop = asyncio.get_running_loop()
        return self._submitted(Job(loop, loop.create_future(), shared=shared, item=item, size=size))

    def insert(self, statement: str, rows: Sequence[tuple[Any, ...]]) -> asyncio.Future[None]:
        """Insert rows; neighbours with the same statement share one execution and one commit. Waits from the call on;
        the future is done after the commit."""
        loop = asyncio.get_running_loop()
        return self._submitted(Job(loop, loop.create_future(), None, statement, rows, len(rows)))

    def _submitted(self, job: Job[T]) -> asyncio.Future[T]:
        if self._writer is None:
            raise Unavailable("the data file is not open")
        return self._writer.submitted(job)

    # --- reading ---------------------------------------------------------------------------------------------

    def read_here(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run `work` in the caller's thread, on what is committed: look-ups by primary key only, the rest via `read`.

        On the writer's connection while nobody writes: every commit empties the page cache of all others.
        """
        writer = self._writer
        if writer is None or self._here is None:
            raise Unavailable("the data file is not open")
        if not writer.writing.acquire(False):
            return work(self._here)
        try:
            return work(writer.connection)
        finally:
            writer.writing.release()

    def view_here(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """As `read`, in the event loop's thread: for some hundred rows by primary key. A reader's thread would have to
        win the interpreter back from the event loop after each row."""
        if self._here is None:
            raise Unavailable("the data file is not open")
        return _on_one_view(self._here, work)

    async def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run `work` on a read-only connection of a reader thread, on one consistent view."""
        if self._readers is None:
            raise Unavailable("the data file is not open")
        return await asyncio.get_running_loop().run_in_executor(self._readers, self._read, work)

    def _read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._local.connection = self._connect(READING_CACHE_KIB)
        return _on_one_view(connection, work)


def _on_one_view(connection: sqlite3.Connection, work: Callable[[sqlite3.Connection], T]) -> T:
    """All that `work` reads is as it was at one moment."""
    connection.execute("BEGIN")
    try:
        return work(connection)
    finally:
        connection.execute("COMMIT")
