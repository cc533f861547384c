"""How a row class says its table, key and indexes, and the three changes that can be made to a table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """Base of all row classes."""


@dataclass(frozen=True, slots=True)
class TableSpec:
    """`key` names the primary key fields. `serial`: the first key field is assigned by the database when 0.

    `indexes` are secondary indexes as tuples of fields; `unique` the unique ones.
    """

    name: str
    row: type[Row]
    key: tuple[str, ...]
    serial: bool
    indexes: tuple[tuple[str, ...], ...]
    unique: tuple[tuple[str, ...], ...]


_TABLES: dict[str, TableSpec] = {}
_BY_ROW: dict[type[Row], TableSpec] = {}

R = TypeVar("R", bound=type[Row])


def table(
    name: str,
    key: tuple[str, ...],
    *,
    serial: bool = False,
    indexes: tuple[tuple[str, ...], ...] = (),
    unique: tuple[tuple[str, ...], ...] = (),
) -> Callable[[R], R]:
    """Register a row class as the table `name`."""

    def register(row: R) -> R:
        spec = TableSpec(name, row, key, serial, indexes, unique)
        _TABLES[name] = spec
        _BY_ROW[row] = spec
        return row

    return register


def tables() -> tuple[TableSpec, ...]:
    """All registered tables, by name; imports of the row modules must have happened."""
    return tuple(_TABLES[name] for name in sorted(_TABLES))


def spec_of(row: type[Row]) -> TableSpec:
    """The table of a row class; KeyError for a class that was not registered."""
    return _BY_ROW[row]


@dataclass(frozen=True, slots=True)
class Append:
    """Insert a row; a key that exists is a `Conflict`. A serial key 0 is assigned by the database."""

    row: Row


@dataclass(frozen=True, slots=True)
class Put:
    """Insert a row or replace the one with the same key."""

    row: Row


@dataclass(frozen=True, slots=True)
class Remove:
    """Delete the row with this key; absent is fine."""

    row_class: type[Row]
    key: tuple[Any, ...]


RowChange = Append | Put | Remove
