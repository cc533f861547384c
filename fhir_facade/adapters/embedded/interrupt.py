"""Ends what a connection does when its time is over. https://sqlite.org/c3ref/progress_handler.html"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from typing import Final, TypeVar

T = TypeVar("T")

STEPS: Final = 500_000
"""Steps of SQLite's machine between two looks at the clock, some 30 ms: a quick search never gets there, and in a long
one it does not matter that a look waits for the interpreter's lock."""


class Interrupted(Exception):
    """The time was over before the work was done."""


def until(connection: sqlite3.Connection, moment: float, work: Callable[[sqlite3.Connection], T]) -> T:
    """What `work` answers, which only reads, on a connection that nobody else uses meanwhile. Interrupted when the
    monotonic clock says `moment` first; the connection is as good as before."""
    if time.monotonic() >= moment:
        raise Interrupted
    connection.set_progress_handler(lambda: time.monotonic() >= moment, STEPS)
    try:
        return work(connection)
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_INTERRUPT:
            raise
        raise Interrupted from error
    finally:
        connection.set_progress_handler(None, 0)
