"""The audit copied into the store as AuditEvents, for programs that read them there; the lines stay the record.

Sealed lines are copied in their order, each under an id made of its number: doing it again changes nothing. How far it
got is a row, so that it goes on where it ended. What a copy refers to is named, not linked: a store would refuse links
to what is not there, and would not let anything go that a copy links to. docs/audit.md
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final
from uuid import UUID, uuid5

import msgspec

from fhir_facade.errors import NotFound
from fhir_facade.interactions.audit_names import LineNames, line_names
from fhir_facade.interactions.audit_resource import AUDIT_EVENT, audit_event
from fhir_facade.ports import Ports, StateTransaction
from fhir_facade.rows import Put
from fhir_facade.rows.accounts import Account
from fhir_facade.rows.audit import AuditCopy, AuditLine, AuditSeal
from fhir_facade.values import Ref, Write

LOCK: Final = "audit-copy"
"""Held while lines are copied, and while something that was copied is changed."""
TARGET: Final = "hapi"
AT_ONCE: Final = 100

_NAMES: Final = UUID("5a3f8c1e-6a0d-5f0e-9d0b-4f5b2c1d7e90")
_URI: Final = "urn:ietf:rfc:3986"

Tell = Callable[[int], object]
People = Mapping[str, Account]


async def copy(ports: Ports, *, again: bool = False, tell: Tell | None = None) -> int:
    """Copy what is sealed and not copied yet, with `again` everything; how many lines. `tell` is told of each batch.

    Unavailable when the store does not answer: the next call goes on from there. Any process may, they take turns.
    """
    done, last = 0, 0 if again else None
    while some := await _copy_next(ports, last):
        last = some[-1].id if again else None
        done += len(some)
        if tell is not None:
            tell(len(some))
    return done


async def due(ports: Ports, *, again: bool = False) -> int:
    """How many lines a copy would be of now."""

    def count(tx: StateTransaction) -> int:
        return tx.count(AuditLine, ("id", ">", 0 if again else copied_to(tx)), ("id", "<=", _sealed_to(tx)))

    return await ports.state.read(count)


def copied_to(tx: StateTransaction) -> int:
    """The number of the last line that was copied; 0: none ever was."""
    row = tx.get(AuditCopy, TARGET)
    return row.last if row else 0


def ref_of_copy(line: AuditLine) -> Ref:
    """Made of what is never erased of a line."""
    return Ref(AUDIT_EVENT, str(uuid5(_NAMES, f"{line.id}|{line.at.isoformat()}")))


async def put_copies(ports: Ports, lines: Sequence[AuditLine], people: People) -> None:
    """Store these lines as they are now, whatever is there of them. The lock is held."""
    names, fhir_url = await line_names(ports), ports.deployment.fhir_url
    for start in range(0, len(lines), AT_ONCE):
        some = lines[start : start + AT_ONCE]
        await ports.store.write([_write(line, names, people, fhir_url) for line in some])


async def erase_copies(ports: Ports, lines: Sequence[AuditLine]) -> None:
    """Every version of the copies of these lines; what was not copied is not there. The lock is held."""
    for start in range(0, len(lines), AT_ONCE):
        with suppress(NotFound):
            await ports.store.erase([ref_of_copy(line) for line in lines[start : start + AT_ONCE]])


async def _copy_next(ports: Ports, after: int | None) -> Sequence[AuditLine]:
    """The lines of one batch: after this number, or after what is copied."""
    async with ports.locks.hold(LOCK):
        lines, people, reached = await ports.state.read(lambda tx: _next(tx, after))
        if not lines:
            return ()
        await put_copies(ports, lines, people)
        if lines[-1].id > reached:
            progress = AuditCopy(target=TARGET, last=lines[-1].id, at=ports.clock.now())
            await ports.state.write(lambda tx: tx.apply(Put(progress)))
        return lines


def _next(tx: StateTransaction, after: int | None) -> tuple[Sequence[AuditLine], People, int]:
    reached = copied_to(tx)
    first = reached if after is None else after
    lines = tx.find(AuditLine, ("id", ">", first), ("id", "<=", _sealed_to(tx)), order=("id",), limit=AT_ONCE)
    return lines, people_of(tx, lines), reached


def people_of(tx: StateTransaction, lines: Iterable[AuditLine]) -> People:
    """The accounts that lines name, by id."""
    users = sorted({line.user for line in lines if line.user is not None})
    return {account.id: account for account in tx.find(Account, ("id", "in", users))} if users else {}


def _sealed_to(tx: StateTransaction) -> int:
    found = tx.find(AuditSeal, order=("-number",), limit=1)
    return found[0].last if found else 0


# --- what a copy says -------------------------------------------------------------------------------------------


def _write(line: AuditLine, names: LineNames, people: People, fhir_url: str) -> Write:
    ref = ref_of_copy(line)
    event = copied_event(line, names.id_of(line.id), people, fhir_url) | {"id": ref.id}
    return Write("put", ref, msgspec.json.encode(event), event)


def copied_event(line: AuditLine, id_: str, people: People, fhir_url: str) -> dict[str, Any]:
    """The AuditEvent of a line without a link to any other resource: `meta.source` says where it is read here. Names
    can be searched for (`entity-name`, `agent-name`), which HAPI does not do for what is named in a reference."""
    event = audit_event(line, id_, people, fhir_url)
    meta = {name: value for name, value in event["meta"].items() if name == "profile"}
    event["meta"] = meta | {"source": f"{fhir_url}/{AUDIT_EVENT}/{id_}"}
    event["agent"] = [_unlinked(agent, "who", fhir_url) for agent in event["agent"]]
    if "entity" in event:
        event["entity"] = [_unlinked(entity, "what", fhir_url) for entity in event["entity"]]
    return event


def _unlinked(part: Mapping[str, Any], element: str, fhir_url: str) -> dict[str, Any]:
    """https://hl7.org/fhir/R4/references.html#logical"""
    link = part.get(element, {}).get("reference")
    if link is None:
        return dict(part)
    ref, _, _ = link.partition("/_history/")
    named = {"type": ref.partition("/")[0], "identifier": {"system": _URI, "value": f"{fhir_url}/{link}"}}
    return {**part, element: named, "name": ref}
