"""History from the current and the past versions, newest first. https://hl7.org/fhir/R4/http.html#history

The versions of a type come out of its two indexes in their order; those of all types are the merged ones of each.
"""

from __future__ import annotations

import heapq
import sqlite3
from collections.abc import Iterator
from typing import Any

import msgspec

from fhir_facade.adapters.embedded.bounds import PAGE_BYTES, first_rows
from fhir_facade.adapters.embedded.write import stored_resource
from fhir_facade.errors import Gone, NotFound
from fhir_facade.fhir.extract.dates import to_us
from fhir_facade.values import HistoryQuery, Page, StoredResource

_CURRENT = "SELECT type, id, version, updated, body, deleted FROM fhir_resource AS own WHERE "
_PAST = "SELECT type, id, version, updated, body, deleted FROM fhir_version AS own WHERE "
_ORDER = " ORDER BY updated DESC, id, version DESC LIMIT ?"
_TYPES = """
WITH RECURSIVE present(type) AS (
  SELECT min(type) FROM fhir_resource
  UNION ALL SELECT (SELECT min(type) FROM fhir_resource WHERE type > present.type) FROM present WHERE type IS NOT NULL)
SELECT type FROM present WHERE type IS NOT NULL"""
_REPLACED = """coalesce(
  (SELECT updated FROM fhir_version AS next WHERE next.pk = own.pk AND next.version = own.version + 1),
  (SELECT updated FROM fhir_resource AS next WHERE next.pk = own.pk))"""

_Row = tuple[str, str, int, int, bytes, int]
_Place = tuple[int, str, str, int]
_Clause = tuple[str, tuple[Any, ...]]
_PLACE: msgspec.json.Decoder[_Place] = msgspec.json.Decoder(_Place)


def history(connection: sqlite3.Connection, query: HistoryQuery, page_bytes: int = PAGE_BYTES) -> Page:
    """One page on one consistent view; shorter than asked for when it would have more bytes than a page may have.
    NotFound for an instance that never existed."""
    place = None if query.cursor is None else _place(query.cursor)
    if query.id is not None and _number_of(connection, query) is None:
        raise NotFound(f"{query.type}/{query.id} is not there")
    types = [query.type] if query.type else [str(row[0]) for row in connection.execute(_TYPES)]
    total = sum(_count(connection, type_, query) for type_ in types) if query.total else None
    streams = [_versions(connection, type_, query, place) for type_ in types]
    page, more = first_rows(heapq.merge(*streams, key=_newest_first), 4, query.count, page_bytes)
    last = page[-1] if page and more else None
    cursor = None if last is None else msgspec.json.encode([last[3], last[0], last[1], last[2]]).decode()
    return Page([_version(row) for row in page], cursor, total)


def _newest_first(row: _Row) -> tuple[int, str, str, int]:
    return (-row[3], row[0], row[1], -row[2])


def _version(row: _Row) -> StoredResource:
    type_, id_, version, updated, body, deleted = row
    change = "deleted" if deleted else "created" if version == 1 else "updated"
    return stored_resource(type_, id_, version, updated, body, deleted=bool(deleted), change=change)


def _versions(connection: sqlite3.Connection, type_: str, query: HistoryQuery, place: _Place | None) -> Iterator[_Row]:
    current, past = _clauses(connection, type_, query, place)
    args = (*current[1], *past[1], query.count + 1)
    yield from connection.execute(f"{_CURRENT}{current[0]} UNION ALL {_PAST}{past[0]}{_ORDER}", args)


def _count(connection: sqlite3.Connection, type_: str, query: HistoryQuery) -> int:
    current, past = _clauses(connection, type_, query, None)
    counted = (f"SELECT count(*) FROM fhir_{table} AS own WHERE " for table in ("resource", "version"))
    sql = f"SELECT ({next(counted)}{current[0]}) + ({next(counted)}{past[0]})"
    return int(connection.execute(sql, (*current[1], *past[1])).fetchone()[0])


def _clauses(
    connection: sqlite3.Connection, type_: str, query: HistoryQuery, place: _Place | None
) -> tuple[_Clause, _Clause]:
    """What the current and what the past versions have to satisfy."""
    both = [
        ("type = ?", (type_,)),
        _of_instance(connection, query),
        _since(query),
        _before(query),
        _after(type_, place),
    ]
    current = _all_of([*both, _then(query, replaced=None)])
    return current, _all_of([*both, _then(query, replaced=_REPLACED)])


def _all_of(clauses: list[_Clause]) -> _Clause:
    asked = [clause for clause in clauses if clause[0]]
    return " AND ".join(sql for sql, _ in asked), tuple(arg for _, args in asked for arg in args)


def _of_instance(connection: sqlite3.Connection, query: HistoryQuery) -> _Clause:
    return ("", ()) if query.id is None else ("pk = ?", (_number_of(connection, query),))


def _number_of(connection: sqlite3.Connection, query: HistoryQuery) -> int | None:
    row = connection.execute(
        "SELECT pk FROM fhir_resource WHERE type = ? AND id = ?", (query.type, query.id)
    ).fetchone()
    return None if row is None else int(row[0])


def _since(query: HistoryQuery) -> _Clause:
    return ("", ()) if query.since is None else ("updated >= ?", (-(-to_us(query.since) // 1000),))


def _before(query: HistoryQuery) -> _Clause:
    return ("", ()) if query.at is None else ("updated < ?", (-(-to_us(query.at[1]) // 1000),))


def _then(query: HistoryQuery, *, replaced: str | None) -> _Clause:
    """Written in the time asked for, or current when it began: no deletion, and replaced later or never."""
    if query.at is None:
        return "", ()
    low = -(-to_us(query.at[0]) // 1000)
    if replaced is None:
        return "(updated >= ? OR deleted = 0)", (low,)
    return f"(updated >= ? OR (deleted = 0 AND {replaced} > ?))", (low, low)


def _place(cursor: str) -> _Place:
    try:
        return _PLACE.decode(cursor)
    except msgspec.DecodeError as error:
        raise Gone("this page link is not valid: repeat the request") from error


def _after(type_: str, place: _Place | None) -> _Clause:
    """What comes after the last version shown, which may be of another type."""
    if place is None:
        return "", ()
    updated, last, id_, version = place
    if type_ != last:
        return ("updated <= ?" if type_ > last else "updated < ?"), (updated,)
    return "updated <= ? AND (updated < ? OR id > ? OR (id = ? AND version < ?))", (updated, updated, id_, id_, version)
