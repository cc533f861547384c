"""Which step of the migrations a SQLite file is at, found without the libraries that would carry out the next."""

from __future__ import annotations

import sqlite3
from pathlib import Path

FOLDER = Path(__file__).parent / "migrations"


def revisions() -> list[str]:
    """The numbers of all steps, oldest first: `0001`, `0002`."""
    return sorted(path.name.split("_")[0] for path in (FOLDER / "versions").glob("[0-9]*.py"))


def is_newest(connection: sqlite3.Connection) -> bool:
    """Whether the file has all tables as this program needs them."""
    table = connection.execute("SELECT name FROM sqlite_master WHERE name = 'alembic_version'").fetchone()
    if table is None:
        return False
    at: tuple[str] | None = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    return at is not None and at[0] == revisions()[-1]
