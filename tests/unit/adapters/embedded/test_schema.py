"""A data file of an older release, whose tables are brought up to date before anything is asked of it."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import msgspec
import pytest

from fhir_facade.adapters.embedded import EmbeddedStore, Integrity
from fhir_facade.adapters.embedded.schema import SCHEMA_VERSION, meta, migrate, set_meta
from fhir_facade.adapters.sqlite_file import SqliteFile
from fhir_facade.adapters.system_clock import SystemClock
from fhir_facade.errors import Conflict
from fhir_facade.fhir.query import parse_query
from fhir_facade.values import Ref, Write
from tests.unit.adapters.embedded.corner import NOW
from tests.unit.fhir.samples import BLOOD_PRESSURE, HEART_RATE

SCHEMA_1 = """
DROP TABLE idx_quantity;
CREATE TABLE idx_quantity (param INTEGER NOT NULL, low REAL NOT NULL, high REAL NOT NULL, code TEXT NOT NULL,
  system INTEGER NOT NULL, unit TEXT NOT NULL, pk INTEGER NOT NULL,
  PRIMARY KEY (param, low, high, code, system, unit, pk)) WITHOUT ROWID;
CREATE INDEX idx_quantity_pk ON idx_quantity (pk, param, low, high, code, system, unit);
UPDATE fhir_meta SET value = '1' WHERE key = 'schema';
"""
"""As the first release had it: the number before the unit."""


@pytest.fixture
async def path(tmp_path: Path) -> Path:
    """A data file of schema 1 with two Observations."""
    path = tmp_path / "facade.sqlite"
    file = SqliteFile(path)
    file.open()
    store = EmbeddedStore(file, SystemClock(), integrity=Integrity(on_write=False))
    store.start()
    for id_, resource in (("h", HEART_RATE), ("b", BLOOD_PRESSURE)):
        body = {**resource, "id": id_}
        await store.write([Write("put", Ref("Observation", id_), msgspec.json.encode(body), body)])
    file.close()
    connection = sqlite3.connect(path)
    rows = connection.execute("SELECT * FROM idx_quantity").fetchall()
    connection.executescript(SCHEMA_1)
    connection.executemany("INSERT INTO idx_quantity VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
    connection.commit()
    connection.close()
    return path


def kept(path: Path) -> tuple[list[tuple[object, ...]], list[tuple[object, ...]], str | None]:
    """The rows of quantities, what tables and indexes there are, and the schema that the file says it has."""
    connection = sqlite3.connect(path)
    try:
        rows = connection.execute(
            "SELECT param, low, high, code, system, unit, pk FROM idx_quantity ORDER BY 1, 2, 3, 4, 5, 6, 7"
        ).fetchall()
        made = connection.execute("SELECT name, sql FROM sqlite_master ORDER BY name").fetchall()
        return rows, made, meta(connection, "schema")
    finally:
        connection.close()


def test_a_file_of_a_newer_schema_is_refused_and_stays_as_it_was(path: Path) -> None:
    connection = sqlite3.connect(path, isolation_level=None)
    set_meta(connection, "schema", str(SCHEMA_VERSION + 1))
    before = kept(path)

    with pytest.raises(Conflict, match="start the newer release again"):
        migrate(connection)

    connection.close()
    assert kept(path) == before


def test_a_command_beside_a_server_changes_no_table(path: Path) -> None:
    connection = sqlite3.connect(path, isolation_level=None)
    before = kept(path)

    with pytest.raises(Conflict, match="restart the server first"):
        migrate(connection, guest=True)

    connection.close()
    assert kept(path) == before


def test_an_upgrade_that_fails_on_its_way_changes_nothing(path: Path) -> None:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("CREATE TABLE idx_quantity_1 (in_the_way)")
    before = kept(path)

    with pytest.raises(sqlite3.OperationalError, match="already"):
        migrate(connection)

    assert not connection.in_transaction
    connection.close()
    assert kept(path) == before


async def test_an_older_file_becomes_as_a_new_one_and_loses_nothing(path: Path, tmp_path: Path) -> None:
    (rows, _, _), new = kept(path), sqlite3.connect(tmp_path / "new.sqlite", isolation_level=None)
    migrate(new)
    new.close()
    file = SqliteFile(path)
    file.open()
    try:
        store = EmbeddedStore(file, SystemClock())
        store.start()
        page = await store.search(
            parse_query("Observation", [("combo-value-quantity", "gt100||mm[Hg]")], now=NOW).query
        )
    finally:
        file.close()

    assert [entry.id for entry in page.entries] == ["b"]
    assert rows
    assert kept(path) == (rows, kept(tmp_path / "new.sqlite")[1], str(SCHEMA_VERSION))


def test_a_first_file_whose_maker_was_ended_before_it_said_its_schema_is_brought_up_to_date(path: Path) -> None:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("DELETE FROM fhir_meta WHERE key = 'schema'")
    rows = kept(path)[0]

    migrate(connection)

    connection.close()
    assert (kept(path)[0], kept(path)[2]) == (rows, str(SCHEMA_VERSION))


def test_tables_of_this_schema_are_left_alone(path: Path) -> None:
    connection = sqlite3.connect(path, isolation_level=None)
    migrate(connection)
    before = kept(path)

    migrate(connection, guest=True)

    connection.close()
    assert kept(path) == before
