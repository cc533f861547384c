"""`StateTransaction` on PostgreSQL, over a synchronous SQLAlchemy connection.

Text orders by its bytes and absent values come first, as on SQLite.
https://docs.sqlalchemy.org/en/20/core/connections.html
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from fhir_facade.adapters.state.metadata import selected, sql_table
from fhir_facade.adapters.state.statements import statement
from fhir_facade.adapters.state.steps import Step, Verb, names_of, row_exists, steps
from fhir_facade.adapters.state.tables import RowTable, Tables
from fhir_facade.rows import Row, RowChange

RowT = TypeVar("RowT", bound=Row)
Condition = tuple[str, str, Any]

OPERATORS: dict[str, Callable[[sa.Column[Any], Any], sa.ColumnElement[bool]]] = {
    "=": lambda column, value: column.is_not_distinct_from(value) if value is None else column == value,
    "!=": lambda column, value: column.is_distinct_from(value),
    "<": lambda column, value: column < value,
    "<=": lambda column, value: column <= value,
    ">": lambda column, value: column > value,
    ">=": lambda column, value: column >= value,
    "in": lambda column, value: column.in_(value),
}


class Transaction:
    """Lives as long as the database transaction it works in; begin and commit belong to the store.

    `!=` also finds rows whose field is None. A refused change (Conflict) leaves the transaction usable.
    """

    def __init__(self, connection: sa.Connection, tables: Tables) -> None:
        self._connection = connection
        self._tables = tables

    def get(self, row: type[RowT], *key: Any) -> RowT | None:
        table = self._tables.of(row)
        where = [(name, "=", value) for name, value in zip(table.spec.key, key, strict=True)]
        found = self.find(row, *where, limit=1)
        return found[0] if found else None

    def find(
        self, row: type[RowT], *where: Condition, order: tuple[str, ...] = (), limit: int | None = None
    ) -> list[RowT]:
        """Rows with equal `order` fields come by key."""
        table = self._tables.of(row)
        query = sa.select(*selected(table)).where(*_conditions(table, where))
        if order:
            query = query.order_by(*(_ordering(table, name) for name in (*order, *_tie_breakers(table, order))))
        if limit is not None:
            query = query.limit(limit)
        return [table.decode(values) for values in self._connection.execute(query)]

    def count(self, row: type[Row], *where: Condition) -> int:
        table = self._tables.of(row)
        query = sa.select(sa.func.count()).select_from(sql_table(table)).where(*_conditions(table, where))
        return int(self._connection.execute(query).scalar_one())

    def apply(self, *changes: RowChange) -> None:
        for step in steps(self._tables, changes):
            with self._savepoint(step.table, step.verb):
                step.refuse_nothing_inserted(self._execute(step))

    def take(self, row: type[Row], keys: Collection[str]) -> frozenset[str]:
        table = self._tables.of(row)
        (name,) = table.spec.key
        key = sql_table(table).c[name]
        taken = self._connection.execute(sa.delete(sql_table(table)).where(key.in_(list(keys))).returning(key))
        return frozenset(taken.scalars())

    def change(self, row: type[RowT], where: Sequence[Condition], **values: Any) -> list[RowT]:
        """Conflict when the new values meet a unique index."""
        table = self._tables.of(row)
        encoded = {name: table.encode_field(name, value) for name, value in values.items()}
        query = (
            sa.update(sql_table(table)).where(*_conditions(table, where)).values(encoded).returning(*selected(table))
        )
        with self._savepoint(table, "put"):
            try:
                changed = self._connection.execute(query).all()
            except IntegrityError as error:
                raise row_exists(table) from error
        return [table.decode(values_now) for values_now in changed]

    def _execute(self, step: Step) -> int:
        parameters = dict(zip(names_of(step.table, step.verb), step.values, strict=True))
        try:
            result = self._connection.execute(statement(step.table, step.verb), parameters)
        except IntegrityError as error:
            raise row_exists(step.table) from error
        return result.rowcount

    def _savepoint(self, table: RowTable[Any], verb: Verb) -> AbstractContextManager[Any]:
        """PostgreSQL ends a transaction at its first error, so what may meet a unique index gets a savepoint."""
        if verb == "put" and table.spec.unique:
            return self._connection.begin_nested()
        return nullcontext()


def _conditions(table: RowTable[Any], where: Sequence[Condition]) -> list[sa.ColumnElement[bool]]:
    return [
        OPERATORS[operator](sql_table(table).c[name], _operand(table, name, operator, value))
        for name, operator, value in where
    ]


def _operand(table: RowTable[Any], name: str, operator: str, value: Any) -> Any:
    if operator == "in":
        return [table.encode_field(name, one) for one in value]
    return table.encode_field(name, value)


def _ordering(table: RowTable[Any], name: str) -> sa.ColumnElement[Any]:
    column = sql_table(table).c[name.removeprefix("-")]
    ordered: sa.ColumnElement[Any] = column.desc() if name.startswith("-") else column.asc()
    if not table.by_name[column.name].nullable:
        return ordered
    return ordered.nulls_last() if name.startswith("-") else ordered.nulls_first()


def _tie_breakers(table: RowTable[Any], order: tuple[str, ...]) -> tuple[str, ...]:
    """The key fields that `order` lacks, in the direction of its last field."""
    named = {name.removeprefix("-") for name in order}
    sign = "-" if order[-1].startswith("-") else ""
    return tuple(f"{sign}{name}" for name in table.spec.key if name not in named)
