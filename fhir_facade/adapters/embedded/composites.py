"""Rows of composites in a new version: a row whose value alone is another one stays where it is, and so do its places
in the indexes, which hold no values.

https://sqlite.org/lang_upsert.html
"""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, Final

from fhir_facade.adapters.embedded.schema import INSERTS
from fhir_facade.adapters.sqlite_jobs import insert_rows
from fhir_facade.adapters.sqlite_lists import padded

Row = tuple[Any, ...]

_COLUMNS: Final = INSERTS["composite"].partition("(")[2].partition(")")[0]
_KEY: Final = ("param", "code0", "pk")
"""The columns that the indexes hold."""
_VALUES: Final = [name for name in _COLUMNS.split(", ") if name not in _KEY]
_IN_PLACE: Final = (
    f"INSERT INTO idx_composite (rowid, {_COLUMNS}) VALUES ({', '.join('?' * (len(_VALUES) + len(_KEY) + 1))}) "
    f"ON CONFLICT (rowid) DO UPDATE SET {', '.join(f'{name} = excluded.{name}' for name in _VALUES)}"
)


def replace_composites(connection: sqlite3.Connection, pks: Sequence[int], wanted: Iterable[Row]) -> list[Row]:
    """Make the rows of these resources (at most VALUES_AT_ONCE) the wanted ones, as far as that needs no new row, and
    answer those that are still to be inserted. Rows are as `INSERTS` has them."""
    there = _stored(connection, pks)
    missing = [row for row in wanted if not (there[row] and there[row].pop())]
    places: dict[Row, list[int]] = defaultdict(list)
    for row, numbers in there.items():
        places[_key(row)] += numbers
    moved, new = list[Row](), list[Row]()
    for row in missing:
        free = places[_key(row)]
        if free:
            moved.append((free.pop(), *row))
        else:
            new.append(row)
    insert_rows(connection, _IN_PLACE, moved)
    for some in padded([number for free in places.values() for number in free]):
        connection.execute(f"DELETE FROM idx_composite WHERE rowid IN ({', '.join('?' * len(some))})", some)
    return new


def _stored(connection: sqlite3.Connection, pks: Sequence[int]) -> dict[Row, list[int]]:
    """The rows of these resources with their hidden numbers."""
    found: dict[Row, list[int]] = defaultdict(list)
    asked = f"SELECT rowid, {_COLUMNS} FROM idx_composite WHERE pk IN ({', '.join('?' * len(pks))})"
    for number, *row in connection.execute(asked, pks):
        found[tuple(row)].append(number)
    return found


def _key(row: Row) -> Row:
    return row[0], row[1], row[-1]
