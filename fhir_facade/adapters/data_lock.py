"""The lock beside a data file: one server owns it, and nothing is restored under a server that runs.

It belongs to the open file, so the worker processes of a server share it and it is free when the last of them ended.
https://man7.org/linux/man-pages/man2/flock.2.html
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from fhir_facade.errors import Conflict, Unavailable

PAUSE_S: Final = 0.02


def lock_path(data: Path) -> Path:
    return data.with_name(f"{data.name}.lock")


@contextmanager
def sole_server(data: Path, *, patience_s: float = 0.0) -> Iterator[None]:
    """Hold the lock for the block. Conflict when a server has it, and keeps it for `patience_s`: the workers of one
    that was killed end a moment after it. Unavailable when the folder cannot be used."""
    try:
        data.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(lock_path(data), os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise Unavailable(f"the data folder {data.parent} cannot be used: {error.strerror}") from error
    try:
        until = time.monotonic() + patience_s
        while not _taken(descriptor):
            if time.monotonic() >= until:
                raise Conflict(f"a server is running on {data}; stop it first")
            time.sleep(PAUSE_S)
        yield
    finally:
        os.close(descriptor)


def _taken(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
