"""One SQLite file: one writer with group commit, reader connections beside it.

Durable (WAL, synchronous=FULL): a write returns after its commit reached the disk. Callers that wait at the same time
share one commit; each keeps its own savepoint, so one caller's failure never touches another's rows.
https://sqlite.org/wal.html
"""

from __future__ import annotations

import asyncio
import os
import queue
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from fhir_facade.adapters.sqlite_jobs import Done, Job, are_small, carry_out, deliver, resolve
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
MAX_BATCH = 512
SLOW_S = 0.005
"""A commit that took longer, on whatever disk, made others wait who have nothing to write."""
SLOW_IN_A_ROW_S = 0.1
"""A single one may have waited for a processor; those in a row that took so long together wait for the disk."""
SLOW_FOR_S = 1.0
ATTEMPTS, PAUSE_S = 3, 0.001
"""How often the event loop's thread asks for the turn before the writer's thread waits for it."""
GATHER_S = 0.0005
"""How long a commit waits for callers that are on their way when the one before had more than twice as many."""


class SqliteFile:
    """Open once per process with `open()`. That one server owns it is said by `data_lock`, not here.

    Commits are begun `apart_s` after the one before while callers come in numbers; who comes alone waits for nobody.
    """

    def __init__(self, path: Path, *, apart_s: float = 0.0) -> None:
        self.path = path
        self._apart_s = apart_s
        self._apart_until = 0.0
        self._expected = 0.0
        self._waiting: deque[Job[Any]] = deque()
        self._queue: queue.SimpleQueue[list[Job[Any]] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._writer: sqlite3.Connection | None = None
        self._here: sqlite3.Connection | None = None
        self._readers: ThreadPoolExecutor | None = None
        self._local = threading.local()
        self._turns = Turns(path.with_name(f"{path.name}.turns"))
        self._writing = threading.Lock()
        self._slow_until = 0.0
        self._slow_s = 0.0
        self._connections: list[sqlite3.Connection] = []

    # --- life ------------------------------------------------------------------------------------------------

    def open(self) -> None:
        """Start the writer. Unavailable when the file cannot be opened."""
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600))  # SQLite's other files take its mode
            self._turns.open()
            self._writer = self._connect()
            self._turns.take()  # SQLite refuses at once whoever changes the mode while another does
            try:
                self._writer.execute("PRAGMA journal_mode=WAL")
            finally:
                self._turns.give()
            self._here = self._connect(HERE_CACHE_KIB)
        except OSError as error:
            raise Unavailable(f"the data folder {self.path.parent} cannot be used: {error.strerror}") from error
        except sqlite3.Error as error:
            raise Unavailable(f"{self.path} cannot be opened: {error}") from error
        self._readers = ThreadPoolExecutor(READER_THREADS, thread_name_prefix="sqlite-reader")
        self._thread = threading.Thread(target=self._run, name="sqlite-writer", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Commit what waits and stop the writer."""
        if self._thread is not None:
            self._hand_over(attempt=ATTEMPTS + 1)
            self._queue.put(None)
            self._thread.join()
            self._thread = None
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
            f"cache_size=-{reading_cache_kib or CACHE_KIB}",
            f"wal_autocheckpoint={WAL_AUTOCHECKPOINT_PAGES}",
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
        return self._writer

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
        loop = asyncio.get_running_loop()
        return await self._submitted(Job(loop, loop.create_future(), shared=shared, item=item, size=size))

    def insert(self, statement: str, rows: Sequence[tuple[Any, ...]]) -> asyncio.Future[None]:
        """Insert rows; neighbours with the same statement share one execution and one commit. Waits from the call on;
        the future is done after the commit."""
        loop = asyncio.get_running_loop()
        return self._submitted(Job(loop, loop.create_future(), None, statement, rows, len(rows)))

    def _submitted(self, job: Job[T]) -> asyncio.Future[T]:
        if self._thread is None:
            raise Unavailable("the data file is not open")
        if not self._waiting:
            in_numbers = self._expected > 1
            wait_s = self._apart_until - time.monotonic() if self._apart_s and in_numbers else 0.0
            if wait_s > 0:
                job.loop.call_later(wait_s, self._hand_over)
            elif in_numbers:  # one turn of the loop later: whose requests have arrived by now come along
                job.loop.call_soon(lambda: job.loop.call_soon(self._hand_over))
            else:
                job.loop.call_soon(self._hand_over)
        self._waiting.append(job)
        return job.future

    def _hand_over(self, attempt: int = 1) -> None:
        """All that asked by now are written at once: here when that is quick, else there."""
        jobs = list(self._waiting)
        if not jobs:
            return
        here = attempt <= ATTEMPTS and are_small(jobs) and time.monotonic() >= self._slow_until
        done = self._written_here(jobs) if here else None
        if here and done is None:
            jobs[0].loop.call_later(PAUSE_S, self._hand_over, attempt + 1)
            return
        self._waiting.clear()
        self._expected = max(len(jobs), self._expected / 2)  # one who came alone may have been an exception
        self._apart_until = time.monotonic() + self._apart_s
        if done is None:
            self._queue.put(jobs)
        else:
            resolve(done)

    def _written_here(self, jobs: list[Job[Any]]) -> list[Done] | None:
        """Small work is carried out on the event loop's own thread: two threads that pass the interpreter to and fro
        take longer than the work. None, and nothing was done, when somebody else writes."""
        if not self._writing.acquire(blocking=False):
            return None
        try:
            if not self._turns.taken_at_once():
                return None
            began = time.monotonic()
            try:
                return self._carried_out(jobs)
            finally:
                self._turns.give()
                self._took(time.monotonic() - began)
        finally:
            self._writing.release()

    def _took(self, seconds: float) -> None:
        """What a slow disk makes wait is the writer's thread, for a while."""
        self._slow_s = self._slow_s + seconds if seconds > SLOW_S else 0.0
        if self._slow_s > SLOW_IN_A_ROW_S:
            self._slow_until = time.monotonic() + SLOW_FOR_S

    def _run(self) -> None:
        expected = 0
        while (batch := self._queue.get()) is not None:
            stop = self._gather(batch)
            if not stop and 2 * len(batch) < expected:
                time.sleep(GATHER_S)
                stop = self._gather(batch)
            expected = len(batch)
            self._commit(batch)
            del batch  # else a large transaction stays in memory until the next one comes
            if stop:
                return

    def _gather(self, batch: list[Job[Any]]) -> bool:
        """Add all that wait by now; True when the file is to be closed after them."""
        while len(batch) < MAX_BATCH:
            try:
                following = self._queue.get_nowait()
            except queue.Empty:
                return False
            if following is None:
                return True
            batch.extend(following)
        return False

    def _commit(self, batch: list[Job[Any]]) -> None:
        with self._writing:
            self._turns.take()
            try:
                done = self._carried_out(batch)
            finally:
                self._turns.give()
        deliver(done)

    def _carried_out(self, batch: list[Job[Any]]) -> list[Done]:
        connection = self.writer
        try:
            return carry_out(connection, batch)
        except sqlite3.Error as error:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            failure = Unavailable(f"the data file could not be written: {error}")
            return [(job, None, failure) for job in batch]

    # --- reading ---------------------------------------------------------------------------------------------

    def read_here(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run `work` in the caller's thread, on what is committed: look-ups by primary key only, the rest via `read`.

        On the writer's connection while nobody writes: every commit empties the page cache of all others.
        """
        if self._writer is None or self._here is None:
            raise Unavailable("the data file is not open")
        if not self._writing.acquire(blocking=False):
            return work(self._here)
        try:
            return work(self._writer)
        finally:
            self._writing.release()

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
