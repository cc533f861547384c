"""What happens to intents inside one transaction of the rows' database; every function may run more than once.

Those of many callers begin and end together. Most bring rows that the database numbers, which take no key from anybody:
they begin with one statement and end with two, however many they are.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

import msgspec

from fhir_facade.adapters.state.changes import decode_changes, digest_of
from fhir_facade.adapters.state.tables import RowTable, Tables
from fhir_facade.errors import Conflict
from fhir_facade.ports import StateTransaction
from fhir_facade.rows import Append, Remove, Row, RowChange
from fhir_facade.rows.intents import Intent, IntentKey

Key = tuple[Any, ...]
UNFINISHED = "another change of the same row is not finished yet; try again"

Begun = tuple[Intent, Sequence[RowChange]]


def begin(tables: Tables, tx: StateTransaction, begun: Sequence[Begun]) -> list[None]:
    """Conflict when rows could not be applied now, or another open intent is about to take the same key."""
    free = [intent for intent, rows in begun if all_numbered(tables, rows)]
    tx.apply(*map(Append, free))
    for intent, rows in begun:
        if not all_numbered(tables, rows):
            _begin_keyed(tx, tables, intent, rows)
    return [None] * len(begun)


def _begin_keyed(tx: StateTransaction, tables: Tables, intent: Intent, rows: Sequence[RowChange]) -> None:
    taken = {digest for change in rows for digest in _reserved(tx, tables, change, _removed(tables, rows))}
    try:
        tx.apply(*(Append(IntentKey(digest=digest, intent_id=intent.id)) for digest in sorted(taken)))
    except Conflict as error:
        raise Conflict(UNFINISHED) from error
    before = tuple(_digest_before(tx, tables, change) for change in rows)
    tx.apply(Append(msgspec.structs.replace(intent, before=before)))


def apply_alone(tx: StateTransaction, tables: Tables, rows: Sequence[RowChange]) -> None:
    """Rows without resources need no intent. Conflict when they take what the rows of an open one will take."""
    removed = _removed(tables, rows)
    for change in rows:
        if any(tx.get(IntentKey, digest) for digest in _reserved(tx, tables, change, removed)):
            raise Conflict(UNFINISHED)
    tx.apply(*rows)


def finish(tables: Tables, tx: StateTransaction, begun: Sequence[Begun]) -> list[None]:
    """Apply the rows, unless another process did. Conflict when they meet a row that came in another way since."""
    open_ = tx.take(Intent, [intent.id for intent, _ in begun])
    due = [(intent, rows) for intent, rows in begun if intent.id in open_]
    tx.apply(*(change for _, rows in due for change in rows))
    for intent, rows in due:
        if not all_numbered(tables, rows):
            _drop_keys(tx, intent)
    return [None] * len(begun)


def finish_late(tx: StateTransaction, tables: Tables, intent: Intent) -> None:
    """As `finish`, some time later: a row that was written meanwhile stays as it is."""
    changes = zip(decode_changes(tables, intent.changes), intent.before, strict=True)
    finish(tables, tx, [(intent, [each for each, before in changes if _digest_before(tx, tables, each) == before])])
    _drop_keys(tx, intent)


def drop(tx: StateTransaction, intent: Intent) -> None:
    tx.take(Intent, [intent.id])
    _drop_keys(tx, intent)


def _drop_keys(tx: StateTransaction, intent: Intent) -> None:
    keys = tx.find(IntentKey, ("intent_id", "=", intent.id))
    tx.apply(*(Remove(IntentKey, (key.digest,)) for key in keys))


def all_numbered(tables: Tables, rows: Sequence[RowChange]) -> bool:
    """Whether all are new rows that get their key from the database and are unique in nothing else."""
    return all(isinstance(each, Append) and _takes_nothing(tables.of(type(each.row)), each.row) for each in rows)


def _takes_nothing(table: RowTable[Any], row: Row) -> bool:
    return table.is_unnumbered(row) and not table.spec.unique


def renew(tx: StateTransaction, intent: Intent, until: datetime) -> None:
    """The writer is alive."""
    tx.change(Intent, [("id", "=", intent.id)], due_at=until)


def claim(tx: StateTransaction, intent: Intent, until: datetime) -> bool:
    """False when somebody touched the intent since it was read: exactly one process settles it."""
    return bool(tx.change(Intent, [("id", "=", intent.id), ("due_at", "=", intent.due_at)], due_at=until))


def looked(tx: StateTransaction, intent: Intent) -> None:
    tx.change(Intent, [("id", "=", intent.id)], looks=intent.looks + 1)


def refuse(tx: StateTransaction, intent: Intent, reason: str) -> None:
    tx.change(Intent, [("id", "=", intent.id)], refused=reason)


def _reserved(
    tx: StateTransaction, tables: Tables, change: RowChange, removed: set[tuple[type[Row], Key]]
) -> Iterator[str]:
    """Digests of the key and of the unique values that a change takes anew. Conflict when a row has them."""
    if isinstance(change, Remove):
        return
    table, row = tables.of(type(change.row)), change.row
    for fields in _taken(table, change):
        values = tuple(getattr(row, field) for field in fields)
        if None in values:
            continue
        found = tx.find(table.row, *((field, "=", value) for field, value in zip(fields, values, strict=True)))
        owners = {_key(table, other) for other in found} - {key for kind, key in removed if kind is table.row}
        if not isinstance(change, Append) and owners == {_key(table, row)}:
            continue  # it has them already
        if owners:
            raise Conflict(f"a row of {table.spec.name} with this {' and '.join(fields)} exists already")
        yield hashlib.sha256(msgspec.msgpack.encode((table.spec.name, fields, values))).hexdigest()


def _taken(table: RowTable[Any], change: RowChange) -> Iterator[tuple[str, ...]]:
    if isinstance(change, Append) and not table.is_unnumbered(change.row):
        yield table.spec.key
    yield from table.spec.unique


def _removed(tables: Tables, rows: Sequence[RowChange]) -> set[tuple[type[Row], Key]]:
    return {(change.row_class, change.key) for change in rows if isinstance(change, Remove)}


def _digest_before(tx: StateTransaction, tables: Tables, change: RowChange) -> str:
    """Of the row that a Put or Remove replaces; an Append replaces none."""
    if isinstance(change, Append):
        return ""
    if isinstance(change, Remove):
        return digest_of(tx.get(change.row_class, *change.key))
    table = tables.of(type(change.row))
    return "" if table.is_unnumbered(change.row) else digest_of(tx.get(table.row, *_key(table, change.row)))


def _key(table: RowTable[Any], row: Row) -> Key:
    return tuple(getattr(row, field) for field in table.spec.key)
