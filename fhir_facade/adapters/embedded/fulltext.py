"""Full text of the types that are asked for it, in an index that follows the data when it is asked, not when it is
written: most types never are.

https://hl7.org/fhir/R4/search.html#content, https://www.sqlite.org/fts5.html
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from fhir_facade.adapters.embedded.functions import typed_matches
from fhir_facade.adapters.embedded.source import Condition
from fhir_facade.errors import UnknownParameter
from fhir_facade.fhir.words import TEXTS, Asked, Joined, all_words, narrative_words, parse_words
from fhir_facade.values import Match, SearchQuery, StringValue

CHUNK = 1000
LEFT_ALONE = 10_000
"""Versions of other types after which the place in them is noted."""
_COLUMNS = {"_text": "narrative", "_content": "content"}
_TABLES = (
    """CREATE VIRTUAL TABLE IF NOT EXISTS fhir_text USING fts5(kind, narrative, content, columnsize=0,
      tokenize="unicode61 remove_diacritics 0 tokenchars '_'")""",
    "CREATE TABLE IF NOT EXISTS fhir_text_done (type TEXT PRIMARY KEY, pk INTEGER NOT NULL, seen INTEGER NOT NULL)",
)


def types_read(query: SearchQuery) -> frozenset[str]:
    """The types whose full text the query asks for."""
    return frozenset(kind for kind, match in typed_matches(query) if match.name in TEXTS)


def full_text(type: str, match: Match) -> Condition:
    """Resources of the type whose words are as asked."""
    asked = [parse_words(match.name, value.text) for value in match.values if isinstance(value, StringValue)]
    either = " OR ".join(f"({_expression(one)})" for one in asked)
    expression = f'kind : "{type}" AND {_COLUMNS[match.name]} : ({either})'
    return Condition("(SELECT rowid AS pk FROM fhir_text WHERE fhir_text MATCH ?)", "1", (expression,))


def _expression(asked: Asked) -> str:
    """Words have letters, digits and `_` only, so nothing in them is syntax of FTS5."""
    if isinstance(asked, Joined):
        return (" AND " if asked.all else " OR ").join(f"({_expression(part)})" for part in asked.parts)
    return f'"{" ".join(asked.words)}"' + (" *" if asked.begins else "")


def forget(connection: sqlite3.Connection) -> None:
    """Nothing of the full text stays; it is made anew when it is asked for. Where rows are erased or read anew."""
    connection.execute("DROP TABLE IF EXISTS fhir_text")
    connection.execute("DROP TABLE IF EXISTS fhir_text_done")


def catch_up(connection: sqlite3.Connection, type: str) -> bool:
    """Index what is new or changed of a type, a chunk of it; whether that was all. On the writer thread.

    UnknownParameter: this SQLite was built without FTS5.
    """
    try:
        for statement in _TABLES:
            connection.execute(statement)
    except sqlite3.OperationalError as error:
        raise UnknownParameter("_text and _content need SQLite with FTS5, which this server does not have") from error
    pk, seen = connection.execute("SELECT pk, seen FROM fhir_text_done WHERE type = ?", (type,)).fetchone() or (0, 0)
    newest = connection.execute("SELECT coalesce(max(rowid), 0) FROM fhir_version").fetchone()[0]
    changed = _replaced(connection, type, pk, seen)
    new = connection.execute(
        "SELECT pk, deleted, body FROM fhir_resource WHERE pk > ? AND type = ? ORDER BY pk LIMIT ?", (pk, type, CHUNK)
    ).fetchall()
    if changed or new or newest - seen > LEFT_ALONE:  # else nothing is written, so that nothing waits for the disk
        _write(connection, type, (*changed, *new))
        last = new[-1][0] if new else pk
        connection.execute("INSERT OR REPLACE INTO fhir_text_done VALUES (?, ?, ?)", (type, last, newest))
    return len(new) < CHUNK


def _replaced(connection: sqlite3.Connection, type: str, pk: int, seen: int) -> list[tuple[Any, ...]]:
    """What was indexed already and is another version now."""
    return connection.execute(
        "SELECT pk, deleted, body FROM fhir_resource WHERE pk IN "
        "(SELECT pk FROM fhir_version WHERE rowid > ? AND type = ? AND pk <= ?)",
        (seen, type, pk),
    ).fetchall()


def _write(connection: sqlite3.Connection, type: str, rows: Iterable[tuple[Any, ...]]) -> None:
    rows = list(rows)
    connection.executemany("DELETE FROM fhir_text WHERE rowid = ?", [(row[0],) for row in rows])
    connection.executemany(
        "INSERT INTO fhir_text (rowid, kind, narrative, content) VALUES (?, ?, ?, ?)", _texts(type, rows)
    )


def _texts(type: str, rows: Iterable[tuple[Any, ...]]) -> Iterator[tuple[Any, ...]]:
    for pk, deleted, body in rows:
        if not deleted:
            resource = msgspec.json.decode(body)
            yield pk, type, " ".join(narrative_words(resource)), " ".join(all_words(resource))
