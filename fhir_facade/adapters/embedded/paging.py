"""Where a search goes on, so that what others write between two pages neither hides nor repeats a resource.

A page ends at the sort keys of its last row. Whatever was archived since then had another place at that time: its old
version tells whether it was shown already. A row that was, and moved behind the place, is left out from now on; one
that was not, and moved before it, is shown first on this page. So a resource that matches all the time is shown once.
https://hl7.org/fhir/R4/http.html#paging
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import msgspec

from fhir_facade.adapters.embedded.catalogue import Catalogue
from fhir_facade.adapters.embedded.hot import NO_DATE
from fhir_facade.adapters.embedded.index import bind, index_values
from fhir_facade.adapters.embedded.order import Version, keys_of
from fhir_facade.adapters.embedded.source import Source, Sql
from fhir_facade.adapters.sqlite_lists import one_of
from fhir_facade.errors import Gone
from fhir_facade.fhir.match import matches_query
from fhir_facade.values import JsonObject, Ref, SearchQuery

MOST_MOVED = 2000
"""Rows that were shown and moved behind; of more than these the first ones may be shown again."""

Keys = Sequence[Any]


class Place(msgspec.Struct, frozen=True, array_like=True):
    """`after`: the keys of the last row in order; `seen`: the newest archived version that was there; `moved`: rows
    that were shown and do not stand before it now; `pending`: rows that stand before it and were not shown."""

    after: tuple[str | int | float | None, ...]
    seen: int
    moved: tuple[int, ...] = ()
    pending: tuple[int, ...] = ()


def place_after(connection: sqlite3.Connection, after: Keys, before: Place | None, shown: Iterable[int]) -> Place:
    """The place after a page; without a row in order on it, `after` stays."""
    if before is None:
        return Place(tuple(after), newest_version(connection))
    left = set(before.pending).difference(shown)
    return Place(tuple(after) or before.after, before.seen, before.moved, tuple(sorted(left)))


def newest_version(connection: sqlite3.Connection) -> int:
    """Counts every change of what was there before: each one archives a version."""
    row = connection.execute("SELECT max(rowid) FROM fhir_version").fetchone()
    return int(row[0] or 0)


def sealed(place: Place) -> str:
    return msgspec.json.encode(place).decode()


def opened(cursor: str | None, length: int) -> Place | None:
    """Gone for a cursor that is none of ours, or of a search with other keys."""
    if cursor is None:
        return None
    try:
        place = msgspec.json.decode(cursor.encode(), type=Place)
    except (msgspec.DecodeError, UnicodeEncodeError) as error:
        raise Gone("this page link is not valid: repeat the search") from error
    if len(place.after) != length:
        raise Gone("this page link belongs to another search: repeat the search")
    return place


def behind(keys: Sequence[tuple[str, bool]], after: Keys) -> Sql:
    """Rows behind a place, in lexicographic order of the keys, which are named k0, k1 and so on."""
    alternatives: list[str] = []
    args: list[Any] = []
    for i, (_, descending) in enumerate(keys):
        equal = [f"k{j} IS ?" for j in range(i)]
        alternatives.append(" AND ".join([*equal, f"k{i} {'<' if descending else '>'} ?"]))
        args += [*after[:i], after[i]]
    return "(" + " OR ".join(f"({a})" for a in alternatives) + ")", tuple(args)


# --- what changed since the page before ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Reader:
    """One search on one consistent view."""

    connection: sqlite3.Connection
    catalogue: Catalogue
    query: SearchQuery
    source: Source


def caught_up(reader: Reader, place: Place) -> Place:
    """The same place with regard to everything that was written since."""
    newest = newest_version(reader.connection)
    if newest <= place.seen:
        return place
    moved, pending = set(place.moved), set(place.pending)
    changed = dict(_archived(reader, place))
    shown = {pk for pk, was in changed.items() if pk in moved or (was and pk not in pending)}
    moved |= shown
    for pk, later in _now(reader, place, changed):
        if not later:
            (moved.discard if pk in shown else pending.add)(pk)
        elif pk not in shown:
            pending.discard(pk)
    return Place(place.after, newest, tuple(sorted(moved)[-MOST_MOVED:]), tuple(sorted(pending)))


def _archived(reader: Reader, place: Place) -> Iterator[tuple[int, bool]]:
    """Rows that were changed, and whether the version before their first change had been shown."""
    rows = reader.connection.execute(
        "SELECT pk, id, updated, deleted, body FROM fhir_version WHERE rowid > ? AND type = ? ORDER BY rowid",
        (place.seen, reader.query.type),
    )
    first = {row[0]: row for row in reversed(rows.fetchall())}
    for pk, id_, updated, deleted, body in first.values():
        yield pk, not deleted and _stood_before(reader, place, pk, id_, updated, msgspec.json.decode(body))


def _now(reader: Reader, place: Place, changed: Iterable[int]) -> Iterator[tuple[int, bool]]:
    """Those of the changed rows that match, and whether they stand behind the place."""
    among, pks = one_of(list(changed))
    columns = ", ".join(f"{expression} AS k{i}" for i, (expression, _) in enumerate(reader.source.keys))
    where = " AND ".join(sql for sql, _ in reader.source.filters)
    args = [value for _, values in reader.source.filters for value in values]
    later, more = behind(reader.source.keys, place.after)
    inner = f"SELECT r.pk AS pk, {columns} FROM {reader.source.tables} WHERE {where} AND r.pk {among}"
    found = reader.connection.execute(f"SELECT pk, {later} FROM ({inner})", (*more, *args, *pks))
    return ((pk, bool(is_later)) for pk, is_later in found.fetchall())


def _stood_before(reader: Reader, place: Place, pk: int, id: str, updated: int, resource: JsonObject) -> bool:
    """Whether a version matched, at the place or before it. What it refers to is looked at as it is now."""
    found = matches_query(
        resource,
        reader.query,
        resolve=lambda ref: _current(reader.connection, ref),
        referrers=partial(_referring, reader),
        named=partial(_named, reader),
    )
    return found and _compare(_keys(reader, pk, id, updated, resource), place.after, reader.source.keys) <= 0


def _compare(one: Keys, other: Keys, keys: Sequence[tuple[str, bool]]) -> int:
    for mine, theirs, (_, descending) in zip(one, other, keys, strict=True):
        if mine != theirs:
            return -1 if (mine < theirs) != descending else 1
    return 0


def _keys(reader: Reader, pk: int, id: str, updated: int, resource: JsonObject) -> list[Any]:
    """The sort keys that the version had."""
    if not reader.query.sort:
        return [pk]
    indexed = index_values(resource)
    rows = bind(reader.catalogue, reader.query.type, indexed)
    if reader.source.in_order:
        return [min((row[3] for row in rows.get("subject_code", ())), default=NO_DATE), id]
    assert indexed.values is not None, "the version is no deletion"
    version = Version(id, updated, indexed.values, rows)
    return [*keys_of(reader.connection, reader.catalogue, reader.query, version), id]


def _current(connection: sqlite3.Connection, ref: Ref) -> JsonObject | None:
    row = connection.execute(
        "SELECT body FROM fhir_resource WHERE type = ? AND id = ? AND deleted = 0", (ref.type, ref.id)
    ).fetchone()
    return None if row is None else msgspec.json.decode(row[0])


def _named(reader: Reader, type: str, url: str, version: str) -> Iterator[JsonObject]:
    rows = reader.connection.execute(
        "SELECT r.body FROM idx_uri i JOIN fhir_resource r ON r.pk = i.pk WHERE i.uri = ? AND i.param = ?",
        (url, reader.catalogue.param(type, "url")),
    )
    found = (msgspec.json.decode(body) for (body,) in rows.fetchall())
    return (resource for resource in found if version in ("", resource.get("version")))


def _referring(reader: Reader, type: str, name: str, target: Ref | str) -> Iterator[JsonObject]:
    rows = reader.connection.execute(
        "SELECT r.body FROM idx_reference i JOIN fhir_resource r ON r.pk = i.pk WHERE i.target = ? AND i.param = ?",
        (str(target), reader.catalogue.param(type, name)),
    )
    return (msgspec.json.decode(body) for (body,) in rows.fetchall())
