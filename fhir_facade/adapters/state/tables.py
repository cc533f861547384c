"""SQL tables derived from the row classes of `rows/`; no table is written by hand.

Every table carries a `tenant` column fixed to one value: one deployment is one tenant, and tables of several can be
merged later. https://docs.sqlalchemy.org/en/20/core/metadata.html
"""

from __future__ import annotations

import pkgutil
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from importlib import import_module
from typing import Any, Generic, TypeVar

import msgspec
import sqlalchemy as sa

from fhir_facade import rows
from fhir_facade.adapters.state.columns import SERIAL, Column, column_of
from fhir_facade.rows import Row, TableSpec

RowT = TypeVar("RowT", bound=Row)

TENANT = "default"
_ENDS_OF_NAMES = 63  # PostgreSQL cuts longer names silently


class RowTable(Generic[RowT]):
    """One row class with its SQL table and the conversion between the two.

    Encoded values come in the order of `fields`, which is the order of the columns after `tenant`.
    """

    def __init__(self, spec: TableSpec, row: type[RowT], metadata: sa.MetaData) -> None:
        self.spec = spec
        self.row = row
        self.columns: tuple[Column, ...] = tuple(
            column_of(field.name, field.type) for field in msgspec.structs.fields(row)
        )
        self.fields = tuple(column.name for column in self.columns)
        self.by_name = {column.name: column for column in self.columns}
        self.serial_at = self.fields.index(spec.key[0]) if spec.serial else None
        self.table = _sql_table(spec, self.columns, metadata)
        self._encoders = tuple(column.encode for column in self.columns)
        self._decoders = tuple(column.decode for column in self.columns)

    def encode(self, row: Row) -> tuple[Any, ...]:
        values = msgspec.structs.astuple(row)
        return tuple([None if v is None else f(v) for f, v in zip(self._encoders, values, strict=True)])

    def encode_unnumbered(self, row: Row) -> tuple[Any, ...]:
        """Without the serial field, for rows that the database numbers."""
        values = self.encode(row)
        assert self.serial_at is not None
        return values[: self.serial_at] + values[self.serial_at + 1 :]

    def is_unnumbered(self, row: Row) -> bool:
        return self.serial_at is not None and getattr(row, self.fields[self.serial_at]) == 0

    def encode_field(self, name: str, value: Any) -> Any:
        return None if value is None else self.by_name[name].encode(value)

    def decode(self, values: Sequence[Any]) -> RowT:
        decoded = [None if v is None else f(v) for f, v in zip(self._decoders, values, strict=True)]
        return self.row(**dict(zip(self.fields, decoded, strict=True)))

    def selected(self) -> list[sa.Column[Any]]:
        """The columns of a row in the order that `decode` expects."""
        return [self.table.c[name] for name in self.fields]


class Tables:
    """All row tables of one deployment, by row class, in one `MetaData`."""

    def __init__(self, specs: Iterable[TableSpec]) -> None:
        self.metadata = sa.MetaData()
        self._by_row: dict[type[Row], RowTable[Any]] = {
            spec.row: RowTable(spec, spec.row, self.metadata) for spec in specs
        }
        self._by_name = {table.spec.name: table for table in self}

    def of(self, row: type[RowT]) -> RowTable[RowT]:
        """KeyError for a row class without a table."""
        return self._by_row[row]

    def named(self, name: str) -> RowTable[Any]:
        """KeyError for a name that no table has."""
        return self._by_name[name]

    def __iter__(self) -> Iterator[RowTable[Any]]:
        return iter(self._by_row.values())


@cache
def facade_tables() -> Tables:
    """The tables of every row class in `fhir_facade.rows`."""
    for module in pkgutil.iter_modules(rows.__path__):
        import_module(f"{rows.__name__}.{module.name}")
    return Tables(rows.tables())


def _sql_table(spec: TableSpec, columns: Iterable[Column], metadata: sa.MetaData) -> sa.Table:
    key = sa.PrimaryKeyConstraint(*spec.key, name=f"pk_{spec.name}")
    indexes = [_index(spec, fields, unique=False) for fields in spec.indexes]
    options: dict[str, Any] = {"sqlite_autoincrement": True} if spec.serial else {}
    uniques = [_index(spec, fields, unique=True) for fields in spec.unique]
    return sa.Table(
        spec.name,
        metadata,
        sa.Column("tenant", sa.Text(), nullable=False, server_default=TENANT),
        *(_sql_column(spec, column) for column in columns),
        key,
        *indexes,
        *uniques,
        **options,
    )


def _sql_column(spec: TableSpec, column: Column) -> sa.Column[Any]:
    if spec.serial and column.name == spec.key[0]:
        return sa.Column(column.name, SERIAL, autoincrement=True, nullable=False)
    counted = column.name in spec.key and isinstance(column.type, sa.BigInteger)
    return sa.Column(column.name, column.type, nullable=column.nullable, autoincrement=False if counted else "auto")


def _index(spec: TableSpec, fields: tuple[str, ...], *, unique: bool) -> sa.Index:
    name = f"{'uq' if unique else 'ix'}_{spec.name}_{'_'.join(fields)}"
    if len(name) > _ENDS_OF_NAMES:
        raise ValueError(f"index name {name} is longer than PostgreSQL keeps: shorten the table or field names")
    return sa.Index(name, *fields, unique=unique)
