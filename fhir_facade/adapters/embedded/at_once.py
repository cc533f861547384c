"""The first page of the plainest hot search, where it is asked: handing it to a reader costs more than the search.

One patient, one code, perhaps dates, newest first; its statement is known by heart.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from fhir_facade.adapters.embedded.bounds import PAGE_BYTES, first_rows
from fhir_facade.adapters.embedded.catalogue import UNKNOWN, Catalogue
from fhir_facade.adapters.embedded.compare import interval
from fhir_facade.adapters.embedded.hot import ONE_OF_SEVERAL_SYSTEMS, code_of, dated, sorted_by_date, subject_of
from fhir_facade.adapters.embedded.interrupt import within
from fhir_facade.adapters.embedded.paging import Place, sealed
from fhir_facade.adapters.embedded.write import stored_resource
from fhir_facade.fhir.extract.dates import to_us
from fhir_facade.values import DateValue, Match, Page, SearchQuery, TokenValue

MOST_AT_ONCE = 100
"""Matches of a page for which the event loop is held up; more are read by a reader."""
STEPS_AT_ONCE = 20_000
"""Steps of SQLite's machine after which a search on the event loop is given to a reader: about a millisecond."""


@dataclass(frozen=True, slots=True)
class _Hot:
    target: str
    token: TokenValue
    dates: tuple[DateValue, ...]


def page_at_once(
    connection: sqlite3.Connection, catalogue: Catalogue, query: SearchQuery, page_bytes: int = PAGE_BYTES
) -> Page | None:
    """`hot_page` for the event loop: None also when it turns out to be long."""
    if query.count > MOST_AT_ONCE:
        return None
    return within(connection, STEPS_AT_ONCE, lambda: hot_page(connection, catalogue, query, page_bytes))


def hot_page(
    connection: sqlite3.Connection, catalogue: Catalogue, query: SearchQuery, page_bytes: int = PAGE_BYTES
) -> Page | None:
    """The first page; None for every other query, and for a code system that has no number yet."""
    hot = _plain(query)
    system = None if hot is None or hot.token.system is None else catalogue.system(hot.token.system)
    if hot is None or system == UNKNOWN:
        return None
    args: list[Any] = [hot.target, hot.token.code] if system is None else [hot.target, hot.token.code, system]
    for date in hot.dates:
        args += interval(date.prefix, to_us(date.low), to_us(date.high))[1]
    statement = _statement(system is not None, tuple([date.prefix for date in hot.dates]))
    found = connection.execute(statement, [*args, query.count + 1])
    shown, more = first_rows(found, -1, query.count, page_bytes)
    entries = [stored_resource("Observation", *row[2:]) for row in shown]
    return Page(entries, _continued(shown[-1]) if more else None)


def _continued(last: tuple[Any, ...]) -> str:
    newest, low, id_ = last[:3]
    return sealed(Place((low, id_), newest or 0))


def _plain(query: SearchQuery) -> _Hot | None:
    if query.type != "Observation" or query.any_of or query.total or query.cursor is not None or not query.count:
        return None
    target: str | None = None
    token: TokenValue | None = None
    dates: list[DateValue] = []
    for criterion in query.criteria if sorted_by_date(query) else ():
        match criterion:
            case Match("date", "date", (DateValue() as date,), None) if date.prefix != "ne":
                dates.append(date)
            case Match("code") if token is None:
                token = code_of(criterion)
            case Match() if (
                (found := subject_of(criterion)) and found.startswith("Patient/") and target in (None, found)
            ):
                target = found
            case _:
                return None
    return None if target is None or token is None else _Hot(target, token, tuple(dates))


@lru_cache(maxsize=256)
def _statement(system: bool, prefixes: tuple[str, ...]) -> str:
    """The newest archived version is read in the same view as the page: what is archived later happened after it."""
    filters = ["h.target = ? AND h.code = ?", "h.system = ?" if system else ONE_OF_SEVERAL_SYSTEMS]
    filters += [dated(prefix) for prefix in prefixes]
    return (
        "SELECT (SELECT max(rowid) FROM fhir_version), h.low, h.id, r.version, r.updated, r.body "
        "FROM idx_subject_code h CROSS JOIN fhir_resource r ON r.pk = h.pk "
        f"WHERE {' AND '.join(filters)} ORDER BY h.low DESC, h.id LIMIT ?"
    )
