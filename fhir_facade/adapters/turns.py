"""Turns of processes that write the same file: who waits sleeps in the kernel until the one before is done.

SQLite alone lets a writer that waits try again after pauses of up to a tenth of a second.
https://man7.org/linux/man-pages/man2/flock.2.html
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import Protocol


class Turns(Protocol):
    """`with turns:` around each transaction, on one thread."""

    def __enter__(self) -> None: ...

    def __exit__(self, *error: object) -> None: ...

    def close(self) -> None: ...


class NoTurns:
    """The only process that writes."""

    def __enter__(self) -> None: ...

    def __exit__(self, *error: object) -> None: ...

    def close(self) -> None: ...


class FileTurns:
    """Freed by the kernel when its process ends, however it ends."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)

    def __enter__(self) -> None:
        fcntl.flock(self._file, fcntl.LOCK_EX)

    def __exit__(self, *error: object) -> None:
        fcntl.flock(self._file, fcntl.LOCK_UN)

    def close(self) -> None:
        os.close(self._file)
