"""One SQLite file: one writer thread with group commit, reader connections beside it.

Durable (WAL, synchronous=FULL): a write returns after its commit reached the disk. Callers that wait at the same time
share one commit; each keeps its own savepoint, so one caller's failure never touches another's rows.

Every statement of the writer gives the interpreter's lock away and has to win it back from the event loop, which costs
far more than the statement: so callers are handed over together, and their rows go into one statement.
https://sqlite.org/wal.html
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import queue
import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import Any, Generic, TypeVar

from fhir_facade.errors import Conflict, Unavailable

T = TypeVar("T")
Item = TypeVar("Item")

CACHE_KIB = 65536
MMAP_BYTES = 1 << 30
WAL_AUTOCHECKPOINT_PAGES = 16384
BUSY_TIMEOUT_MS = 10_000
READER_THREADS = 2
MAX_BATCH = 512
ROWS_AT_ONCE = 64
FEW_ROWS = 8


@dataclass(slots=True)
class _Job(Generic[T]):
    """One caller's work; `rows` instead of `work` for inserts that many callers share in one statement, `shared` for
    work that can be done for the items of many callers at once."""

    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[T]
    work: Callable[[sqlite3.Connection], T] | None = None
    statement: str = ""
    rows: Sequence[tuple[Any, ...]] = ()
    shared: Callable[[sqlite3.Connection, Sequence[Any]], Sequence[T]] | None = None
    item: Any = None


_Done = tuple["_Job[Any]", Any, BaseException | None]


class SqliteFile:
    """Open once per process with `open()`; a second process is refused by the lock file beside it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._waiting: deque[_Job[Any]] = deque()
        self._queue: queue.SimpleQueue[list[_Job[Any]] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._writer: sqlite3.Connection | None = None
        self._here: sqlite3.Connection | None = None
        self._readers: ThreadPoolExecutor | None = None
        self._local = threading.local()
        self._lock_fd: int | None = None
        self._connections: list[sqlite3.Connection] = []

    # --- life ------------------------------------------------------------------------------------------------

    def open(self, *, guest: bool = False) -> None:
        """Take the lock and start the writer. Conflict when another process owns the file, Unavailable when it cannot
        be opened.

        A guest (a command beside a running server) takes no lock; SQLite keeps the two writers apart.
        """
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600))  # SQLite's other files take its mode
            if not guest:
                self._take_lock()
            self._writer = self._connect()
            self._writer.execute("PRAGMA journal_mode=WAL")
            self._here = self._connect(read_only=True)
        except OSError as error:
            raise Unavailable(f"the data folder {self.path.parent} cannot be used: {error.strerror}") from error
        except sqlite3.Error as error:
            raise Unavailable(f"{self.path} cannot be opened: {error}") from error
        self._readers = ThreadPoolExecutor(READER_THREADS, thread_name_prefix="sqlite-reader")
        self._thread = threading.Thread(target=self._run, name="sqlite-writer", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Commit what waits, stop the writer and give the lock back."""
        if self._thread is not None:
            self._hand_over()
            self._queue.put(None)
            self._thread.join()
            self._thread = None
        if self._readers is not None:
            self._readers.shutdown()
        for connection in self._connections:
            connection.close()
        self._connections.clear()
        if self._lock_fd is not None:
            os.close(self._lock_fd)
            self._lock_fd = None

    def _take_lock(self) -> None:
        fd = os.open(self.path.with_name(self.path.name + ".lock"), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(fd)
            raise Conflict(f"another process is using {self.path}; stop it first") from error
        self._lock_fd = fd

    def _connect(self, *, read_only: bool = False) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self.path,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=512,
            timeout=BUSY_TIMEOUT_MS / 1000,
        )
        for pragma in (
            f"cache_size=-{CACHE_KIB}",
            f"mmap_size={MMAP_BYTES}",
            f"wal_autocheckpoint={WAL_AUTOCHECKPOINT_PAGES}",
            "synchronous=FULL",
            "foreign_keys=ON",
            "temp_store=MEMORY",
            f"query_only={'ON' if read_only else 'OFF'}",
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
        return await self._submit(_Job(asyncio.get_running_loop(), asyncio.get_running_loop().create_future(), work))

    async def write_shared(self, shared: Callable[[sqlite3.Connection, Sequence[Item]], Sequence[T]], item: Item) -> T:
        """Like `write`; `shared` is called with the items of all callers that wait and answers in their order.

        When it raises, it is called again for each alone, so that a caller fails for its own item only.
        """
        loop = asyncio.get_running_loop()
        return await self._submit(_Job(loop, loop.create_future(), shared=shared, item=item))

    async def insert(self, statement: str, rows: Sequence[tuple[Any, ...]]) -> None:
        """Insert rows; neighbours with the same statement share one execution and one commit."""
        loop = asyncio.get_running_loop()
        await self._submit(_Job(loop, loop.create_future(), statement=statement, rows=rows))

    async def _submit(self, job: _Job[T]) -> T:
        if self._thread is None:
            raise Unavailable("the data file is not open")
        if not self._waiting:
            job.loop.call_soon(self._hand_over)
        self._waiting.append(job)
        return await job.future

    def _hand_over(self) -> None:
        """All that asked in this turn of the event loop go to the writer at once."""
        jobs = [self._waiting.popleft() for _ in range(len(self._waiting))]
        if jobs:
            self._queue.put(jobs)

    def _run(self) -> None:
        stop = False
        while not stop:
            batch = self._queue.get()
            if batch is None:
                return
            while len(batch) < MAX_BATCH:
                try:
                    following = self._queue.get_nowait()
                except queue.Empty:
                    break
                if following is None:
                    stop = True
                    break
                batch.extend(following)
            self._commit(batch)

    def _commit(self, batch: list[_Job[Any]]) -> None:
        connection = self.writer
        done: list[_Done]
        try:
            done = _inserted(connection, batch) or self._in_transaction(connection, batch)
        except sqlite3.Error as error:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            failure = Unavailable(f"the data file could not be written: {error}")
            done = [(job, None, failure) for job in batch]
        _deliver(done)

    def _in_transaction(self, connection: sqlite3.Connection, batch: list[_Job[Any]]) -> list[_Done]:
        connection.execute("BEGIN IMMEDIATE")
        done = self._execute(connection, batch)
        connection.execute("COMMIT")
        return done

    def _execute(self, connection: sqlite3.Connection, batch: list[_Job[Any]]) -> list[_Done]:
        done: list[_Done] = []
        inserts: dict[str, list[_Job[Any]]] = {}
        shared: dict[Any, list[_Job[Any]]] = {}
        for job in batch:
            if job.work is not None:
                done.append(_savepoint(connection, job, job.work))
            elif job.shared is not None:
                shared.setdefault(job.shared, []).append(job)
            else:
                inserts.setdefault(job.statement, []).append(job)
        for work, jobs in shared.items():
            done.extend(_shared(connection, work, jobs))
        for statement, jobs in inserts.items():
            for together in _together(jobs):
                done.extend(_insert_together(connection, statement, together))
        return done

    # --- reading ---------------------------------------------------------------------------------------------

    def read_here(self) -> sqlite3.Connection:
        """A read-only connection for the caller's thread: look-ups by primary key only, everything else via `read`."""
        if self._here is None:
            raise Unavailable("the data file is not open")
        return self._here

    async def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run `work` on a read-only connection of a reader thread, on one consistent view."""
        if self._readers is None:
            raise Unavailable("the data file is not open")
        return await asyncio.get_running_loop().run_in_executor(self._readers, self._read, work)

    def _read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._local.connection = self._connect(read_only=True)
        connection.execute("BEGIN")
        try:
            return work(connection)
        finally:
            connection.execute("COMMIT")


def _savepoint(connection: sqlite3.Connection, job: _Job[T], work: Callable[[sqlite3.Connection], T]) -> _Done:
    connection.execute("SAVEPOINT job")
    try:
        result = work(connection)
    except BaseException as error:  # noqa: BLE001 - delivered to the caller that gave the work
        connection.execute("ROLLBACK TO job")
        connection.execute("RELEASE job")
        return job, None, error
    connection.execute("RELEASE job")
    return job, result, None


def _shared(
    connection: sqlite3.Connection,
    work: Callable[[sqlite3.Connection, Sequence[Any]], Sequence[Any]],
    jobs: list[_Job[Any]],
) -> list[_Done]:
    if len(jobs) > 1:
        all_at_once = _savepoint(connection, jobs[0], lambda c: work(c, [job.item for job in jobs]))
        if all_at_once[2] is None:
            return [(job, result, None) for job, result in zip(jobs, all_at_once[1], strict=True)]
    return [_savepoint(connection, job, lambda c, job=job: work(c, [job.item])[0]) for job in jobs]  # type: ignore[misc]


def _inserted(connection: sqlite3.Connection, batch: list[_Job[Any]]) -> list[_Done] | None:
    """The usual batch, audit lines alone: one statement is a transaction by itself. None when it is another batch, or
    when a row was refused, which undid all of them."""
    first = batch[0]
    if not first.statement or any(job.statement != first.statement for job in batch):
        return None
    rows = [row for job in batch for row in job.rows]
    if len(rows) > ROWS_AT_ONCE:
        return None
    try:
        connection.execute(many_rows(first.statement, len(rows)), list(chain.from_iterable(rows)))
    except sqlite3.IntegrityError:
        return None
    return [(job, None, None) for job in batch]


def _together(jobs: list[_Job[Any]]) -> Iterator[list[_Job[Any]]]:
    """Neighbours with at most ROWS_AT_ONCE rows in all, or one caller with more."""
    together: list[_Job[Any]] = []
    size = 0
    for job in jobs:
        if together and size + len(job.rows) > ROWS_AT_ONCE:
            yield together
            together, size = [], 0
        together.append(job)
        size += len(job.rows)
    if together:
        yield together


def _insert_together(connection: sqlite3.Connection, statement: str, jobs: list[_Job[Any]]) -> list[_Done]:
    """A statement that fails leaves nothing behind; then each caller gets its own attempt."""
    rows = [row for job in jobs for row in job.rows]
    if len(rows) <= ROWS_AT_ONCE:
        try:
            connection.execute(many_rows(statement, len(rows)), list(chain.from_iterable(rows)))
        except sqlite3.IntegrityError:
            pass
        else:
            return [(job, None, None) for job in jobs]
    return [_savepoint(connection, job, lambda c, job=job: _insert(c, job)) for job in jobs]  # type: ignore[misc]


def insert_rows(connection: sqlite3.Connection, statement: str, rows: Sequence[tuple[Any, ...]]) -> None:
    """Insert all rows with few executions; the numbers of rows at once are few too, so that all stay prepared."""
    at = 0
    while at < len(rows):
        left = len(rows) - at
        size = left if left <= FEW_ROWS else min(1 << (left.bit_length() - 1), ROWS_AT_ONCE)
        connection.execute(many_rows(statement, size), list(chain.from_iterable(rows[at : at + size])))
        at += size


@lru_cache(maxsize=1024)
def many_rows(statement: str, count: int) -> str:
    """`INSERT … VALUES (?, ?)` for `count` rows in one execution; parameters row by row."""
    head, values, marks = statement.rpartition(" VALUES ")
    assert head, "an INSERT that ends with the values of one row"
    return head + values + ", ".join([marks] * count)


def _insert(connection: sqlite3.Connection, job: _Job[Any]) -> None:
    try:
        connection.executemany(job.statement, job.rows)
    except sqlite3.IntegrityError as error:
        raise Conflict(f"a row with this key exists: {error}") from error


def _deliver(done: list[_Done]) -> None:
    """Wake the callers: one hop per event loop and batch."""
    by_loop: dict[asyncio.AbstractEventLoop, list[_Done]] = {}
    for entry in done:
        by_loop.setdefault(entry[0].loop, []).append(entry)
    for loop, entries in by_loop.items():
        if not loop.is_closed():
            loop.call_soon_threadsafe(_resolve, entries)


def _resolve(entries: list[_Done]) -> None:
    for job, result, error in entries:
        if job.future.done():
            continue
        if error is None:
            job.future.set_result(result)
        else:
            job.future.set_exception(error)
