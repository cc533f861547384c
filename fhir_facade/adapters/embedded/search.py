"""Searches on the index rows: candidates from the rarest criterion, the others checked one by one, keyset paging.

The hot shape (one subject, one code, by date) is answered from its own index without touching the others.
https://hl7.org/fhir/R4/search.html
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any

from fhir_facade.adapters.embedded.bounds import PAGE_BYTES, first_rows, rows_of
from fhir_facade.adapters.embedded.catalogue import Catalogue
from fhir_facade.adapters.embedded.criteria import any_of, condition
from fhir_facade.adapters.embedded.functions import enable
from fhir_facade.adapters.embedded.hot import hot_source, subject_and_code
from fhir_facade.adapters.embedded.order import sort_keys
from fhir_facade.adapters.embedded.paging import Place, Reader, behind, caught_up, opened, place_after, sealed
from fhir_facade.adapters.embedded.rarest import rarest
from fhir_facade.adapters.embedded.source import Source, Sql, Test
from fhir_facade.adapters.embedded.spans import date_condition
from fhir_facade.adapters.embedded.write import stored_resource
from fhir_facade.adapters.sqlite_lists import one_of
from fhir_facade.fhir.definitions import search_parameters
from fhir_facade.fhir.definitions.occurrence import occurs_once
from fhir_facade.values import CompositeValue, DateValue, Match, Page, SearchQuery


def search(
    connection: sqlite3.Connection, catalogue: Catalogue, query: SearchQuery, page_bytes: int = PAGE_BYTES
) -> Page:
    """One page on one consistent view; shorter than asked for when it would have more bytes than a page may have. Gone
    when the cursor is not one of this query."""
    catalogue.refresh(connection)
    enable(connection, query)
    source = hot_source(catalogue, query) or _plain_source(connection, catalogue, query)
    total = _count(connection, source) if query.total else None
    if query.count == 0:
        return Page((), None, total)
    place = opened(query.cursor, len(source.keys))
    if place is not None:
        place = caught_up(Reader(connection, catalogue, query, source), place)
    rows, more, behind_at = _page(connection, source, query, place, page_bytes)
    keys = slice(1, 1 + len(source.keys))
    if source.in_order:
        entries = [stored_resource(query.type, *row[keys.stop :]) for row in rows]
    else:
        bodies = rows_of(connection, [row[0] for row in rows], page_bytes)
        entries = [stored_resource(query.type, *row[1:]) for row in bodies]
    if not more and len(entries) == len(rows):
        return Page(entries, None, total)
    shown = rows[: len(entries)]
    last = shown[-1][keys] if len(shown) > behind_at else ()
    return Page(entries, sealed(place_after(connection, last, place, (row[0] for row in shown))), total)


def _plain_source(connection: sqlite3.Connection, catalogue: Catalogue, query: SearchQuery) -> Source:
    conditions = _conditions(catalogue, query)
    if query.any_of:
        conditions.append(any_of(catalogue, query.type, query.any_of))
    implied = [*subject_and_code(catalogue, query), *_values_of_composites(catalogue, query)]
    driver, quick, sparse = rarest(connection, [*implied, *conditions])
    others = [(own.slow, own.holds_for("r.pk", alone=own not in quick)) for own in conditions if own is not driver]
    filters = [sql for _, sql in others]
    keys = sort_keys(catalogue, query)
    if driver is None:
        return Source("fhir_resource r", (("r.type = ? AND r.deleted = 0", (query.type,)), *filters), keys)
    members, args = driver.members()
    if sparse:  # in the indexes alone: most resources would be read for nothing
        members, args = _those(driver, [sql for slow, sql in others if not slow])
    # With the + all of the type are no candidates. Those of the list come by their pk: the search ends with the page.
    found = (f"r.pk IN ({members}) AND +r.type = ? AND r.deleted = 0", (*args, query.type))
    left = [sql for slow, sql in others if slow or not sparse]
    counted = _among_members(driver, filters) if driver.all_live else None
    return Source("fhir_resource r", (found, *left), keys, in_order=not query.sort, counted=counted)


def _those(driver: Test, filters: Sequence[Sql]) -> Sql:
    """A SELECT of the pks of the members that pass the filters."""
    members, args = driver.members()
    where, more = _where(filters)
    return (f"SELECT r.pk FROM ({members}) r WHERE {where}", (*args, *more)) if where else (members, args)


def _among_members(driver: Test, filters: Sequence[Sql]) -> Sql:
    """A FROM clause: the pks of what matches, each once."""
    found, args = _those(driver, filters)
    return f"(SELECT DISTINCT pk FROM ({found})) r", args


def _conditions(catalogue: Catalogue, query: SearchQuery) -> list[Test]:
    """Dates that speak of the same value are one condition: `ge` and `lt` leave little, each alone leaves half."""
    together: dict[str, list[DateValue]] = {}
    found: list[Test] = []
    for criterion in query.criteria:
        match criterion:
            case Match(name, "date", (DateValue() as value,), None) if name != "_lastUpdated" and occurs_once(
                query.type, name
            ):
                together.setdefault(name, []).append(value)
            case _:
                found.append(condition(catalogue, query.type, criterion))
    return [*found, *(date_condition(catalogue, query.type, name, [values]) for name, values in together.items())]


def _values_of_composites(catalogue: Catalogue, query: SearchQuery) -> list[Test]:
    """What composites say of all their parts but the first, with which their index begins: `code$gt5` of anything."""
    found: list[Test] = []
    for criterion in query.criteria:
        match criterion:
            case Match(name, "composite", (CompositeValue(parts),), None):
                named = list(zip(search_parameters(query.type)[name].components, parts, strict=True))[1:]
                found += [condition(catalogue, query.type, Match(own.code, own.kind, (part,))) for own, part in named]
    return found


def _page(
    connection: sqlite3.Connection, source: Source, query: SearchQuery, place: Place | None, page_bytes: int
) -> tuple[list[tuple[Any, ...]], bool, int]:
    """Rows of (pk, *keys) of the page, with the columns of the resource where they come in order; whether more follow;
    and how many of them come first because they moved."""
    if place is None:
        return *_rows(connection, source, query.count, ("1", ()), page_bytes), 0
    first: list[tuple[Any, ...]] = []
    if place.pending:
        among, pending = one_of(place.pending)
        first, more = _rows(connection, source, query.count, (f"pk {among}", pending), page_bytes)
        if more:
            return first, True, len(first)
    test, args = behind(source.keys, place.after)
    if place.moved:
        among, moved = one_of(place.moved)
        test, args = f"{test} AND pk NOT {among}", (*args, *moved)
    left = page_bytes - (sum(len(row[-1]) for row in first) if source.in_order else 0)
    rest, more = _rows(connection, source, query.count - len(first), (test, args), left)
    return first + rest, more, len(first)


def _rows(
    connection: sqlite3.Connection, source: Source, count: int, test: Sql, most: int
) -> tuple[list[tuple[Any, ...]], bool]:
    columns = ", ".join(f"{expression} AS k{i}" for i, (expression, _) in enumerate(source.keys))
    if source.in_order:
        columns += ", r.id, r.version, r.updated, r.body"
    where, args = _where(source.filters)
    inner = f"SELECT r.pk AS pk, {columns} FROM {source.tables} WHERE {where}"
    order = ", ".join(f"k{i}{' DESC' if descending else ''}" for i, (_, descending) in enumerate(source.keys))
    statement = f"SELECT * FROM ({inner}) WHERE {test[0]} ORDER BY {order} LIMIT ?"
    found = connection.execute(statement, (*args, *test[1], count + 1))
    if source.in_order:
        return first_rows(found, -1, count, most)
    rows = found.fetchall()
    return rows[:count], len(rows) > count


def _where(filters: Sequence[Sql]) -> Sql:
    return " AND ".join(sql for sql, _ in filters), tuple(value for _, values in filters for value in values)


def _count(connection: sqlite3.Connection, source: Source) -> int:
    """In the index alone where that knows it: a look at each match would be a page of the file each."""
    where, args = _where(source.filters)
    tables, args = source.counted or (f"{source.tables} WHERE {where}", args)
    return int(connection.execute(f"SELECT count(*) FROM {tables}", args).fetchone()[0])
