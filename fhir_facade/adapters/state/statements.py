"""The four statements that row changes become on PostgreSQL, per table: insert, insert numbered, put, remove.

An insert that meets an existing key or unique index changes nothing instead of failing, so that the surrounding
transaction stays usable; the count of rows tells. https://www.postgresql.org/docs/15/sql-insert.html#SQL-ON-CONFLICT
"""

from __future__ import annotations

from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.sql.dml import Delete, Insert

from fhir_facade.adapters.state.metadata import sql_table
from fhir_facade.adapters.state.steps import Verb
from fhir_facade.adapters.state.tables import RowTable


@cache
def statement(table: RowTable[Any], verb: Verb) -> Insert | Delete:
    """The Core statement; its parameters are named as the fields."""
    if verb == "remove":
        return sa.delete(sql_table(table)).where(*_key_is(table))
    insert = postgresql.insert(sql_table(table)).inline()
    others = [name for name in table.fields if name not in table.spec.key]
    if verb == "put" and others:
        key, new = list(table.spec.key), {name: insert.excluded[name] for name in others}
        return insert.on_conflict_do_update(index_elements=key, set_=new)
    return insert.on_conflict_do_nothing()


def plain_insert(table: RowTable[Any], names: tuple[str, ...]) -> Insert:
    """An insert that fails on an existing key: for rows that many callers send in one execution."""
    return sa.insert(sql_table(table)).values({name: sa.bindparam(f"new_{name}") for name in names}).inline()


def _key_is(table: RowTable[Any]) -> list[sa.ColumnElement[bool]]:
    return [sql_table(table).c[name] == sa.bindparam(name) for name in table.spec.key]
