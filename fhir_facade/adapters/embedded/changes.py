"""All rows that one call changes, written together: a statement per row would cost more than the row.

What a new version says as the old one did stays where it is, because every row that moves makes pages of the file new.
https://sqlite.org/lang_upsert.html
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from fhir_facade.adapters.embedded.schema import INDEX_TABLES, INSERTS
from fhir_facade.adapters.sqlite_jobs import insert_rows
from fhir_facade.adapters.sqlite_lists import few_lengths
from fhir_facade.values import Ref

IndexRows = Mapping[str, Sequence[tuple[Any, ...]]]
Rows = dict[str, list[tuple[Any, ...]]]

VALUES_AT_ONCE = 64
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
_WITH_NULLS = frozenset({"composite"})
"""Their rows cannot be looked for with NOT IN, so they are written anew."""


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
        self._indexed: list[tuple[int, Rows]] = []
        self._rows: Rows = {}

    def pk(self) -> int:
        """The next number of a resource, as SQLite would give it."""
        if not self._last:
            self._last = self._connection.execute("SELECT coalesce(max(pk), 0) FROM fhir_resource").fetchone()[0]
        self._last += 1
        return self._last

    def put(self, current: Current | None, ref: Ref, version: int, updated: int, body: bytes, rows: IndexRows) -> None:
        """A new version; no body means a tombstone."""
        pk = self.pk() if current is None else current.pk
        resource = (pk, ref.type, ref.id, version, updated, int(not body), body)
        (self._new if current is None else self._replaced).append(resource)
        if current is None or current.deleted:
            add_index(self._rows, rows, ref.id, pk)
            return
        own: Rows = {}
        add_index(own, rows, ref.id, pk)
        self._indexed.append((pk, own))
        for kind, values in own.items():
            self._rows.setdefault(kind, []).extend(values)

    def write(self) -> None:
        connection = self._connection
        for pks in padded([row[0] for row in self._replaced]):
            connection.execute(f"{_ARCHIVE} ({', '.join('?' * len(pks))})", pks)
        for at in range(0, len(self._indexed), VALUES_AT_ONCE):
            self._unindex(self._indexed[at : at + VALUES_AT_ONCE])
        insert_rows(connection, _NEW, self._new)
        insert_rows(connection, _REPLACED, self._replaced)
        insert_index(connection, self._rows)

    def _unindex(self, some: Sequence[tuple[int, Rows]]) -> None:
        """Forget the rows of these resources that their new versions do not have."""
        (pks,) = padded([pk for pk, _ in some])
        for kind, table in zip(INSERTS, INDEX_TABLES, strict=True):
            kept = [] if kind in _WITH_NULLS else [row for _, rows in some for row in rows.get(kind, ())]
            values = [value for row in few_lengths(kept) for value in row]
            self._connection.execute(_delete(table, kind, len(pks), len(values)), [*pks, *values])


@lru_cache(maxsize=1024)
def _delete(table: str, kind: str, pks: int, values: int) -> str:
    statement = f"DELETE FROM {table} WHERE pk IN ({', '.join('?' * pks)})"
    if not values:
        return statement
    columns = _COLUMNS[kind]
    width = columns.count(",") + 1
    row = f"({', '.join('?' * width)})"
    return f"{statement} AND ({columns}) NOT IN (VALUES {', '.join([row] * (values // width))})"


def padded(values: list[Any]) -> Iterator[list[Any]]:
    """At most VALUES_AT_ONCE of the values each time, the last one repeated up to the next power of two, so that few
    statements are prepared."""
    for at in range(0, len(values), VALUES_AT_ONCE):
        yield few_lengths(values[at : at + VALUES_AT_ONCE])


def add_index(rows: Rows, more: IndexRows, id: str, pk: int) -> None:
    """Add the index rows of one resource; those of `subject_code` carry its id too."""
    for kind, values in more.items():
        tail = (id, pk) if kind == "subject_code" else (pk,)
        rows.setdefault(kind, []).extend([value + tail for value in values])


def insert_index(connection: sqlite3.Connection, rows: Rows) -> None:
    """Insert the rows; those that are there already stay."""
    for kind, values in rows.items():
        insert_rows(connection, INSERTS[kind], values)
