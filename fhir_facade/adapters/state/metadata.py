"""The tables as SQLAlchemy knows them: for migrations, and for statements on PostgreSQL.

Every table carries a `tenant` column fixed to one value: one deployment is one tenant, and tables of several can be
merged later. https://docs.sqlalchemy.org/en/20/core/metadata.html
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any

import sqlalchemy as sa

from fhir_facade.adapters.state.columns import SERIAL, TYPES
from fhir_facade.adapters.state.fields import Field
from fhir_facade.adapters.state.tables import RowTable
from fhir_facade.rows import TableSpec

TENANT = "default"
_ENDS_OF_NAMES = 63  # PostgreSQL cuts longer names silently


def metadata_of(tables: Iterable[RowTable[Any]]) -> sa.MetaData:
    metadata = sa.MetaData()
    for table in tables:
        sql_table(table).to_metadata(metadata)
    return metadata


@cache
def sql_table(table: RowTable[Any]) -> sa.Table:
    """Of one row class; the same object each time."""
    return _sql_table(table.spec, table.by_name.values(), sa.MetaData())


def selected(table: RowTable[Any]) -> list[sa.Column[Any]]:
    """The columns of a row in the order that `decode` expects."""
    return [sql_table(table).c[name] for name in table.fields]


def _sql_table(spec: TableSpec, columns: Iterable[Field], metadata: sa.MetaData) -> sa.Table:
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


def _sql_column(spec: TableSpec, column: Field) -> sa.Column[Any]:
    if spec.serial and column.name == spec.key[0]:
        return sa.Column(column.name, SERIAL, autoincrement=True, nullable=False)
    counted = column.name in spec.key and isinstance(TYPES[column.kind], sa.BigInteger)
    return sa.Column(
        column.name, TYPES[column.kind], nullable=column.nullable, autoincrement=False if counted else "auto"
    )


def _index(spec: TableSpec, fields: tuple[str, ...], *, unique: bool) -> sa.Index:
    name = f"{'uq' if unique else 'ix'}_{spec.name}_{'_'.join(fields)}"
    if len(name) > _ENDS_OF_NAMES:
        raise ValueError(f"index name {name} is longer than PostgreSQL keeps: shorten the table or field names")
    return sa.Index(name, *fields, unique=unique)
