"""Ends what a connection does when its time is over. https://sqlite.org/c3ref/progress_handler.html"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable
from typing import Final, TypeVar

T = TypeVar("T")
Watch = Callable[[], bool | int]

STEPS: Final = 500_000
"""Steps of SQLite's machine between two looks at the clock, some 30 ms: a quick search never gets there, and in a long
one it does not matter that a look waits for the interpreter's lock."""


class Interrupted(Exception):
    """The time was over before the work was done."""


class _Watching(threading.local):
    """A connection has one handler, which cannot be asked for: the clock of `until` on this thread."""

    clock: Watch | None = None


_watching = _Watching()


def until(connection: sqlite3.Connection, moment: float, work: Callable[[sqlite3.Connection], T]) -> T:
    """What `work` answers, which only reads, on a connection that nobody else uses meanwhile. Interrupted when the
    monotonic clock says `moment` first; the connection is as good as before."""
    if time.monotonic() >= moment:
        raise Interrupted
    _watching.clock = lambda: time.monotonic() >= moment
    connection.set_progress_handler(_watching.clock, STEPS)
    try:
        return work(connection)
    except sqlite3.OperationalError as error:
        if not _was_ended(error):
            raise
        raise Interrupted from error
    finally:
        _watching.clock = None
        connection.set_progress_handler(None, 0)


def within(connection: sqlite3.Connection, steps: int, work: Callable[[], T]) -> T | None:
    """What `work`, one statement that only reads, answers within so many steps of SQLite's machine, at most twice as
    many; None when that was not enough. It does not outlive the moment of `until`."""
    clock, every = _watching.clock, min(steps, STEPS)
    # SQLite counts the steps of all executions of a statement: the first call may come at once.
    left = iter(range(-(-steps // every)))

    def is_over() -> bool | int:
        return next(left, None) is None or (clock is not None and clock())

    connection.set_progress_handler(is_over, every)
    try:
        return work()
    except sqlite3.OperationalError as error:
        if not _was_ended(error) or (clock is not None and clock()):
            raise
        return None
    finally:
        connection.set_progress_handler(clock, STEPS if clock else 0)


def _was_ended(error: sqlite3.OperationalError) -> bool:
    return error.sqlite_errorcode == sqlite3.SQLITE_INTERRUPT
