"""What happens on the writer thread: preconditions, versions, bodies, index rows; one call is one transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from fhir_facade.adapters.embedded.schema import INDEX_TABLES, INSERTS
from fhir_facade.adapters.sqlite_jobs import insert_rows
from fhir_facade.errors import Conflict, DanglingReference, PreconditionFailed
from fhir_facade.fhir.document import equal_values, splice
from fhir_facade.values import Absent, ExpectVersion, Ref, StoredResource, Write

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

IndexRows = Mapping[str, Sequence[tuple[Any, ...]]]
Rows = dict[str, list[tuple[Any, ...]]]

VALUES_AT_ONCE = 64
_PUT_RESOURCE = (
    "INSERT OR REPLACE INTO fhir_resource (pk, type, id, version, updated, deleted, body) VALUES (?, ?, ?, ?, ?, ?, ?)"
)
_ARCHIVE = (
    "INSERT INTO fhir_version (pk, version, type, id, updated, deleted, body) "
    "SELECT pk, version, type, id, updated, deleted, body FROM fhir_resource WHERE pk IN"
)


@dataclass(frozen=True, slots=True)
class Prepared:
    """A write with what can be computed before the writer is asked: index rows per kind (without the row's pk) and
    the local resources it refers to, as `Type/id`."""

    write: Write
    rows: IndexRows
    targets: frozenset[str]


@dataclass(frozen=True, slots=True)
class _Current:
    pk: int
    version: int
    updated: int
    deleted: bool
    body: bytes


def apply_writes(
    connection: sqlite3.Connection, prepared: Sequence[Prepared], *, now_ms: int, integrity: bool
) -> list[StoredResource]:
    """Apply all writes or raise; the caller's savepoint undoes a partial one.

    PreconditionFailed, Conflict, DanglingReference (only with `integrity`).
    """
    refs = [item.write.ref for item in prepared]
    if len(set(refs)) != len(refs):
        raise Conflict("a resource may appear only once in a transaction")
    current = _currents(connection, refs)
    for item in prepared:
        _check_precondition(item.write, current.get(item.write.ref))
    changes = _Changes(connection)
    stored = [_apply(item, current.get(item.write.ref), now_ms, changes) for item in prepared]
    changes.write()
    if integrity:
        _check_integrity(connection, prepared, stored)
    return stored


class _Changes:
    """All rows that one call changes, written together: a statement per row would cost more than the row."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._last = 0
        self._resources: list[tuple[Any, ...]] = []
        self._replaced: list[int] = []
        self._indexed: list[int] = []
        self._rows: Rows = {}

    def pk(self) -> int:
        """The next number of a resource, as SQLite would give it."""
        if not self._last:
            self._last = self._connection.execute("SELECT coalesce(max(pk), 0) FROM fhir_resource").fetchone()[0]
        self._last += 1
        return self._last

    def put(self, current: _Current | None, ref: Ref, version: int, updated: int, body: bytes, rows: IndexRows) -> None:
        """A new version; no body means a tombstone."""
        pk = self.pk() if current is None else current.pk
        if current is not None:
            self._replaced.append(pk)
        if current is not None and not current.deleted:
            self._indexed.append(pk)
        self._resources.append((pk, ref.type, ref.id, version, updated, int(not body), body))
        add_index(self._rows, rows, ref.id, pk)

    def write(self) -> None:
        self._for_all(_ARCHIVE, self._replaced)
        for table in INDEX_TABLES:
            self._for_all(f"DELETE FROM {table} WHERE pk IN", self._indexed)
        insert_rows(self._connection, _PUT_RESOURCE, self._resources)
        insert_index(self._connection, self._rows)

    def _for_all(self, statement: str, pks: list[int]) -> None:
        for some in _padded(pks):
            self._connection.execute(f"{statement} ({', '.join('?' * len(some))})", some)


def _padded(values: list[Any]) -> Iterator[list[Any]]:
    """At most VALUES_AT_ONCE of the values each time, the last one repeated up to the next power of two, so that few
    statements are prepared."""
    for at in range(0, len(values), VALUES_AT_ONCE):
        some = values[at : at + VALUES_AT_ONCE]
        yield some + some[-1:] * ((1 << (len(some) - 1).bit_length()) - len(some))


def _currents(connection: sqlite3.Connection, refs: Sequence[Ref]) -> dict[Ref, _Current]:
    """What is stored now, tombstones included."""
    ids: dict[str, list[str]] = {}
    for ref in refs:
        ids.setdefault(ref.type, []).append(ref.id)
    return {
        Ref(type_, id_): _Current(pk, version, updated, bool(deleted), body)
        for type_, wanted in ids.items()
        for id_, pk, version, updated, deleted, body in _found(
            connection, "id, pk, version, updated, deleted, body", type_, wanted
        )
    }


def _found(connection: sqlite3.Connection, columns: str, type: str, ids: list[str]) -> Iterator[tuple[Any, ...]]:
    """Rows of these ids."""
    for some in _padded(ids):
        marks = ", ".join("?" * len(some))
        yield from connection.execute(
            f"SELECT {columns} FROM fhir_resource WHERE type = ? AND id IN ({marks})", (type, *some)
        )


def _check_precondition(write: Write, current: _Current | None) -> None:
    live = current is not None and not current.deleted
    match write.precondition:
        case Absent() if live:
            raise Conflict(f"{write.ref} exists already")
        case ExpectVersion(version) if not live or current is None or str(current.version) != version:
            found = f"it is version {current.version}" if live and current else "it does not exist"
            raise PreconditionFailed(
                f"{write.ref} was expected as version {version}, but {found}: read it again and repeat the change"
            )


def _apply(item: Prepared, current: _Current | None, now_ms: int, changes: _Changes) -> StoredResource:
    if item.write.kind == "delete":
        return _delete(item.write.ref, current, now_ms, changes)
    return _put(item, current, now_ms, changes)


def _put(item: Prepared, current: _Current | None, now_ms: int, changes: _Changes) -> StoredResource:
    ref = item.write.ref
    if current is not None and not current.deleted and equal_values(item.write.body, current.body):
        return stored_resource(ref.type, ref.id, current.version, current.updated, current.body, change="unchanged")
    version = 1 if current is None else current.version + 1
    updated = now_ms if current is None else max(now_ms, current.updated + 1)
    body = splice(item.write.body, id=ref.id, version=str(version), last_updated=instant(updated))
    changes.put(current, ref, version, updated, body, item.rows)
    change = "created" if current is None or current.deleted else "updated"
    return stored_resource(ref.type, ref.id, version, updated, body, change=change)


def _delete(ref: Ref, current: _Current | None, now_ms: int, changes: _Changes) -> StoredResource:
    if current is None:
        return stored_resource(ref.type, ref.id, 0, now_ms, b"", deleted=True, change="unchanged")
    if current.deleted:
        return stored_resource(
            ref.type, ref.id, current.version, current.updated, b"", deleted=True, change="unchanged"
        )
    version, updated = current.version + 1, max(now_ms, current.updated + 1)
    changes.put(current, ref, version, updated, b"", {})
    return stored_resource(ref.type, ref.id, version, updated, b"", deleted=True, change="deleted")


def add_index(rows: Rows, more: IndexRows, id: str, pk: int) -> None:
    """Add the index rows of one resource; those of `subject_code` carry its id too."""
    for kind, values in more.items():
        tail = (id, pk) if kind == "subject_code" else (pk,)
        rows.setdefault(kind, []).extend([value + tail for value in values])


def insert_index(connection: sqlite3.Connection, rows: Rows) -> None:
    for kind, values in rows.items():
        insert_rows(connection, INSERTS[kind], values)


def _check_integrity(
    connection: sqlite3.Connection, prepared: Sequence[Prepared], stored: Sequence[StoredResource]
) -> None:
    """After the writes, so that resources of one transaction may refer to each other in any order."""
    live = _live(connection, {target for item in prepared for target in item.targets})
    for item in prepared:
        if absent := sorted(item.targets - live):
            raise DanglingReference(
                f"{item.write.ref} refers to {absent[0]}, which is not there: create it first or correct the reference"
            )
    for resource in stored:
        if resource.change == "deleted":
            _refuse_referenced(connection, resource.ref)


def _live(connection: sqlite3.Connection, targets: Iterable[str]) -> frozenset[str]:
    """Those of `Type/id` that are there and not deleted."""
    ids: dict[str, list[str]] = {}
    for target in targets:
        type_, _, id_ = target.partition("/")
        ids.setdefault(type_, []).append(id_)
    rows = ((type_, row) for type_, wanted in ids.items() for row in _found(connection, "id, deleted", type_, wanted))
    return frozenset(f"{type_}/{id_}" for type_, (id_, deleted) in rows if not deleted)


def _refuse_referenced(connection: sqlite3.Connection, ref: Ref) -> None:
    row = connection.execute(
        "SELECT r.type, r.id FROM idx_reference i JOIN fhir_resource r ON r.pk = i.pk WHERE i.target = ? LIMIT 1",
        (str(ref),),
    ).fetchone()
    if row is not None:
        raise Conflict(f"{ref} cannot be deleted: {row[0]}/{row[1]} refers to it")


def instant(milliseconds: int) -> datetime:
    """Milliseconds since 1970 as an aware UTC datetime."""
    return _EPOCH + timedelta(milliseconds=milliseconds)


def stored_resource(
    type: str,
    id: str,
    version: int,
    updated: int,
    body: bytes,
    *,
    deleted: bool = False,
    change: Any = None,
) -> StoredResource:
    return StoredResource(type, id, str(version), instant(updated), body, deleted, change)


def without_own(targets: Iterable[str], ref: Ref) -> frozenset[str]:
    """The targets of a resource without itself."""
    return frozenset(target for target in targets if target != str(ref))
