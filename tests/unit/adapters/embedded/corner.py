"""An index of the embedded store in memory, asked without a server around it."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import msgspec

from fhir_facade.adapters.embedded.catalogue import Catalogue, insert_systems
from fhir_facade.adapters.embedded.changes import Rows, add_index, insert_index
from fhir_facade.adapters.embedded.index import bind, index_values
from fhir_facade.adapters.embedded.schema import INDEX_TABLES, migrate
from fhir_facade.adapters.embedded.search import search
from fhir_facade.fhir.query import parse_query
from fhir_facade.values import SearchQuery

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass
class Corner:
    connection: sqlite3.Connection
    catalogue: Catalogue = field(default_factory=Catalogue)

    def clear(self) -> None:
        for table in (*INDEX_TABLES, "fhir_resource"):
            self.connection.execute(f"DELETE FROM {table}")

    def add(self, resource: Mapping[str, Any], id: str = "x") -> None:
        """Store and index one resource, as a write would."""
        kind = resource["resourceType"]
        pk = self.connection.execute(
            "INSERT INTO fhir_resource (type, id, version, updated, deleted, body) VALUES (?, ?, 1, 0, 0, ?)",
            (kind, id, msgspec.json.encode(resource)),
        ).lastrowid
        assert pk is not None
        indexed = index_values(resource)
        missing = self.catalogue.missing_systems(indexed.systems)
        self.catalogue.adopt_systems(insert_systems(self.connection, missing))
        rows: Rows = {}
        add_index(rows, bind(self.catalogue, kind, indexed), id, pk)
        insert_index(self.connection, rows)

    def find(self, query: SearchQuery) -> list[str]:
        return [entry.id for entry in search(self.connection, self.catalogue, query).entries]

    def found(self, fhir_type: str, name: str, value: str) -> list[str]:
        return sorted(self.find(parse_query(fhir_type, [(name, value)], now=NOW).query))


def empty_corner() -> Corner:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    migrate(connection)
    corner = Corner(connection)
    corner.catalogue.load(connection)
    return corner
