"""Where a backup or a restore may put files: never over something, never under a running server."""

from __future__ import annotations

from pathlib import Path

from fhir_facade.adapters.data_lock import lock_path
from fhir_facade.adapters.folders import sync_folder
from fhir_facade.errors import Conflict

WORKSHOP = ".fhir-facade-"


def refuse_used(data: Path, keys: Path, restored_keys: bytes) -> None:
    """Conflict unless the data folder is empty and no other keys are at `keys`. What an interrupted restore left (the
    same keys, its own folder) does not count."""
    ours = {lock_path(data).name, *({keys.name} if keys.parent.absolute() == data.parent.absolute() else ())}
    others = [entry.name for entry in data.parent.iterdir() if entry.name not in ours]
    others = sorted(name for name in others if not name.startswith(WORKSHOP))
    if others:
        raise Conflict(f"{data.parent} is not empty ({others[0]}); restore into an empty data folder")
    if keys.exists() and keys.read_bytes() != restored_keys:
        raise Conflict(f"{keys} holds other keys than the backup; move that file away first")


def place(draft: Path, target: Path) -> None:
    """Move a finished file to its name, durably."""
    draft.rename(target)
    sync_folder(target.parent)
