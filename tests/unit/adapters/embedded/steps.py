"""A connection that counts the steps of SQLite's machine: what a search costs on every machine alike.

https://sqlite.org/c3ref/progress_handler.html
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Any

COUNTED = 10


class Counting(sqlite3.Connection):
    """`steps` since it was set to 0, in tens; `every` number of steps after which a handler was to be called."""

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.steps = 0
        self.every: list[int] = []
        self._count(None, 0)

    def set_progress_handler(self, handler: Callable[[], Any] | None, /, n: int) -> None:
        self.every.append(n)
        self._count(handler, n)

    def _count(self, handler: Callable[[], Any] | None, n: int) -> None:
        left = n

        def counted() -> Any:
            nonlocal left
            self.steps += COUNTED
            left -= COUNTED
            if handler is None or left > 0:
                return 0
            left = n
            return handler()

        super().set_progress_handler(counted, COUNTED)
