"""Index rows made anew from the stored bodies, when a release reads resources differently than the one before.

One transaction: a file is indexed by one version of the extractors, never by two.
"""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from fhir_facade.adapters.embedded import fulltext
from fhir_facade.adapters.embedded.catalogue import Catalogue, insert_systems
from fhir_facade.adapters.embedded.changes import Rows, add_index, insert_index
from fhir_facade.adapters.embedded.index import bind, index_values
from fhir_facade.adapters.embedded.schema import INDEX_TABLES, meta, number_params, set_meta
from fhir_facade.errors import Conflict
from fhir_facade.fhir.extract import VERSION

SAY_EVERY_S = 2.0
CHUNK = 500
FIRST_VERSION = "1"

Progress = Callable[[int, int], None]
"""Called with (done, of all) after each chunk of resources."""

_LOG = logging.getLogger(__name__)


def log_progress(clock: Callable[[], float] = time.monotonic) -> Progress:
    """A line in the log when it begins, every two seconds, and when it is done."""
    said = clock() - SAY_EVERY_S

    def say(done: int, total: int) -> None:
        nonlocal said
        if done == total or clock() - said >= SAY_EVERY_S:
            said = clock()
            _LOG.warning("index.rebuilding", extra={"done": done, "of": total})

    return say


def is_outdated(connection: sqlite3.Connection) -> bool:
    """Whether the index was made by an older release. Conflict when it was a newer one."""
    found = int(meta(connection, "extractor") or FIRST_VERSION)
    if found > VERSION:
        raise Conflict(
            f"the data file was indexed by a newer release (extractor {found}, this one knows {VERSION}): "
            "start the newer release again"
        )
    return found < VERSION


def reindex(connection: sqlite3.Connection, catalogue: Catalogue, progress: Progress) -> None:
    """Forget all index rows and make them anew; undone whole when it fails or is interrupted."""
    number_params(connection)
    connection.execute("BEGIN IMMEDIATE")
    try:
        catalogue.load(connection)
        for table in INDEX_TABLES:
            connection.execute(f"DELETE FROM {table}")
        fulltext.forget(connection)
        _index_all(connection, catalogue, progress)
        set_meta(connection, "extractor", str(VERSION))
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def _index_all(connection: sqlite3.Connection, catalogue: Catalogue, progress: Progress) -> None:
    total = int(connection.execute("SELECT count(*) FROM fhir_resource WHERE deleted = 0").fetchone()[0])
    done = 0
    progress(done, total)
    for chunk in _chunks(connection):
        rows: Rows = {}
        for pk, kind, id_, body in chunk:
            indexed = index_values(msgspec.json.decode(body))
            missing = catalogue.missing_systems(indexed.systems)
            catalogue.adopt_systems(insert_systems(connection, missing))
            add_index(rows, bind(catalogue, kind, indexed), id_, pk)
        insert_index(connection, rows)
        done += len(chunk)
        progress(done, total)


def _chunks(connection: sqlite3.Connection) -> Iterator[list[tuple[Any, ...]]]:
    last = 0
    statement = "SELECT pk, type, id, body FROM fhir_resource WHERE pk > ? AND deleted = 0 ORDER BY pk LIMIT ?"
    while chunk := connection.execute(statement, (last, CHUNK)).fetchall():
        yield chunk
        last = chunk[-1][0]
