"""The facade's own rows in PostgreSQL, for several processes of one deployment.

Writes are SERIALIZABLE and repeated when PostgreSQL cannot order them; numbered rows get their number and become
visible in the same order, so a reader of `id > n` misses none.
https://www.postgresql.org/docs/15/transaction-iso.html
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import asyncpg
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from fhir_facade.adapters.state.appends import Appends
from fhir_facade.adapters.state.migrate import upgrade
from fhir_facade.adapters.state.statements import plain_insert
from fhir_facade.adapters.state.steps import Step, insert_step, names_of
from fhir_facade.adapters.state.tables import RowTable, Tables, facade_tables
from fhir_facade.adapters.state.together import Together
from fhir_facade.adapters.state.transaction import Transaction
from fhir_facade.errors import Conflict, Unavailable
from fhir_facade.ports import StateTransaction
from fhir_facade.rows import Row

T = TypeVar("T")
Item = TypeVar("Item")

POOL_SIZE = 10
POOL_WAIT_S = 10
CONNECT_TIMEOUT_S = 5
STATEMENT_TIMEOUT_S = 30
ATTEMPTS = 14
FIRST_PAUSE_S = 0.004
LONGEST_PAUSE_S = 0.25

MIGRATING = int.from_bytes(b"facadeDB")  # the advisory lock of whoever changes tables
UNORDERED = frozenset({"40001", "40P01"})  # serialization failure, deadlock
FAILURES = (DBAPIError, PoolTimeout, OSError, asyncpg.PostgresError, asyncpg.InterfaceError)

_chance = random.SystemRandom()


class _Again(Exception):
    """The transaction left no trace and may be repeated."""


class PostgresState:
    """`StateStore` over `postgresql://user:password@host:port/name`; `sslmode` of libpq is understood."""

    def __init__(self, url: str, tables: Tables | None = None) -> None:
        self._tables = tables or facade_tables()
        self._engine = engine_of(url)
        self._readers = self._engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        self._writers = self._engine.execution_options(isolation_level="SERIALIZABLE")
        self._appends = Appends(self._insert)
        self._together = Together(self.write)

    async def migrate(self) -> None:
        """Bring the tables to the newest revision; one process does it, others that start meanwhile wait.

        Unavailable when a newer program wrote the database.
        """
        with _facade_errors():
            async with self._engine.begin() as connection:
                await connection.execute(sa.select(sa.func.pg_advisory_xact_lock(MIGRATING)))
                await connection.run_sync(upgrade)

    async def close(self) -> None:
        """Commit what waits and give the connections back."""
        await self._appends.settled()
        await self._together.settled()
        await self._engine.dispose()

    async def read(self, work: Callable[[StateTransaction], T], *, here: bool = False) -> T:
        return await _repeated(self._readers, lambda connection: connection.run_sync(self._run, work))

    async def present(self, row: type[Row], keys: Collection[str]) -> frozenset[str]:
        (key,) = self._tables.of(row).spec.key
        found = await self.read(lambda tx: tx.find(row, (key, "in", list(keys)))) if keys else []
        return frozenset(getattr(each, key) for each in found)

    async def write(self, work: Callable[[StateTransaction], T]) -> T:
        """Conflict when other writers were faster 14 times in a row."""
        return await _repeated(self._writers, lambda connection: connection.run_sync(self._run, work))

    async def write_shared(
        self, work: Callable[[StateTransaction, Sequence[Item]], Sequence[T]], item: Item, *, in_turn: bool = False
    ) -> T:
        """Each in a transaction of its own: together they would wait for the slowest and be repeated for any."""
        if in_turn:
            answer: T = await self._together.write(work, item)
            return answer
        return await self.write(lambda tx: work(tx, (item,))[0])

    async def append(self, rows: Sequence[Row]) -> None:
        await self._appends.append(rows)

    async def ping(self) -> None:
        """A transaction without a statement would not leave this machine: the driver begins it with the first one."""
        await _repeated(self._readers, lambda connection: connection.execute(sa.select(1)))

    def _run(self, connection: sa.Connection, work: Callable[[StateTransaction], T]) -> T:
        return work(_PostgresTransaction(connection, self._tables))

    async def _insert(self, rows: Sequence[Row]) -> None:
        batches: dict[tuple[RowTable[Any], Any], list[tuple[Any, ...]]] = {}
        for row in rows:
            step = insert_step(self._tables, row)
            batches.setdefault((step.table, step.verb), []).append(step.values)
        ordered = sorted(batches.items(), key=lambda batch: batch[0][0].spec.name)

        async def insert(connection: AsyncConnection) -> None:
            for (table, verb), values in ordered:
                names = [f"new_{name}" for name in names_of(table, verb)]
                await connection.run_sync(_lock_numbering, table)
                await connection.execute(
                    plain_insert(table, names_of(table, verb)), [dict(zip(names, v, strict=True)) for v in values]
                )

        await _repeated(self._engine, insert)


class _PostgresTransaction(Transaction):
    def __init__(self, connection: sa.Connection, tables: Tables) -> None:
        super().__init__(connection, tables)
        self._numbering: set[str] = set()

    def _execute(self, step: Step) -> int:
        if step.table.spec.name not in self._numbering and step.verb != "remove":
            _lock_numbering(self._connection, step.table)
            self._numbering.add(step.table.spec.name)
        return super()._execute(step)


def _lock_numbering(connection: sa.Connection, table: RowTable[Any]) -> None:
    """Numbers are drawn in commit order: whoever draws holds the table's advisory lock until its commit is visible."""
    if table.spec.serial:
        name = f"fhir-facade numbering of {table.spec.name}"
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(sa.func.hashtextextended(name, 0))))


def engine_of(url: str) -> AsyncEngine:
    """A pooled engine in UTC that never prints parameters."""
    address = sa.make_url(url).set(drivername="postgresql+asyncpg")
    if "sslmode" in address.query:
        query = dict(address.query)
        query["ssl"] = query.pop("sslmode")
        address = address.set(query=query)
    return create_async_engine(
        address,
        pool_size=POOL_SIZE,
        max_overflow=0,
        pool_timeout=POOL_WAIT_S,
        hide_parameters=True,
        isolation_level="READ COMMITTED",
        connect_args={
            "timeout": CONNECT_TIMEOUT_S,
            "command_timeout": STATEMENT_TIMEOUT_S,
            "server_settings": {"timezone": "UTC", "application_name": "fhir-facade", "jit": "off"},
        },
    )


async def _repeated(engine: AsyncEngine, body: Callable[[AsyncConnection], Awaitable[T]]) -> T:
    for attempt in range(ATTEMPTS):
        try:
            return await _once(engine, body)
        except _Again:
            await asyncio.sleep(_chance.uniform(0, min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2**attempt)))
    raise Conflict("other writers changed the same rows at the same time; try again")


async def _once(engine: AsyncEngine, body: Callable[[AsyncConnection], Awaitable[T]]) -> T:
    with _facade_errors():
        async with engine.connect() as connection:
            with _repeatable():
                result = await body(connection)
            await connection.commit()
            return result


@contextmanager
def _repeatable() -> Iterator[None]:
    """A connection that broke before the commit left no trace: another one may succeed."""
    try:
        yield
    except DBAPIError as error:
        if error.connection_invalidated:
            raise _Again from error
        raise


@contextmanager
def _facade_errors() -> Iterator[None]:
    try:
        yield
    except IntegrityError as error:
        raise Conflict("a row with this key exists already") from error
    except FAILURES as error:
        if getattr(getattr(error, "orig", None), "sqlstate", None) in UNORDERED:
            raise _Again from error
        raise Unavailable(f"the database cannot be used: {_named(error)}") from error


def _named(error: BaseException) -> str:
    """What went wrong without the statement or its values."""
    cause = getattr(error, "orig", None) or error
    return type(cause.__cause__ or cause).__name__
