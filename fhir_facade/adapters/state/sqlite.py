"""The facade's own rows in one SQLite file, in the same transactions as whatever else lives there.

`SqliteFile` owns BEGIN and COMMIT. https://docs.python.org/3/library/sqlite3.html
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby
from typing import Any, TypeVar

from fhir_facade.adapters.sqlite_file import SqliteFile
from fhir_facade.adapters.sqlite_jobs import insert_rows
from fhir_facade.adapters.sqlite_lists import padded
from fhir_facade.adapters.state import sqlite_texts
from fhir_facade.adapters.state.presence import Presence
from fhir_facade.adapters.state.revisions import is_newest
from fhir_facade.adapters.state.spool import Spool, Tops
from fhir_facade.adapters.state.sqlite_texts import Condition, change_text
from fhir_facade.adapters.state.steps import INSERTS, Step, Verb, row_exists, steps
from fhir_facade.adapters.state.tables import RowTable, Tables, facade_tables
from fhir_facade.errors import Unavailable
from fhir_facade.ports import StateTransaction
from fhir_facade.rows import Append, Row, RowChange

T = TypeVar("T")
RowT = TypeVar("RowT", bound=Row)
Item = TypeVar("Item")
_LOG = logging.getLogger(__name__)
_Asked = Callable[[sqlite3.Connection, RowTable[Any]], None]


class SqliteState:
    """`StateStore` over an open `SqliteFile`. Rows of the class `spooled` that are appended wait in a `Spool`, from
    `serve` to `close`, and are there for whoever asks for them."""

    def __init__(self, file: SqliteFile, tables: Tables | None = None, *, spooled: type[Row] | None = None) -> None:
        self._file = file
        self._tables = tables or facade_tables()
        self._spool = None if spooled is None else Spool(file, self._tables.of(spooled))
        self._presence = Presence(file)
        self._shared: dict[Any, Callable[[sqlite3.Connection, Sequence[Any]], Sequence[Any]]] = {}

    async def migrate(self) -> None:
        """Bring the tables to the newest revision. Unavailable when a newer program wrote the file."""
        await self._file.write(self._upgrade)

    async def serve(self, *, apart_s: float = 0.0) -> None:
        """From now on rows that are spooled go to a file of this process."""
        if self._spool is not None:
            await self._spool.open(apart_s=apart_s)

    async def close(self) -> None:
        """Leaves all rows in the shared file, if it can be written."""
        if self._spool is not None:
            try:
                await self._settle(self._spool)
            except Unavailable:  # what waits is moved by whoever asks for it first
                _LOG.warning("spool.kept", extra={"table": self._spool.table.spec.name})
            self._spool.close()

    async def read(self, work: Callable[[StateTransaction], T], *, here: bool = False) -> T:
        def viewed(connection: sqlite3.Connection) -> T:
            return self._run(connection, work)

        if here:
            return self._file.view_here(viewed)
        try:
            return await self._file.read(lambda connection: self._run(connection, work, self._refuse_waiting))
        except _Waiting as waiting:
            await self._settle(waiting.spool)
            return await self._file.read(viewed)

    async def _settle(self, spool: Spool) -> None:
        """All that waits at this moment is in the shared file afterwards."""
        tops: Tops = {}
        with _facade_errors():
            while await self._file.write(lambda connection: spool.move(connection, tops)):
                pass
            await spool.forget()

    def _refuse_waiting(self, _: sqlite3.Connection, table: RowTable[Any]) -> None:
        spool = self._spool
        if spool is not None and table is spool.table and spool.waits():
            raise _Waiting(spool)

    def _move_waiting(self, connection: sqlite3.Connection, table: RowTable[Any]) -> None:
        if self._spool is not None and table is self._spool.table:
            tops: Tops = {}
            while self._spool.move(connection, tops):
                pass

    async def present(self, row: type[Row], keys: Collection[str]) -> frozenset[str]:
        return await self._presence.among(self._tables.of(row), keys)

    async def write(self, work: Callable[[StateTransaction], T]) -> T:
        return await self._file.write(lambda connection: self._run(connection, work, self._move_waiting))

    async def write_shared(
        self, work: Callable[[StateTransaction, Sequence[Item]], Sequence[T]], item: Item, *, in_turn: bool = False
    ) -> T:
        """There is one writer: all come in turn."""
        shared = self._shared.get(work)
        if shared is None:
            shared = self._shared[work] = lambda connection, items: self._run(
                connection, lambda tx: work(tx, items), self._move_waiting
            )
        return await self._file.write_shared(shared, item)

    def append(self, rows: Sequence[Row]) -> Awaitable[None]:
        """Rows of one table share one execution and one commit with those of other callers."""
        if self._spool is not None and self._spool.takes(rows):
            return self._spool.append(rows)
        statement, inserted = "", []
        for row in rows:
            table = self._tables.of(type(row))
            numbered, values = table.insertion(row)
            text = change_text(table, "number" if numbered else "insert")
            if text != statement and statement:
                return self._append_apart(rows)
            statement = text
            inserted.append(values)
        if not inserted:
            return _nothing()
        return self._file.insert(statement, inserted)

    async def _append_apart(self, rows: Sequence[Row]) -> None:
        changes = [Append(row) for row in rows]
        await self._file.write(lambda connection: self.apply_changes(connection, changes))

    async def ping(self) -> None:
        await self._file.read(lambda connection: connection.execute("SELECT 1").fetchone())

    def apply_changes(self, connection: sqlite3.Connection, changes: Iterable[RowChange]) -> None:
        """For a job of `SqliteFile.write` that joins FHIR writes and rows: the changes in the job's transaction."""
        with _facade_errors():
            _apply(connection, self._tables, changes)

    def _run(
        self, connection: sqlite3.Connection, work: Callable[[StateTransaction], T], asked: _Asked | None = None
    ) -> T:
        with _facade_errors():
            return work(_SqliteTransaction(connection, self._tables, asked))

    def _upgrade(self, connection: sqlite3.Connection) -> None:
        with _facade_errors():
            if self._spool is not None:
                self._spool.define(connection)
            if is_newest(connection):
                return
        from fhir_facade.adapters.state.migrate import upgrade_file  # a start with nothing to do stays quick

        upgrade_file(connection)


class _Waiting(Exception):
    """There are rows that a transaction that only reads cannot move to where it looks."""

    def __init__(self, spool: Spool) -> None:
        self.spool = spool


class _SqliteTransaction:
    """`StateTransaction`: a refused change (Conflict) leaves the transaction usable. `asked` is called before each look
    at a table."""

    def __init__(self, connection: sqlite3.Connection, tables: Tables, asked: _Asked | None) -> None:
        self._driver = connection
        self._tables = tables
        self._asked = asked

    def _of(self, row: type[RowT]) -> RowTable[RowT]:
        table = self._tables.of(row)
        if self._asked is not None:
            self._asked(self._driver, table)
        return table

    def get(self, row: type[RowT], *key: Any) -> RowT | None:
        table = self._of(row)
        encoded = [table.encode_field(name, value) for name, value in zip(table.spec.key, key, strict=True)]
        values = self._driver.execute(sqlite_texts.row_by_key(table), encoded).fetchone()
        return None if values is None else table.decode(values)

    def find(
        self, row: type[RowT], *where: Condition, order: tuple[str, ...] = (), limit: int | None = None
    ) -> list[RowT]:
        table = self._of(row)
        found = self._driver.execute(*sqlite_texts.select(table, where, order, limit))
        return [table.decode(values) for values in found]

    def count(self, row: type[Row], *where: Condition) -> int:
        (amount,) = self._driver.execute(*sqlite_texts.count(self._of(row), where)).fetchone()
        return int(amount)

    def apply(self, *changes: RowChange) -> None:
        _apply(self._driver, self._tables, changes)

    def take(self, row: type[Row], keys: Collection[str]) -> frozenset[str]:
        table = self._of(row)
        texts = [(sqlite_texts.take_among(table, len(some)), some) for some in padded(list(keys))]
        return frozenset(id_ for asked in texts for (id_,) in self._driver.execute(*asked))

    def change(self, row: type[RowT], where: Sequence[Condition], **values: Any) -> list[RowT]:
        """Conflict when the new values meet a unique index."""
        table = self._of(row)
        try:
            changed = self._driver.execute(*sqlite_texts.update(table, where, values)).fetchall()
        except sqlite3.IntegrityError as error:
            raise row_exists(table) from error
        return [table.decode(values_now) for values_now in changed]


async def _nothing() -> None:
    """What there is to wait for when there was nothing to do."""


@contextmanager
def _facade_errors() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise Unavailable(f"the data file cannot be used: {error}") from error


def _apply(connection: sqlite3.Connection, tables: Tables, changes: Iterable[RowChange]) -> None:
    for (table, verb), alike in groupby(steps(tables, changes), lambda step: (step.table, step.verb)):
        if verb in INSERTS:
            _insert(connection, table, verb, [step.values for step in alike])
        else:
            for step in alike:
                _execute(connection, step)


def _execute(connection: sqlite3.Connection, step: Step) -> None:
    try:
        connection.execute(change_text(step.table, step.verb), step.values)
    except sqlite3.IntegrityError as error:
        raise row_exists(step.table) from error


def _insert(connection: sqlite3.Connection, table: RowTable[Any], verb: Verb, rows: list[tuple[Any, ...]]) -> None:
    try:
        insert_rows(connection, change_text(table, verb), rows)
    except sqlite3.IntegrityError as error:
        raise row_exists(table) from error
