"""New rows of one table, in a file of each process until somebody asks for the table: the lines of the audit.

Nearly every answer adds one, and few ask for them. In the file that processes share they would take turns for it, one
waiting for the disk of the other, and each commit would empty what the others have cached of that file. So a serving
process has a file for itself; what waits in all of them is moved, each row once and in its order, before the table is
read. A number in the shared file says how far each is moved, in the transaction of the rows: whoever dies when, nothing
is lost or there twice. The rows of one commit are one value there, with the names of their fields: what another release
wrote is understood. docs/decisions/024-audit-lines-wait-beside-the-file.md
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import msgspec

from fhir_facade.adapters.folders import sync_folder
from fhir_facade.adapters.sqlite_file import BUSY_TIMEOUT_MS, SqliteFile
from fhir_facade.adapters.sqlite_jobs import insert_rows
from fhir_facade.adapters.state.sqlite_texts import change_text
from fhir_facade.adapters.state.steps import names_of
from fhir_facade.adapters.state.tables import RowTable
from fhir_facade.adapters.turns import Slot
from fhir_facade.errors import Unavailable
from fhir_facade.rows import Row

MOST_PROCESSES: Final = 64
MOVED_AT_ONCE: Final = 512
"""Rows of one transaction, and those of one commit more: the shared file is free for others after some milliseconds."""
PACKED_AT_ONCE: Final = 64
FORGOTTEN_AT_ONCE: Final = 512
"""Commits, each of some rows."""
CLOSED_WITHIN_S: Final = 1.0
AGAIN_S: Final = 0.002
CHECKPOINT_PAGES: Final = 2048
CACHE_KIB: Final = 1024
"""What is written there is read once, soon, and then never again: 8 MB of log, and little of it in memory."""

_WAITING = "CREATE TABLE IF NOT EXISTS waiting (id INTEGER PRIMARY KEY, rows BLOB NOT NULL)"
_ADD = "INSERT INTO waiting (id, rows) VALUES (?, ?)"
_NEXT = "SELECT id, rows FROM waiting WHERE id > ? AND id <= ? ORDER BY id"
_PROGRESS = "CREATE TABLE IF NOT EXISTS spool_progress (name TEXT NOT NULL PRIMARY KEY, last INTEGER NOT NULL)"
_MOVED = "INSERT INTO spool_progress (name, last) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET last = excluded.last"

_ENCODE: Final = msgspec.msgpack.Encoder().encode
_DECODE: Final = msgspec.msgpack.Decoder(tuple[tuple[str, ...], list[tuple[Any, ...]]]).decode

Tops = dict[str, int]
"""The number of the newest commit in each file, by its name."""


class Spool:
    """The rows of `table` that wait beside `file`. Any process moves those of all; it adds its own after `open`."""

    def __init__(self, file: SqliteFile, table: RowTable[Any]) -> None:
        self.table = table
        self._shared = file
        self._own: SqliteFile | None = None
        self._slot: Slot | None = None
        self._number = 0
        self._fields = names_of(table, "number")
        self._insert = change_text(table, "number")

    # --- life ------------------------------------------------------------------------------------------------

    async def open(self, *, apart_s: float = 0.0) -> None:
        """Take a file that no process has. Unavailable when it cannot be used."""
        path, slot = self._free()
        self._slot = slot
        own = SqliteFile(path, turns=slot, apart_s=apart_s, checkpoint_pages=CHECKPOINT_PAGES, cache_kib=CACHE_KIB)
        own.open()
        self._prepare(own.writer)
        sync_folder(path.parent)
        moved = await self._shared.write(lambda connection: self._begin(connection, path.name))
        self._number = max(_top(own.writer), moved)
        self._own = own

    def _free(self) -> tuple[Path, Slot]:
        for number in range(MOST_PROCESSES):
            path = self._path(number)
            slot = self._slot_of(path)
            if slot.claimed():
                return path, slot
        raise Unavailable(f"more than {MOST_PROCESSES} processes serve {self._shared.path}")

    def _path(self, number: int) -> Path:
        shared = self._shared.path
        return shared.with_name(f"{shared.name}.{self.table.spec.name}-{number}")

    def _slot_of(self, path: Path) -> Slot:
        return Slot(path.with_name(f"{path.name}.lock"))

    def _prepare(self, spool: sqlite3.Connection) -> None:
        spool.execute("PRAGMA secure_delete=ON")
        if not _has_table(spool, "waiting"):
            spool.execute("BEGIN IMMEDIATE")
            spool.execute(_WAITING)
            if _has_table(spool, self.table.spec.name):
                self._repack(spool)
            spool.execute("COMMIT")

    def _repack(self, spool: sqlite3.Connection) -> None:
        """An older release had a column for each field."""
        older = f'"{self.table.spec.name}"'
        found = spool.execute(f"SELECT * FROM {older} ORDER BY id")  # noqa: S608 - the name is that of a table of ours
        _, *names = (column for column, *_ in found.description)
        waiting = [(id_, _ENCODE((names, [row]))) for id_, *row in found]
        spool.executemany(_ADD, waiting)
        spool.execute(f"DROP TABLE {older}")

    def _begin(self, connection: sqlite3.Connection, name: str) -> int:
        """How far a file of that name was moved before: the numbers of its commits go on behind it."""
        self.define(connection)
        return _last(connection, name)

    def close(self) -> None:
        """Remove the file of this process when all of it was moved."""
        own, slot = self._own, self._slot
        self._own = self._slot = None
        if own is not None:
            own.close()
            self._remove(own.path)
        if slot is not None:
            slot.leave()

    def define(self, connection: sqlite3.Connection) -> None:
        """What the shared file knows of it."""
        connection.execute(_PROGRESS)

    # --- rows ------------------------------------------------------------------------------------------------

    def takes(self, rows: Sequence[Row]) -> bool:
        """Whether they can wait: it is open, there are some, and all are of the table and without a number."""
        for row in rows:
            if type(row) is not self.table.row or not self.table.is_unnumbered(row):
                return False
        return self._own is not None and bool(rows)

    def append(self, rows: Sequence[Row]) -> asyncio.Future[None]:
        """Rows that it takes, durable when the future is done."""
        if self._own is None:
            raise Unavailable("the data file is not open")
        return self._own.share(self._pack, [self.table.insertion(row)[1] for row in rows], size=len(rows))

    def _pack(self, spool: sqlite3.Connection, callers: Sequence[Sequence[tuple[Any, ...]]]) -> list[None]:
        rows = [row for some in callers for row in some]
        try:
            for at in range(0, len(rows), PACKED_AT_ONCE):
                self._number += 1
                spool.execute(_ADD, (self._number, _ENCODE((self._fields, rows[at : at + PACKED_AT_ONCE]))))
        except sqlite3.Error as error:
            raise Unavailable(f"the data file could not be written: {error}") from error
        return [None] * len(callers)

    def waits(self) -> bool:
        """Whether anything is in a file, not moved yet or not removed since."""
        some = "SELECT EXISTS (SELECT 1 FROM waiting)"
        return any(spool.execute(some).fetchone()[0] for _, spool in self._files())

    def move(self, connection: sqlite3.Connection, tops: Tops) -> bool:
        """Move some of what waits, in a job that writes the shared file; whether there is more. What was there at the
        first of several calls is noted in `tops`, and no more is moved."""
        if not tops:
            tops.update(self._tops())
        more = False
        for path, spool in self._files():
            last, top = _last(connection, path.name), tops.get(path.name, 0)
            rows, moved = self._next(spool, last, top) if last < top else ([], last)
            if rows:
                insert_rows(connection, self._insert, rows)
                connection.execute(_MOVED, (path.name, moved))
                more = more or moved < top
        return more

    def _next(self, spool: sqlite3.Connection, last: int, top: int) -> tuple[list[tuple[Any, ...]], int]:
        """The rows of the commits after `last`, and which was the last of them."""
        rows, moved = list[tuple[Any, ...]](), last
        for moved, packed in spool.execute(_NEXT, (last, top)):  # noqa: B007 - the last of it is answered
            names, some = _DECODE(packed)
            rows += some if names == self._fields else [self._as_now(names, row) for row in some]
            if len(rows) >= MOVED_AT_ONCE:
                break
        return rows, moved

    def _as_now(self, names: tuple[str, ...], row: tuple[Any, ...]) -> tuple[Any, ...]:
        """A row of another release, with the fields of this one."""
        given = self.table.defaults() | dict(zip(names, row, strict=True))
        return tuple(given.get(name) for name in self._fields)

    async def forget(self) -> None:
        """Remove what was moved: from the file of this process, and files whose processes ended. Others do it for
        theirs."""
        own = self._own
        if own is not None:
            last = self._moved(own.path)
            some = "DELETE FROM waiting WHERE id <= ? AND id < (SELECT min(id) FROM waiting) + ?"
            while await own.write(lambda spool: spool.execute(some, (last, FORGOTTEN_AT_ONCE)).rowcount):
                pass
        for number in range(MOST_PROCESSES):
            path = self._path(number)
            if path.exists() and (slot := self._slot_of(path)).claimed():
                self._remove(path)
                slot.leave()

    def _remove(self, path: Path) -> None:
        """The file of nobody, if all of it was moved."""
        spool = self._readable(path)
        if spool is not None:
            with closing(spool):
                moved = self._moved(path) >= _top(spool)
            if moved:
                for tail in ("", "-wal", "-shm"):  # which somebody may have open who looked meanwhile
                    path.with_name(path.name + tail).unlink(missing_ok=True)

    def _moved(self, path: Path) -> int:
        return self._shared.read_here(lambda connection: _last(connection, path.name))

    def _tops(self) -> Tops:
        return {path.name: _top(spool) for path, spool in self._files()}

    def _files(self) -> Iterator[tuple[Path, sqlite3.Connection]]:
        """Of all processes, those that ended without moving theirs too."""
        for number in range(MOST_PROCESSES):
            path = self._path(number)
            spool = self._readable(path) if path.exists() else None
            if spool is not None:
                with closing(spool):
                    yield path, spool

    def _readable(self, path: Path) -> sqlite3.Connection | None:
        """Opened so far that its log stays. None: its process removed it just now, so all of it was moved. A process
        that closes it takes the log away, perhaps between two looks of ours: SQLite calls that an error of the disk."""
        until = time.monotonic() + CLOSED_WITHIN_S
        while (spool := _opened(path)) is not None:
            try:
                self._prepare(spool)
            except sqlite3.OperationalError:
                spool.close()
                if path.exists() and time.monotonic() > until:
                    raise
                time.sleep(AGAIN_S)
            else:
                return spool
        return None


def _opened(path: Path) -> sqlite3.Connection | None:
    """None: its process removed it just now, so all of it was moved."""
    try:
        address = f"{path.absolute().as_uri()}?mode=rw"
        return sqlite3.connect(address, uri=True, isolation_level=None, timeout=BUSY_TIMEOUT_MS / 1000)
    except sqlite3.OperationalError:
        if path.exists():
            raise
        return None


def _top(spool: sqlite3.Connection) -> int:
    """The number of its newest commit; 0: there is none, moved or not."""
    (top,) = spool.execute("SELECT coalesce(max(id), 0) FROM waiting").fetchone()
    return int(top)


def _has_table(spool: sqlite3.Connection, name: str) -> bool:
    (there,) = spool.execute("SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = ?)", (name,)).fetchone()
    return bool(there)


def _last(connection: sqlite3.Connection, name: str) -> int:
    """How far it is moved; 0: not at all."""
    found = connection.execute("SELECT last FROM spool_progress WHERE name = ?", (name,)).fetchone()
    return int(found[0]) if found else 0
