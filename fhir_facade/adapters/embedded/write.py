"""What happens on the writer thread: preconditions, versions, bodies, index rows; one call is one transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, Final

from fhir_facade.adapters.embedded.changes import ALL_KINDS, Changes, Current, IndexRows
from fhir_facade.adapters.embedded.touched import touched_kinds
from fhir_facade.adapters.sqlite_lists import padded
from fhir_facade.errors import Conflict, DanglingReference, FacadeError, PreconditionFailed
from fhir_facade.fhir.document import changed_members, splice
from fhir_facade.values import Absent, ExpectVersion, Ref, StoredResource, Write

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Prepared:
    """A write with what can be computed before the writer is asked: index rows per kind (without the row's pk) and
    the local resources it refers to, as `Type/id`."""

    write: Write
    rows: IndexRows
    targets: frozenset[str]


@dataclass(frozen=True, slots=True)
class Integrity:
    """Which broken references are refused: those that a write would bring, those that a delete would leave behind."""

    on_write: bool = True
    on_delete: bool = True


CHECKED: Final = Integrity()
WRITES_AT_ONCE: Final = 256
"""Of a large transaction."""


def apply_writes(
    connection: sqlite3.Connection, prepared: Sequence[Prepared], *, now_ms: int, integrity: Integrity
) -> list[StoredResource]:
    """Apply all writes or raise; the caller's savepoint undoes a partial one.

    PreconditionFailed, Conflict, DanglingReference (as `integrity` says).
    """
    refs = [item.write.ref for item in prepared]
    if len(set(refs)) != len(refs):
        raise Conflict("a resource may appear only once in a transaction")
    current = _currents(connection, refs)
    for item in prepared:
        _check_precondition(item.write, current.get(item.write.ref))
    written: dict[Ref, StoredResource] = {}
    numbered = sorted(prepared, key=_place)
    for at in range(0, len(numbered), WRITES_AT_ONCE):  # whose rows need room once more
        changes = Changes(connection)
        for item in numbered[at : at + WRITES_AT_ONCE]:
            written[item.write.ref] = _apply(item, current.get(item.write.ref), now_ms, changes)
        changes.write()
    stored = [written[ref] for ref in refs]
    if integrity.on_write:
        _refuse_dangling(connection, prepared)
    if integrity.on_delete:
        _refuse_referenced(connection, [resource.ref for resource in stored if resource.change == "deleted"])
    return stored


def _place(item: Prepared) -> tuple[str, str]:
    """Where what is new stands among what is created with it: in the order in which it is written to HAPI too."""
    return item.write.ref.type, item.write.ref.id


def refusals(
    connection: sqlite3.Connection, commits: Sequence[Sequence[Prepared]], integrity: Integrity
) -> list[FacadeError | None]:
    """Why each of several commits would be refused for what is there now, before anything is written: most refusals.
    They have nothing to do with each other."""
    all_ = [item for commit in commits for item in commit]
    current = _currents(connection, [item.write.ref for item in all_])
    named = {target for item in all_ for target in item.targets} if integrity.on_write else set()
    live = _live(connection, named)
    return [_refusal(commit, current, named - live) for commit in commits]


def _refusal(commit: Sequence[Prepared], current: Mapping[Ref, Current], absent: Set[str]) -> FacadeError | None:
    try:
        for item in commit:
            _check_precondition(item.write, current.get(item.write.ref))
        _refuse_absent(commit, absent - {str(item.write.ref) for item in commit} if absent else absent)
    except FacadeError as error:
        return error
    return None


def _currents(connection: sqlite3.Connection, refs: Sequence[Ref]) -> dict[Ref, Current]:
    """What is stored now, tombstones included."""
    ids: dict[str, list[str]] = {}
    for ref in refs:
        ids.setdefault(ref.type, []).append(ref.id)
    return {
        Ref(type_, id_): Current(pk, version, updated, bool(deleted), body)
        for type_, wanted in ids.items()
        for id_, pk, version, updated, deleted, body in _found(
            connection, "id, pk, version, updated, deleted, body", type_, wanted
        )
    }


def _found(connection: sqlite3.Connection, columns: str, type: str, ids: list[str]) -> Iterator[tuple[Any, ...]]:
    """Rows of these ids."""
    for some in padded(ids):
        marks = ", ".join("?" * len(some))
        yield from connection.execute(
            f"SELECT {columns} FROM fhir_resource WHERE type = ? AND id IN ({marks})", (type, *some)
        )


def _check_precondition(write: Write, current: Current | None) -> None:
    live = current is not None and not current.deleted
    match write.precondition:
        case Absent() if live:
            raise Conflict(f"{write.ref} exists already")
        case ExpectVersion(version) if not live or current is None or str(current.version) != version:
            found = f"it is version {current.version}" if live and current else "it does not exist"
            raise PreconditionFailed(
                f"{write.ref} was expected as version {version}, but {found}: read it again and repeat the change"
            )


def _apply(item: Prepared, current: Current | None, now_ms: int, changes: Changes) -> StoredResource:
    if item.write.kind == "delete":
        return _delete(item.write.ref, current, now_ms, changes)
    return _put(item, current, now_ms, changes)


def _put(item: Prepared, current: Current | None, now_ms: int, changes: Changes) -> StoredResource:
    ref = item.write.ref
    kinds = ALL_KINDS
    if current is not None and not current.deleted:
        changed = changed_members(item.write.body, current.body)
        if not changed:
            return stored_resource(ref.type, ref.id, current.version, current.updated, current.body, change="unchanged")
        kinds = touched_kinds(ref.type, changed)
    version = 1 if current is None else current.version + 1
    updated = now_ms if current is None else max(now_ms, current.updated + 1)
    body = splice(item.write.body, id=ref.id, version=str(version), last_updated=instant(updated))
    changes.put(current, ref, version, updated, body, item.rows, kinds)
    change = "created" if current is None or current.deleted else "updated"
    return stored_resource(ref.type, ref.id, version, updated, body, change=change)


def _delete(ref: Ref, current: Current | None, now_ms: int, changes: Changes) -> StoredResource:
    if current is None:
        return stored_resource(ref.type, ref.id, 0, now_ms, b"", deleted=True, change="unchanged")
    if current.deleted:
        return stored_resource(
            ref.type, ref.id, current.version, current.updated, b"", deleted=True, change="unchanged"
        )
    version, updated = current.version + 1, max(now_ms, current.updated + 1)
    changes.put(current, ref, version, updated, b"", {})
    return stored_resource(ref.type, ref.id, version, updated, b"", deleted=True, change="deleted")


def _refuse_dangling(connection: sqlite3.Connection, prepared: Sequence[Prepared]) -> None:
    """After the writes, so that resources of one transaction may refer to each other in any order."""
    named = {target for item in prepared for target in item.targets}
    _refuse_absent(prepared, named - _live(connection, named))


def _refuse_absent(prepared: Sequence[Prepared], absent: Set[str]) -> None:
    for item in prepared if absent else ():
        if dangling := sorted(item.targets & absent):
            raise DanglingReference(
                f"{item.write.ref} refers to {dangling[0]}, which is not there: "
                "create it first or correct the reference"
            )


def _live(connection: sqlite3.Connection, targets: Iterable[str]) -> frozenset[str]:
    """Those of `Type/id` that are there and not deleted."""
    ids: dict[str, list[str]] = {}
    for target in targets:
        type_, _, id_ = target.partition("/")
        ids.setdefault(type_, []).append(id_)
    rows = ((type_, row) for type_, wanted in ids.items() for row in _found(connection, "id, deleted", type_, wanted))
    return frozenset(f"{type_}/{id_}" for type_, (id_, deleted) in rows if not deleted)


def _refuse_referenced(connection: sqlite3.Connection, deleted: Sequence[Ref]) -> None:
    for ref in deleted:
        row = connection.execute(
            "SELECT r.type, r.id FROM idx_reference i JOIN fhir_resource r ON r.pk = i.pk WHERE i.target = ? LIMIT 1",
            (str(ref),),
        ).fetchone()
        if row is not None:
            raise Conflict(f"{ref} cannot be deleted: {row[0]}/{row[1]} has a reference to this resource")


@lru_cache(maxsize=4096)
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
