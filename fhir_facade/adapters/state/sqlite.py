"""The facade's own rows in one SQLite file, in the same transactions as whatever else lives there.

The writer thread of `SqliteFile` owns BEGIN and COMMIT; SQLAlchemy only runs statements on its connection.
https://docs.sqlalchemy.org/en/20/dialects/sqlite.html
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from itertools import groupby
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import StaticPool

from fhir_facade.adapters.sqlite_file import SqliteFile
from fhir_facade.adapters.sqlite_jobs import insert_rows
from fhir_facade.adapters.state.migrate import upgrade
from fhir_facade.adapters.state.statements import (
    INSERTS,
    Step,
    Verb,
    names_of,
    plain_insert,
    row_exists,
    select_by_key,
    sqlite_text,
    statement,
    steps,
)
from fhir_facade.adapters.state.tables import RowTable, Tables, facade_tables
from fhir_facade.adapters.state.transaction import RowT, Transaction
from fhir_facade.errors import Unavailable
from fhir_facade.ports import StateTransaction
from fhir_facade.rows import Append, Row, RowChange

T = TypeVar("T")
Item = TypeVar("Item")
KEYS_AT_ONCE = 64
_Batch = tuple[str, list[tuple[Any, ...]]]


class SqliteState:
    """`StateStore` over an open `SqliteFile`."""

    def __init__(self, file: SqliteFile, tables: Tables | None = None) -> None:
        self._file = file
        self._tables = tables or facade_tables()
        self._threads = threading.local()
        self._shared: dict[Any, Callable[[sqlite3.Connection, Sequence[Any]], Sequence[Any]]] = {}

    async def migrate(self) -> None:
        """Bring the tables to the newest revision. Unavailable when a newer program wrote the file."""
        await self._file.write(self._upgrade)

    async def read(self, work: Callable[[StateTransaction], T]) -> T:
        return await self._file.read(lambda connection: self._run(connection, work))

    async def look_up(self, row: type[RowT], keys: Collection[str]) -> list[RowT]:
        """In the caller's thread: a reader's would cost ten times as much as the look."""
        table, wanted = self._tables.of(row), list(keys)
        chunks = [wanted[at : at + KEYS_AT_ONCE] for at in range(0, len(wanted), KEYS_AT_ONCE)]
        with _facade_errors():
            here = self._file.read_here()
            return [table.decode(row) for some in chunks for row in here.execute(_among_text(table, len(some)), some)]

    async def write(self, work: Callable[[StateTransaction], T]) -> T:
        return await self._file.write(lambda connection: self._run(connection, work))

    async def write_shared(
        self, work: Callable[[StateTransaction, Sequence[Item]], Sequence[T]], item: Item, *, in_turn: bool = False
    ) -> T:
        """There is one writer: all come in turn."""
        shared = self._shared.get(work)
        if shared is None:
            shared = self._shared[work] = lambda connection, items: self._run(connection, lambda tx: work(tx, items))
        return await self._file.write_shared(shared, item)

    async def append(self, rows: Sequence[Row]) -> None:
        """Rows of one table share one execution and one commit with those of other callers."""
        batches = self._batches(rows)
        if len(batches) == 1:
            await self._file.insert(*batches[0])
        elif batches:
            changes = [Append(row) for row in rows]
            await self._file.write(lambda connection: self.apply_changes(connection, changes))

    async def ping(self) -> None:
        await self._file.read(lambda connection: connection.execute("SELECT 1").fetchone())

    def apply_changes(self, connection: sqlite3.Connection, changes: Iterable[RowChange]) -> None:
        """For a job of `SqliteFile.write` that joins FHIR writes and rows: the changes in the job's transaction."""
        with _facade_errors():
            _apply(connection, self._tables, changes)

    def _batches(self, rows: Sequence[Row]) -> list[_Batch]:
        batches: dict[str, list[tuple[Any, ...]]] = {}
        for row in rows:
            table = self._tables.of(type(row))
            if table.is_unnumbered(row):
                batches.setdefault(_append_text(table, "number"), []).append(table.encode_unnumbered(row))
            else:
                batches.setdefault(_append_text(table, "insert"), []).append(table.encode(row))
        return list(batches.items())

    def _run(self, connection: sqlite3.Connection, work: Callable[[StateTransaction], T]) -> T:
        with _facade_errors():
            return work(_SqliteTransaction(self._core(connection), connection, self._tables))

    def _upgrade(self, connection: sqlite3.Connection) -> None:
        with _facade_errors():
            upgrade(self._core(connection))

    def _core(self, connection: sqlite3.Connection) -> sa.Connection:
        """SQLAlchemy on this thread's connection, made once; it is never told to begin, commit or roll back."""
        known: tuple[sqlite3.Connection, sa.Connection] | None = getattr(self._threads, "known", None)
        if known is None or known[0] is not connection:
            known = self._threads.known = (connection, core_connection(connection))
        return known[1]


class _SqliteTransaction(Transaction):
    """Look-ups by key and row changes go to the driver, in a tenth of the time, and rows of one table together."""

    def __init__(self, core: sa.Connection, connection: sqlite3.Connection, tables: Tables) -> None:
        super().__init__(core, tables)
        self._driver = connection

    def get(self, row: type[RowT], *key: Any) -> RowT | None:
        table = self._tables.of(row)
        encoded = [table.encode_field(name, value) for name, value in zip(table.spec.key, key, strict=True)]
        values = self._driver.execute(_get_text(table), encoded).fetchone()
        return None if values is None else table.decode(values)

    def apply(self, *changes: RowChange) -> None:
        _apply(self._driver, self._tables, changes)

    def take(self, row: type[Row], keys: Collection[str]) -> frozenset[str]:
        table, wanted = self._tables.of(row), list(keys)
        chunks = [wanted[at : at + KEYS_AT_ONCE] for at in range(0, len(wanted), KEYS_AT_ONCE)]
        return frozenset(id_ for some in chunks for (id_,) in self._driver.execute(_take_text(table, len(some)), some))


def core_connection(connection: sqlite3.Connection) -> sa.Connection:
    """A SQLAlchemy connection on an open driver connection, which must be in autocommit mode and stays so.

    Setting an isolation level would commit, and a pool would roll back, so neither is asked for.
    """
    assert connection.isolation_level is None
    engine = sa.create_engine(
        "sqlite://",
        creator=lambda: connection,
        poolclass=StaticPool,
        pool_reset_on_return=None,
        skip_autocommit_rollback=True,
        hide_parameters=True,
    )
    return engine.connect()


@contextmanager
def _facade_errors() -> Iterator[None]:
    try:
        yield
    except (DBAPIError, sqlite3.Error) as error:
        cause = getattr(error, "orig", None) or error
        raise Unavailable(f"the data file cannot be used: {cause}") from error


def _apply(connection: sqlite3.Connection, tables: Tables, changes: Iterable[RowChange]) -> None:
    for (table, verb), alike in groupby(steps(tables, changes), lambda step: (step.table, step.verb)):
        if verb in INSERTS:
            _insert(connection, table, verb, [step.values for step in alike])
        else:
            for step in alike:
                _execute(connection, step)


def _execute(connection: sqlite3.Connection, step: Step) -> None:
    try:
        connection.execute(_change_text(step.table, step.verb), step.values)
    except sqlite3.IntegrityError as error:
        raise row_exists(step.table) from error


def _insert(connection: sqlite3.Connection, table: RowTable[Any], verb: Verb, rows: list[tuple[Any, ...]]) -> None:
    try:
        insert_rows(connection, _append_text(table, verb), rows)
    except sqlite3.IntegrityError as error:
        raise row_exists(table) from error


@cache
def _get_text(table: RowTable[Any]) -> str:
    return sqlite_text(select_by_key(table), table.spec.key)


@cache
def _among_text(table: RowTable[Any], count: int) -> str:
    return sqlite_text(sa.select(*table.selected()), ()) + _among(table, count)


@cache
def _take_text(table: RowTable[Any], count: int) -> str:
    (key,) = table.spec.key
    return f'{sqlite_text(sa.delete(table.table), ())}{_among(table, count)} RETURNING "{key}"'


def _among(table: RowTable[Any], count: int) -> str:
    (key,) = table.spec.key
    return f' WHERE "{key}" IN ({", ".join("?" * count)})'


@cache
def _change_text(table: RowTable[Any], verb: Verb) -> str:
    return sqlite_text(statement(table, verb, "sqlite"), names_of(table, verb))


@cache
def _append_text(table: RowTable[Any], verb: Verb) -> str:
    return sqlite_text(plain_insert(table, names_of(table, verb)), names_of(table, verb))
