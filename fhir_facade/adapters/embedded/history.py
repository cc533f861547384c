"""History from the current and the past versions, newest first. https://hl7.org/fhir/R4/http.html#history"""

from __future__ import annotations

import sqlite3
from typing import Any

import msgspec

from fhir_facade.adapters.embedded.compare import microseconds
from fhir_facade.adapters.embedded.write import stored_resource
from fhir_facade.errors import Gone, NotFound
from fhir_facade.values import HistoryQuery, Page, StoredResource

_COLUMNS = "type, id, version, updated, body, deleted"
_UNION = "(SELECT {c} FROM fhir_resource WHERE {w} UNION ALL SELECT {c} FROM fhir_version WHERE {w})"


def history(connection: sqlite3.Connection, query: HistoryQuery) -> Page:
    """One page on one consistent view. NotFound for an instance that never existed."""
    where, args = _where(query)
    union = _UNION.format(c=_COLUMNS, w=where)
    if query.id is not None and not _exists(connection, query):
        raise NotFound(f"{query.type}/{query.id} is not there")
    total = None
    if query.total:
        total = int(connection.execute(f"SELECT count(*) FROM {union}", args * 2).fetchone()[0])
    after, after_args = _after(query.cursor)
    rows = connection.execute(
        f"SELECT * FROM {union} WHERE {after} ORDER BY updated DESC, type, id, version DESC LIMIT ?",
        (*args, *args, *after_args, query.count + 1),
    ).fetchall()
    page = rows[: query.count]
    last = page[-1] if page and len(rows) > query.count else None
    cursor = None if last is None else msgspec.json.encode([last[3], last[0], last[1], last[2]]).decode()
    return Page([_version(row) for row in page], cursor, total)


def _version(row: tuple[Any, ...]) -> StoredResource:
    type_, id_, version, updated, body, deleted = row
    change = "deleted" if deleted else "created" if version == 1 else "updated"
    return stored_resource(type_, id_, version, updated, body, deleted=bool(deleted), change=change)


def _where(query: HistoryQuery) -> tuple[str, tuple[Any, ...]]:
    clauses: list[str] = ["1"]
    args: list[Any] = []
    for column, value in (("type", query.type), ("id", query.id)):
        if value is not None:
            clauses.append(f"{column} = ?")
            args.append(value)
    if query.since is not None:
        clauses.append("updated >= ?")
        args.append(-(-microseconds(query.since) // 1000))
    return " AND ".join(clauses), tuple(args)


def _exists(connection: sqlite3.Connection, query: HistoryQuery) -> bool:
    row = connection.execute("SELECT 1 FROM fhir_resource WHERE type = ? AND id = ?", (query.type, query.id)).fetchone()
    return row is not None


def _after(cursor: str | None) -> tuple[str, tuple[Any, ...]]:
    if cursor is None:
        return "1", ()
    try:
        updated, type_, id_, version = msgspec.json.decode(cursor, type=tuple[int, str, str, int])
    except msgspec.DecodeError as error:
        raise Gone("this page link is not valid: repeat the request") from error
    older = "updated < ? OR (updated = ? AND (type, id) > (?, ?))"
    same = "updated = ? AND type = ? AND id = ? AND version < ?"
    return f"({older} OR ({same}))", (updated, updated, type_, id_, updated, type_, id_, version)
