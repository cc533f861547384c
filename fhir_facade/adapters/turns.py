"""Turns of all who write the same file: who waits sleeps in the kernel until the one before is done.

SQLite alone lets a writer that waits try again after pauses of up to a tenth of a second.
https://man7.org/linux/man-pages/man2/flock.2.html
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path


class Turns:
    """One turn for each transaction. Freed by the kernel when its process ends, however it ends."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = -1

    def open(self) -> None:
        self._file = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)

    def close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
        self._file = -1

    def take(self) -> None:
        """Waits as long as it takes."""
        fcntl.flock(self._file, fcntl.LOCK_EX)

    def taken_at_once(self) -> bool:
        """False when somebody else writes."""
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def give(self) -> None:
        fcntl.flock(self._file, fcntl.LOCK_UN)


class Slot(Turns):
    """One turn that lasts, from `claimed` to `leave`: for a file that only one process writes."""

    def claimed(self) -> bool:
        """False when another process has it."""
        super().open()
        if super().taken_at_once():
            return True
        self.leave()
        return False

    def leave(self) -> None:
        """Another may have it."""
        super().close()

    def open(self) -> None:
        """It is its own already, and stays so when the file is closed."""

    def close(self) -> None:
        """See `open`."""

    def take(self) -> None:
        """See `open`."""

    def taken_at_once(self) -> bool:
        return True

    def give(self) -> None:
        """See `open`."""
