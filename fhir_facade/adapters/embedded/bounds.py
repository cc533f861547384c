"""How much of what SQLite finds is read for a page: so many rows, and not more bytes than a page may have.

https://hl7.org/fhir/R4/http.html#paging: a page may be shorter than `_count`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any, Final

from fhir_facade.adapters.sqlite_lists import one_of

PAGE_BYTES: Final = 16 * 1024 * 1024

Row = tuple[Any, ...]


def first_rows(found: Iterable[Row], body_at: int, count: int, most: int) -> tuple[list[Row], bool]:
    """At most `count` rows whose bodies have at most `most` bytes, or the first alone; and whether more follow. What
    follows is not read, and a cursor is closed: an open one would hold its view of the file."""
    rows: list[Row] = []
    more, size = False, 0
    for row in found:
        size += len(row[body_at])
        more = len(rows) == count or (size > most and bool(rows))
        if more:
            break
        rows.append(row)
    if more and isinstance(found, sqlite3.Cursor):
        found.close()
    return rows, more


def rows_of(connection: sqlite3.Connection, pks: Sequence[int], most: int) -> list[Row]:
    """(pk, id, version, updated, body) of these resources in this order, as far as they fit on a page."""
    among, wanted = one_of(pks)
    found = connection.execute(f"{_SELECT} {among}", wanted)
    rows, more = first_rows(found, 4, len(pks), most)
    if not more and sum(len(row[4]) for row in rows) <= most:
        own = {row[0]: row for row in rows}
        return [own[pk] for pk in pks]
    one_by_one = (row for pk in pks for row in connection.execute(f"{_SELECT} = ?", (pk,)).fetchall())
    return first_rows(one_by_one, 4, len(pks), most)[0]


_SELECT: Final = "SELECT pk, id, version, updated, body FROM fhir_resource WHERE pk"
