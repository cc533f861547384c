"""All rows that one call changes, written together: a statement per row would cost more than the row.

What a new version says as the old one did stays where it is, because every row that moves makes pages of the file new.
https://sqlite.org/lang_upsert.html
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from fhir_facade.adapters.embedded.composites import replace_composites
from fhir_facade.adapters.embedded.schema import INDEX_TABLES, INSERTS
from fhir_facade.adapters.sqlite_jobs import insert_rows
from fhir_facade.adapters.sqlite_lists import VALUES_AT_ONCE, few_lengths, padded
from fhir_facade.values import Ref

IndexRows = Mapping[str, Sequence[tuple[Any, ...]]]
Rows = dict[str, list[tuple[Any, ...]]]

ALL_KINDS: Final = frozenset(INSERTS)
_RESOURCE = "fhir_resource (pk, type, id, version, updated, deleted, body) VALUES (?, ?, ?, ?, ?, ?, ?)"
_NEW = f"INSERT OR FAIL INTO {_RESOURCE}"
_REPLACED = (
    f"{_NEW} ON CONFLICT (pk) DO UPDATE SET version = excluded.version, updated = excluded.updated, "
    "deleted = excluded.deleted, body = excluded.body"
)
_ARCHIVE = (
    "INSERT INTO fhir_version (pk, version, type, id, updated, deleted, body) "
    "SELECT pk, version, type, id, updated, deleted, body FROM fhir_resource WHERE pk IN"
)
_COLUMNS = {kind: statement.partition("(")[2].partition(")")[0] for kind, statement in INSERTS.items()}


@dataclass(frozen=True, slots=True)
class Current:
    """What is stored of a resource, perhaps a tombstone."""

    pk: int
    version: int
    updated: int
    deleted: bool
    body: bytes


class Changes:
    """Collects what is to be written; `write` writes it."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._last = 0
        self._new: list[tuple[Any, ...]] = []
        self._replaced: list[tuple[Any, ...]] = []
        self._indexed: dict[str, list[tuple[int, Sequence[tuple[Any, ...]]]]] = {}
        self._rows: Rows = {}

    def pk(self) -> int:
        """The next number of a resource, as SQLite would give it."""
        if not self._last:
            self._last = self._connection.execute("SELECT coalesce(max(pk), 0) FROM fhir_resource").fetchone()[0]
        self._last += 1
        return self._last

    def put(
        self,
        current: Current | None,
        ref: Ref,
        version: int,
        updated: int,
        body: bytes,
        rows: IndexRows,
        kinds: frozenset[str] = ALL_KINDS,
    ) -> None:
        """A new version; no body means a tombstone. `kinds`: of which kinds the rows may be others than before."""
        pk = self.pk() if current is None else current.pk
        resource = (pk, ref.type, ref.id, version, updated, int(not body), body)
        (self._new if current is None else self._replaced).append(resource)
        if current is None or current.deleted:
            add_index(self._rows, rows, ref.id, pk)
            return
        own: Rows = {}
        add_index(own, {kind: rows[kind] for kind in kinds & rows.keys()}, ref.id, pk)
        for kind in kinds:
            self._indexed.setdefault(kind, []).append((pk, own.get(kind, ())))

    def write(self) -> None:
        connection = self._connection
        for pks in padded([row[0] for row in self._replaced]):
            connection.execute(f"{_ARCHIVE} ({', '.join('?' * len(pks))})", pks)
        for kind, table in zip(INSERTS, INDEX_TABLES, strict=True):
            indexed = self._indexed.get(kind, ())
            for at in range(0, len(indexed), VALUES_AT_ONCE):
                self._replace(kind, table, indexed[at : at + VALUES_AT_ONCE])
        insert_rows(connection, _NEW, self._new)
        insert_rows(connection, _REPLACED, self._replaced)
        insert_index(connection, self._rows)

    def _replace(self, kind: str, table: str, some: Sequence[tuple[int, Sequence[tuple[Any, ...]]]]) -> None:
        """Forget the rows of these resources that their new versions do not have; the others are inserted later."""
        pks, own = few_lengths([pk for pk, _ in some]), [row for _, rows in some for row in rows]
        if kind == "composite":
            own = replace_composites(self._connection, pks, own)
        else:
            values = [value for row in few_lengths(own) for value in row]
            self._connection.execute(_delete(table, kind, len(pks), len(values)), [*pks, *values])
        self._rows.setdefault(kind, []).extend(own)


@lru_cache(maxsize=1024)
def _delete(table: str, kind: str, pks: int, values: int) -> str:
    statement = f"DELETE FROM {table} WHERE pk IN ({', '.join('?' * pks)})"
    if not values:
        return statement
    columns = _COLUMNS[kind]
    width = columns.count(",") + 1
    row = f"({', '.join('?' * width)})"
    return f"{statement} AND ({columns}) NOT IN (VALUES {', '.join([row] * (values // width))})"


def add_index(rows: Rows, more: IndexRows, id: str, pk: int) -> None:
    """Add the index rows of one resource; those of `subject_code` carry its id too."""
    for kind, values in more.items():
        tail = (id, pk) if kind == "subject_code" else (pk,)
        rows.setdefault(kind, []).extend([value + tail for value in values])


def insert_index(connection: sqlite3.Connection, rows: Rows) -> None:
    """Insert the rows; those that are there already stay."""
    for kind, values in rows.items():
        insert_rows(connection, INSERTS[kind], values)
