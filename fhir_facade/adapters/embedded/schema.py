"""Tables of the embedded store: current bodies, past versions, index rows; and how an older file becomes a newer one.

Every index table is clustered by value (value → resource) and has a second index by resource (resource → value): a
search needs the first to find candidates and the second to check them.
"""

from __future__ import annotations

import logging
import sqlite3

from fhir_facade.adapters.embedded.catalogue import CANONICAL, DATE_TAILS, NEAR, RANGE, insert_params
from fhir_facade.errors import Conflict
from fhir_facade.fhir.definitions import resource_types, search_parameters
from fhir_facade.fhir.extract import VERSION
from fhir_facade.fhir.match import CONTAINED

SCHEMA_VERSION = 2
SERVER_IS_OLDER = "the running server is an older release than this command: restart the server first"

_LOG = logging.getLogger(__name__)

_QUANTITIES = """
CREATE TABLE idx_quantity (param INTEGER NOT NULL, low REAL NOT NULL, high REAL NOT NULL, code TEXT NOT NULL,
  system INTEGER NOT NULL, unit TEXT NOT NULL, pk INTEGER NOT NULL,
  PRIMARY KEY (param, code, system, unit, low, high, pk)) WITHOUT ROWID;"""
_QUANTITIES_PK = "CREATE INDEX idx_quantity_pk ON idx_quantity (pk, param, low, high, code, system, unit);"

_TABLES = f"""
CREATE TABLE fhir_resource (
  pk INTEGER PRIMARY KEY, type TEXT NOT NULL, id TEXT NOT NULL, version INTEGER NOT NULL,
  updated INTEGER NOT NULL, deleted INTEGER NOT NULL, body BLOB NOT NULL);
CREATE UNIQUE INDEX fhir_resource_id ON fhir_resource (type, id);
CREATE INDEX fhir_resource_updated ON fhir_resource (type, updated, id);

CREATE TABLE fhir_version (
  pk INTEGER NOT NULL, version INTEGER NOT NULL, type TEXT NOT NULL, id TEXT NOT NULL,
  updated INTEGER NOT NULL, deleted INTEGER NOT NULL, body BLOB NOT NULL, PRIMARY KEY (pk, version));
CREATE INDEX fhir_version_updated ON fhir_version (type, updated, id);

CREATE TABLE fhir_param (id INTEGER PRIMARY KEY, type TEXT NOT NULL, name TEXT NOT NULL, UNIQUE (type, name));
CREATE TABLE fhir_system (id INTEGER PRIMARY KEY, url TEXT NOT NULL UNIQUE);
CREATE TABLE fhir_meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;

CREATE TABLE idx_token (param INTEGER NOT NULL, code TEXT NOT NULL, system INTEGER NOT NULL, pk INTEGER NOT NULL,
  PRIMARY KEY (param, code, system, pk)) WITHOUT ROWID;
CREATE INDEX idx_token_pk ON idx_token (pk, param, code, system);

CREATE TABLE idx_string (param INTEGER NOT NULL, folded TEXT NOT NULL, pk INTEGER NOT NULL, exact TEXT NOT NULL,
  PRIMARY KEY (param, folded, pk, exact)) WITHOUT ROWID;
CREATE INDEX idx_string_pk ON idx_string (pk, param, folded);

CREATE TABLE idx_date (param INTEGER NOT NULL, low INTEGER NOT NULL, high INTEGER NOT NULL, pk INTEGER NOT NULL,
  PRIMARY KEY (param, low, high, pk)) WITHOUT ROWID;
CREATE INDEX idx_date_pk ON idx_date (pk, param, low, high);

CREATE TABLE idx_number (param INTEGER NOT NULL, low REAL NOT NULL, high REAL NOT NULL, pk INTEGER NOT NULL,
  PRIMARY KEY (param, low, high, pk)) WITHOUT ROWID;
CREATE INDEX idx_number_pk ON idx_number (pk, param, low, high);

{_QUANTITIES}
{_QUANTITIES_PK}

CREATE TABLE idx_reference (target TEXT NOT NULL, param INTEGER NOT NULL, pk INTEGER NOT NULL,
  PRIMARY KEY (target, param, pk)) WITHOUT ROWID;
CREATE INDEX idx_reference_pk ON idx_reference (pk, param, target);

CREATE TABLE idx_uri (param INTEGER NOT NULL, uri TEXT NOT NULL, pk INTEGER NOT NULL,
  PRIMARY KEY (param, uri, pk)) WITHOUT ROWID;
CREATE INDEX idx_uri_pk ON idx_uri (pk, param, uri);

CREATE TABLE idx_composite (pk INTEGER NOT NULL, param INTEGER NOT NULL,
  code0 TEXT, system0 INTEGER, low0 NUMERIC, high0 NUMERIC, text0 TEXT,
  code1 TEXT, system1 INTEGER, low1 NUMERIC, high1 NUMERIC, text1 TEXT,
  code2 TEXT, system2 INTEGER, low2 NUMERIC, high2 NUMERIC, text2 TEXT);
CREATE INDEX idx_composite_value ON idx_composite (param, code0, pk);
CREATE INDEX idx_composite_pk ON idx_composite (pk, param);

CREATE TABLE idx_subject_code (target TEXT NOT NULL, code TEXT NOT NULL, system INTEGER NOT NULL, low INTEGER NOT NULL,
  id TEXT NOT NULL, high INTEGER NOT NULL, pk INTEGER NOT NULL,
  PRIMARY KEY (target, code, system, low, id)) WITHOUT ROWID;
CREATE INDEX idx_subject_code_pk ON idx_subject_code (pk);
"""

INDEX_TABLES = (
    "idx_token",
    "idx_string",
    "idx_date",
    "idx_number",
    "idx_quantity",
    "idx_reference",
    "idx_uri",
    "idx_composite",
    "idx_subject_code",
)

INSERTS = {
    "token": "INSERT OR IGNORE INTO idx_token (param, code, system, pk) VALUES (?, ?, ?, ?)",
    "string": "INSERT OR IGNORE INTO idx_string (param, folded, exact, pk) VALUES (?, ?, ?, ?)",
    "date": "INSERT OR IGNORE INTO idx_date (param, low, high, pk) VALUES (?, ?, ?, ?)",
    "number": "INSERT OR IGNORE INTO idx_number (param, low, high, pk) VALUES (?, ?, ?, ?)",
    "quantity": "INSERT OR IGNORE INTO idx_quantity (param, low, high, code, system, unit, pk) "
    "VALUES (?, ?, ?, ?, ?, ?, ?)",
    "reference": "INSERT OR IGNORE INTO idx_reference (target, param, pk) VALUES (?, ?, ?)",
    "uri": "INSERT OR IGNORE INTO idx_uri (param, uri, pk) VALUES (?, ?, ?)",
    "composite": "INSERT INTO idx_composite (param, code0, system0, low0, high0, text0, "
    "code1, system1, low1, high1, text1, code2, system2, low2, high2, text2, pk) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    "subject_code": "INSERT OR IGNORE INTO idx_subject_code (target, code, system, low, high, id, pk) "
    "VALUES (?, ?, ?, ?, ?, ?, ?)",
}

_SCHEMA_SAID = f"INSERT OR REPLACE INTO fhir_meta (key, value) VALUES ('schema', '{SCHEMA_VERSION}');"

_UPGRADES = {
    2: f"""
ALTER TABLE idx_quantity RENAME TO idx_quantity_1;
{_QUANTITIES}
INSERT INTO idx_quantity (param, low, high, code, system, unit, pk)
  SELECT param, low, high, code, system, unit, pk FROM idx_quantity_1;
DROP TABLE idx_quantity_1;
{_QUANTITIES_PK}""",
}
"""How a file of one schema less becomes one of this schema."""


def migrate(connection: sqlite3.Connection, *, guest: bool = False) -> None:
    """Make the tables in an empty file, bring those of an older release up to date; refuse a file written by a newer
    one, and as a guest beside a running server an older one. Conflict says what to do."""
    present = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'fhir_meta'").fetchone()
    if present is None:
        connection.executescript(f"BEGIN IMMEDIATE; {_TABLES} {_SCHEMA_SAID} COMMIT;")
        set_meta(connection, "extractor", str(VERSION))
        number_params(connection)
        return
    found = int(meta(connection, "schema") or 1)  # made by a first release that was ended before it said so
    if found > SCHEMA_VERSION:
        raise Conflict(
            f"the data file has schema {found}, this release knows {SCHEMA_VERSION}: start the newer release again"
        )
    if found < SCHEMA_VERSION:
        if guest:
            raise Conflict(SERVER_IS_OLDER)
        _upgrade(connection, range(found + 1, SCHEMA_VERSION + 1))


def _upgrade(connection: sqlite3.Connection, versions: range) -> None:
    _LOG.warning("schema.upgrading", extra={"to": SCHEMA_VERSION})
    connection.execute("BEGIN IMMEDIATE")
    try:
        for version in versions:
            for statement in _UPGRADES[version].split(";"):
                connection.execute(statement)
        connection.execute(_SCHEMA_SAID)
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def meta(connection: sqlite3.Connection, key: str) -> str | None:
    row = connection.execute("SELECT value FROM fhir_meta WHERE key = ?", (key,)).fetchone()
    return None if row is None else str(row[0])


def set_meta(connection: sqlite3.Connection, key: str, value: str) -> None:
    connection.execute("INSERT OR REPLACE INTO fhir_meta (key, value) VALUES (?, ?)", (key, value))


def number_params(connection: sqlite3.Connection) -> None:
    """Every parameter of the definitions, and the names under which other data of it are searched."""
    connection.execute("BEGIN IMMEDIATE")
    for type_ in resource_types():
        for own in search_parameters(type_).values():
            insert_params(connection, ((type_, f"{own.code}{tail}") for tail in ("", *_BESIDES.get(own.kind, ()))))
    insert_params(
        connection, [*(("Location", name) for name in NEAR), *((type_, CONTAINED) for type_ in resource_types())]
    )
    connection.execute("COMMIT")


_BESIDES = {
    "token": (":of-type",),
    "reference": (":identifier",),
    "date": DATE_TAILS[1:],
    "number": (RANGE,),
    "quantity": (RANGE, CANONICAL, f"{CANONICAL}{RANGE}"),
    "composite": (CANONICAL,),
}
