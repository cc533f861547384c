"""The four statements that row changes become, per table and database: insert, insert numbered, put, remove.

An insert that meets an existing key or unique index changes nothing instead of failing, so that the surrounding
transaction stays usable on PostgreSQL too; the count of rows tells. https://sqlite.org/lang_upsert.html
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql.dml import Delete, Insert

from fhir_facade.adapters.state.tables import RowTable, Tables
from fhir_facade.errors import Conflict
from fhir_facade.rows import Append, Put, Row, RowChange

Verb = Literal["insert", "number", "put", "remove"]
INSERTS: frozenset[Verb] = frozenset({"insert", "number"})


@dataclass(frozen=True, slots=True)
class Step:
    """One statement to execute; `values` in the order of `names_of(table, verb)`."""

    table: RowTable[Any]
    verb: Verb
    values: tuple[Any, ...]

    def refuse_nothing_inserted(self, count: int) -> None:
        """Conflict when an insert met an existing row."""
        if count == 0 and self.verb in INSERTS:
            raise row_exists(self.table)


def steps(tables: Tables, changes: Iterable[RowChange]) -> Iterator[Step]:
    """The changes in order, encoded."""
    for change in changes:
        if isinstance(change, Append):
            yield insert_step(tables, change.row)
        elif isinstance(change, Put):
            step = insert_step(tables, change.row)
            yield step if step.verb == "number" else Step(step.table, "put", step.values)
        else:
            table = tables.of(change.row_class)
            key = zip(table.spec.key, change.key, strict=True)
            yield Step(table, "remove", tuple(table.encode_field(name, value) for name, value in key))


def insert_step(tables: Tables, row: Row) -> Step:
    table = tables.of(type(row))
    if table.is_unnumbered(row):
        return Step(table, "number", table.encode_unnumbered(row))
    return Step(table, "insert", table.encode(row))


def names_of(table: RowTable[Any], verb: Verb) -> tuple[str, ...]:
    """The fields whose values a step of this verb carries, in order."""
    if verb == "remove":
        return table.spec.key
    if verb == "number":
        return tuple(name for at, name in enumerate(table.fields) if at != table.serial_at)
    return table.fields


def statement(table: RowTable[Any], verb: Verb, dialect: str) -> Insert | Delete:
    """The Core statement; its parameters are named as the fields."""
    if verb == "remove":
        return sa.delete(table.table).where(*_key_is(table))
    insert: Any = (postgresql if dialect == "postgresql" else sqlite).insert(table.table).inline()
    others = [name for name in table.fields if name not in table.spec.key]
    query: Insert = insert.on_conflict_do_nothing()
    if verb == "put" and others:
        key, new = list(table.spec.key), {name: insert.excluded[name] for name in others}
        query = insert.on_conflict_do_update(index_elements=key, set_=new)
    return query


def plain_insert(table: RowTable[Any], names: tuple[str, ...]) -> Insert:
    """An insert that fails on an existing key: for rows that many callers send in one execution."""
    return sa.insert(table.table).values({name: sa.bindparam(f"new_{name}") for name in names}).inline()


def select_by_key(table: RowTable[Any]) -> sa.Select[*tuple[Any, ...]]:
    """The row with a key, in the order that `decode` expects; parameters as in `statement`."""
    return sa.select(*table.selected()).where(*_key_is(table))


def sqlite_text(query: Insert | Delete | sa.Select[*tuple[Any, ...]], names: tuple[str, ...]) -> str:
    """The statement as SQLite text with `?` in the order of `names`."""
    return str(query.compile(dialect=sqlite.dialect(paramstyle="qmark"), column_keys=list(names)))


def _key_is(table: RowTable[Any]) -> list[sa.ColumnElement[bool]]:
    return [table.table.c[name] == sa.bindparam(name) for name in table.spec.key]


def row_exists(table: RowTable[Any]) -> Conflict:
    return Conflict(f"a row of {table.spec.name} with this key exists already")
