"""Where a backup or a restore may put files: never over something, never under a running server."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fhir_facade.errors import Conflict

WORKSHOP = ".fhir-facade-"


@contextmanager
def stopped(data: Path) -> Iterator[None]:
    """Holds the lock file of a data file, as a server does. Conflict when one is running."""
    data.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(data.with_name(data.name + ".lock"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Conflict(f"a server is running on {data}; stop it first") from error
        yield
    finally:
        os.close(descriptor)


def refuse_used(data: Path, keys: Path, restored_keys: bytes) -> None:
    """Conflict unless the data folder is empty and no other keys are at `keys`. What an interrupted restore left (the
    same keys, its own folder) does not count."""
    ours = {data.name + ".lock", *({keys.name} if keys.parent.absolute() == data.parent.absolute() else ())}
    others = [entry.name for entry in data.parent.iterdir() if entry.name not in ours]
    others = sorted(name for name in others if not name.startswith(WORKSHOP))
    if others:
        raise Conflict(f"{data.parent} is not empty ({others[0]}); restore into an empty data folder")
    if keys.exists() and keys.read_bytes() != restored_keys:
        raise Conflict(f"{keys} holds other keys than the backup; move that file away first")


def place(draft: Path, target: Path) -> None:
    """Move a finished file to its name, durably."""
    draft.rename(target)
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
