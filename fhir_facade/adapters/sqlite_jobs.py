"""What waits for the writer of a SQLite file, and how all that waits is carried out in one transaction.

Every statement of the writer gives the interpreter's lock away and has to win it back from the event loop, which costs
far more than the statement: so rows of many callers go into one, and work for many items is done at once.
https://sqlite.org/lang_savepoint.html
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from itertools import chain
from typing import Any, Generic, TypeVar

import msgspec

from fhir_facade.errors import Conflict

T = TypeVar("T")

ROWS_AT_ONCE = 64
FEW_ROWS = 8
FEW_ITEMS = 64


class Job(msgspec.Struct, Generic[T], eq=False):
    """One caller's work; `rows` instead of `work` for inserts that many callers share in one statement, `shared` for
    work that can be done for the items of many callers at once."""

    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[T]
    work: Callable[[sqlite3.Connection], T] | None = None
    statement: str = ""
    rows: Sequence[tuple[Any, ...]] = ()
    size: int = 1
    shared: Callable[[sqlite3.Connection, Sequence[Any]], Sequence[T]] | None = None
    item: Any = None


Done = tuple["Job[Any]", Any, BaseException | None]


def are_small(jobs: list[Job[Any]]) -> bool:
    """Whether they take a few milliseconds at most, and may be done on any thread."""
    return sum(job.size for job in jobs) <= FEW_ITEMS and all(job.work is None for job in jobs)


def carry_out(connection: sqlite3.Connection, batch: list[Job[Any]]) -> list[Done]:
    """One durable transaction for all; each caller with its own result or error. sqlite3.Error when it failed whole."""
    return _inserted(connection, batch) or _in_transaction(connection, batch)


def _in_transaction(connection: sqlite3.Connection, batch: list[Job[Any]]) -> list[Done]:
    called_once = any(job.work is not None for job in batch)
    connection.execute("BEGIN IMMEDIATE")
    done = None if called_once else _at_once(connection, batch)
    if done is None:
        done = _one_by_one(connection, batch, together=called_once)
    connection.execute("COMMIT")
    return done


def _at_once(connection: sqlite3.Connection, batch: list[Job[Any]]) -> list[Done] | None:
    """All without a savepoint, for which SQLite would copy every page before it is changed. None, and nothing done,
    when somebody was refused."""
    done: list[Done] = []
    try:
        for work, jobs in _alike(batch, lambda job: job.shared).items():
            results = work(connection, [job.item for job in jobs])
            done.extend((job, result, None) for job, result in zip(jobs, results, strict=True))
        for statement, jobs in _alike(batch, lambda job: job.statement).items():
            insert_rows(connection, statement, [row for job in jobs for row in job.rows])
            done.extend((job, None, None) for job in jobs)
    except Exception as error:  # noqa: BLE001 - found again, and delivered, when each is tried alone
        _refuse_ended(connection, error)
        connection.execute("ROLLBACK")
        connection.execute("BEGIN IMMEDIATE")
        return None
    return done


def _alike(batch: list[Job[Any]], what: Callable[[Job[Any]], Any]) -> dict[Any, list[Job[Any]]]:
    """The jobs that have it, those with the same together."""
    found: dict[Any, list[Job[Any]]] = {}
    for job in batch:
        if key := what(job):
            found.setdefault(key, []).append(job)
    return found


def _one_by_one(connection: sqlite3.Connection, batch: list[Job[Any]], *, together: bool) -> list[Done]:
    """Each in a savepoint of its own; `together`: shared work for all at once, if that can be done."""
    done = [_savepoint(connection, job, job.work) for job in batch if job.work is not None]
    for work, jobs in _alike(batch, lambda job: job.shared).items():
        done.extend(_shared(connection, work, jobs, together=together))
    for statement, jobs in _alike(batch, lambda job: job.statement).items():
        for some in _together(jobs):
            done.extend(_insert_together(connection, statement, some))
    return done


def _savepoint(connection: sqlite3.Connection, job: Job[T], work: Callable[[sqlite3.Connection], T]) -> Done:
    connection.execute("SAVEPOINT job")
    try:
        result = work(connection)
    except BaseException as error:  # noqa: BLE001 - delivered to the caller that gave the work
        _refuse_ended(connection, error)
        connection.execute("ROLLBACK TO job")
        connection.execute("RELEASE job")
        return job, None, error
    connection.execute("RELEASE job")
    return job, result, None


def _refuse_ended(connection: sqlite3.Connection, error: BaseException) -> None:
    """A full disk and its like end the transaction of all; they are told of, not that there is nothing to undo.

    https://sqlite.org/lang_transaction.html#response_to_errors_within_a_transaction
    """
    if not connection.in_transaction:
        raise sqlite3.OperationalError(str(error)) from error


def _shared(
    connection: sqlite3.Connection,
    work: Callable[[sqlite3.Connection, Sequence[Any]], Sequence[Any]],
    jobs: list[Job[Any]],
    *,
    together: bool,
) -> list[Done]:
    if together and len(jobs) > 1:
        all_at_once = _savepoint(connection, jobs[0], lambda c: work(c, [job.item for job in jobs]))
        if all_at_once[2] is None:
            return [(job, result, None) for job, result in zip(jobs, all_at_once[1], strict=True)]
    return [_savepoint(connection, job, lambda c, job=job: work(c, [job.item])[0]) for job in jobs]  # type: ignore[misc]


def _inserted(connection: sqlite3.Connection, batch: list[Job[Any]]) -> list[Done] | None:
    """The usual batch, audit lines alone: one statement is a transaction by itself. None when it is another batch, or
    when a row was refused, which undid all of them."""
    statement, rows, values = batch[0].statement, 0, list[Any]()
    if not statement:
        return None
    for job in batch:
        if job.statement != statement:
            return None
        for row in job.rows:
            values += row
            rows += 1
    if rows > ROWS_AT_ONCE:
        return None
    try:
        connection.execute(many_rows(statement, rows), values)
    except sqlite3.IntegrityError:
        return None
    return [(job, None, None) for job in batch]


def _together(jobs: list[Job[Any]]) -> Iterator[list[Job[Any]]]:
    """Neighbours with at most ROWS_AT_ONCE rows in all, or one caller with more."""
    together: list[Job[Any]] = []
    size = 0
    for job in jobs:
        if together and size + len(job.rows) > ROWS_AT_ONCE:
            yield together
            together, size = [], 0
        together.append(job)
        size += len(job.rows)
    if together:
        yield together


def _insert_together(connection: sqlite3.Connection, statement: str, jobs: list[Job[Any]]) -> list[Done]:
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
    """`INSERT … VALUES (?, ?)`, perhaps with `ON CONFLICT …`, for `count` rows at once; parameters row by row."""
    head, values, rest = statement.rpartition(" VALUES ")
    assert head, "an INSERT with the values of one row"
    marks, conflict, action = rest.partition(" ON CONFLICT ")
    return head + values + ", ".join([marks] * count) + conflict + action


def _insert(connection: sqlite3.Connection, job: Job[Any]) -> None:
    try:
        connection.executemany(job.statement, job.rows)
    except sqlite3.IntegrityError as error:
        raise Conflict(f"a row with this key exists: {error}") from error


def deliver(done: list[Done]) -> None:
    """Wake the callers: one hop per event loop and batch."""
    by_loop: dict[asyncio.AbstractEventLoop, list[Done]] = {}
    for entry in done:
        by_loop.setdefault(entry[0].loop, []).append(entry)
    for loop, entries in by_loop.items():
        if not loop.is_closed():
            loop.call_soon_threadsafe(resolve, entries)


def resolve(entries: list[Done]) -> None:
    """Give the callers their results; on the thread of their event loop."""
    for job, result, error in entries:
        if job.future.done():
            continue
        if error is None:
            job.future.set_result(result)
        else:
            job.future.set_exception(error)
