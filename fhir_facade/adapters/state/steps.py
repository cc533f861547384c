"""The changes of rows as steps: a table, what is done to it, and the encoded values."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

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
    numbered, values = table.insertion(row)
    return Step(table, "number" if numbered else "insert", values)


def names_of(table: RowTable[Any], verb: Verb) -> tuple[str, ...]:
    """The fields whose values a step of this verb carries, in order."""
    if verb == "remove":
        return table.spec.key
    if verb == "number":
        return tuple(name for at, name in enumerate(table.fields) if at != table.serial_at)
    return table.fields


def row_exists(table: RowTable[Any]) -> Conflict:
    return Conflict(f"a row of {table.spec.name} with this key exists already")
