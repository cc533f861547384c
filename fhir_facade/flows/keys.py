"""Key rotation: a new newest key, then everything that is sealed in a row is sealed again under it.

The old keys stay in the file: values in transit (page links, open intents, other replicas) still open.
https://csrc.nist.gov/pubs/sp/800/57/pt1/r5/final section 5.3
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from fhir_facade.errors import BadRequest, Unavailable
from fhir_facade.flows.audit_chain import seal_context
from fhir_facade.flows.launch.keys import CONTEXT as SIGNING_KEY_CONTEXT
from fhir_facade.interactions.audit import operator_line
from fhir_facade.interactions.audit_names import CONTEXT as AUDIT_NAMES_CONTEXT
from fhir_facade.ports import Ports, StateStore
from fhir_facade.rows import Row, spec_of
from fhir_facade.rows.audit import AuditNameKey, AuditSeal
from fhir_facade.rows.connections import ConnectionTokens, PendingConnection
from fhir_facade.rows.oauth import SigningKey


class KeyFile(Protocol):
    def add(self) -> int:
        """Add a newest key and return its number."""


@dataclass(frozen=True, slots=True)
class SealedColumn:
    """A field that holds a sealed value, and the context under which it was sealed."""

    row: type[Row]
    field: str
    context: Callable[[Any], str]


SEALED = (
    SealedColumn(ConnectionTokens, "sealed", lambda row: f"vendor-tokens|{row.connection}"),
    SealedColumn(PendingConnection, "sealed_verifier", lambda row: f"vendor-verifier|{row.hash}"),
    SealedColumn(SigningKey, "sealed", lambda _: SIGNING_KEY_CONTEXT),
    SealedColumn(AuditSeal, "sealed", lambda row: seal_context(row.number)),
    SealedColumn(AuditNameKey, "sealed", lambda _: AUDIT_NAMES_CONTEXT),
)


async def refuse_lost_keys(state: StateStore, path: str) -> None:
    """Before a new key file is made: Unavailable when something is sealed already, for then the keys were lost."""
    sealed = await state.read(lambda tx: any(tx.count(column.row) for column in SEALED))
    if sealed:
        raise Unavailable(
            f"the key file {path} is missing, and data is sealed with its keys: put it back, restore it from a backup, "
            "or name it with FHIR_FACADE_KEYS_FILE"
        )


@dataclass(frozen=True, slots=True)
class Rotation:
    """`number` of the new key; per table how many values were `resealed`, and how many no key of the file opens."""

    number: int
    resealed: Mapping[str, int]
    unreadable: Mapping[str, int]


async def rotate_keys(ports: Ports, key_file: KeyFile) -> Rotation:
    """Safe beside running servers, and to repeat: a value that somebody replaces meanwhile is left to the new one."""
    number = key_file.add()
    resealed: Counter[str] = Counter()
    unreadable: Counter[str] = Counter()
    for column in SEALED:
        name = spec_of(column.row).name
        for row in await ports.state.read(lambda tx, column=column: tx.find(column.row)):  # type: ignore[misc]
            try:
                resealed[name] += await _reseal(ports, column, row)
            except BadRequest:
                unreadable[name] += 1
    await ports.state.append([operator_line(ports, "admin", f"keys rotated, the newest is {number}")])
    return Rotation(number, +resealed, +unreadable)


async def _reseal(ports: Ports, column: SealedColumn, row: Row) -> int:
    """1 when the value is under the newest key now and was not before."""
    old = getattr(row, column.field)
    new = ports.vault.reseal(old, context=column.context(row))
    if new is None:
        return 0
    key = [(field, "=", getattr(row, field)) for field in spec_of(column.row).key]
    values = {column.field: new}
    return len(await ports.state.write(lambda tx: tx.change(column.row, [*key, (column.field, "=", old)], **values)))
