"""Erasing resources with every version and index row, so that nothing of them is left in the file.

https://sqlite.org/pragma.html#pragma_secure_delete
"""

from __future__ import annotations

import sqlite3
from collections.abc import Container, Sequence

from fhir_facade.adapters.embedded import fulltext
from fhir_facade.adapters.embedded.schema import INDEX_TABLES
from fhir_facade.errors import Conflict
from fhir_facade.values import Ref


def erase(connection: sqlite3.Connection, refs: Sequence[Ref]) -> int:
    """All or nothing; how many there were. Conflict: something that stays refers to one of them."""
    found = {key: ref for ref in refs for key in _keys(connection, ref)}
    for ref in found.values():
        _refuse_referenced(connection, ref, found.keys())
    connection.execute("PRAGMA secure_delete=ON")
    for key in found:
        for table in (*INDEX_TABLES, "fhir_version", "fhir_resource"):
            connection.execute(f"DELETE FROM {table} WHERE pk = ?", (key,))
    fulltext.forget(connection)
    connection.execute("PRAGMA secure_delete=OFF")
    return len(found)


def _keys(connection: sqlite3.Connection, ref: Ref) -> list[int]:
    rows = connection.execute("SELECT pk FROM fhir_resource WHERE type = ? AND id = ?", (ref.type, ref.id))
    return [key for (key,) in rows]


def _refuse_referenced(connection: sqlite3.Connection, ref: Ref, going: Container[int]) -> None:
    rows = connection.execute(
        "SELECT r.pk, r.type, r.id FROM idx_reference i JOIN fhir_resource r ON r.pk = i.pk WHERE i.target = ?",
        (str(ref),),
    )
    for key, type_, id_ in rows:
        if key not in going:
            raise Conflict(f"{type_}/{id_} refers to {ref} and stays: take that reference out of it first")
