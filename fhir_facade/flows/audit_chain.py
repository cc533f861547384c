"""The chain over the audit: lines are sealed some seconds after they were written, in the order of their numbers.

Whoever changes, removes or adds a line afterwards would have to make every later seal anew, and each is sealed by the
vault, whose keys are not in the database. Lines that were written last can be cut off together with their seals: note
the head that `fhir-facade audit verify` shows elsewhere, and give it back to it. docs/audit.md
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import msgspec

from fhir_facade.errors import BadRequest, Unavailable
from fhir_facade.flows.audit_copy import LOCK as COPY_LOCK
from fhir_facade.flows.audit_copy import copied_to, erase_copies
from fhir_facade.flows.audit_digest import Salts, new_salts, seal_hash
from fhir_facade.ports import Ports, StateTransaction
from fhir_facade.rows import Put, Remove
from fhir_facade.rows.audit import AuditErasure, AuditLine, AuditSeal

LOCK: Final = "audit-seal"
AT_ONCE: Final = 256
LATE: Final = timedelta(minutes=1)
"""So long a number that is missing is waited for: on PostgreSQL a transaction may have taken it and still be open."""


async def seal(ports: Ports) -> int:
    """Seal all lines that are there now; how many. Any process may, they take turns."""
    waiting, sealed = await ports.state.read(_unsealed), 0
    while sealed < waiting and (count := await _seal_next(ports)):
        sealed += count
    return sealed


def _unsealed(tx: StateTransaction) -> int:
    """How many lines no seal covers. To ask for it brings all that were appended to where `_next` looks."""
    head = _head(tx)
    return tx.count(AuditLine, ("id", ">", head.last if head else 0))


async def _seal_next(ports: Ports) -> int:
    async with ports.locks.hold(LOCK):
        now, secret = ports.clock.now(), ports.ids.secret()
        made = await ports.state.read(lambda tx: _next(tx, now, secret), here=True)
        if made is None:
            return 0
        authentic = ports.vault.seal(_statement(made), context=seal_context(made.number))
        await ports.state.append([msgspec.structs.replace(made, sealed=authentic)])
        return made.count


def _next(tx: StateTransaction, now: datetime, secret: str) -> AuditSeal | None:
    """The next seal, not yet sealed by the vault; None when there is nothing to seal."""
    before = _head(tx)
    last, number, previous = (before.last, before.number + 1, before.hash) if before else (0, 1, "")
    lines = _ready(tx.find(AuditLine, ("id", ">", last), order=("id",), limit=AT_ONCE), last, now)
    if not lines:
        return None
    salts = new_salts(secret, len(lines))
    digest = seal_hash(previous, number, lines, Salts(salts), {})
    return AuditSeal(
        number=number,
        first=lines[0].id,
        last=lines[-1].id,
        count=len(lines),
        salts=salts,
        hash=digest,
        sealed=b"",
        at=now,
    )


def _head(tx: StateTransaction) -> AuditSeal | None:
    found = tx.find(AuditSeal, order=("-number",), limit=1)
    return found[0] if found else None


def _ready(lines: Sequence[AuditLine], last: int, now: datetime) -> Sequence[AuditLine]:
    """The lines before the first gap that a line may still come into."""
    for place, line in enumerate(lines):
        if line.id != last + 1 and now - line.at < LATE:
            return lines[:place]
        last = line.id
    return lines


def seal_context(number: int) -> str:
    """What a seal is sealed for."""
    return f"audit-seal|{number}"


async def refuse_foreign_keys(ports: Ports, path: str) -> None:
    """Before anybody is served: Unavailable when no key of the file made the newest seal of the audit. With the keys of
    another deployment nothing that is sealed opens, and what is sealed from then on opens with these alone."""
    for seal in await ports.state.read(lambda tx: tx.find(AuditSeal, order=("-number",), limit=1)):
        try:
            ports.vault.open(seal.sealed, context=seal_context(seal.number))
        except BadRequest:
            raise Unavailable(
                f"the keys of {path} are not those that data is sealed with: put the right file back, restore it from "
                "a backup, or name it with FHIR_FACADE_KEYS_FILE; if they are lost for good, `fhir-facade keys rotate` "
                "and then `fhir-facade audit seal` go on with these"
            ) from None


def _statement(made: AuditSeal) -> bytes:
    """What the vault seals: the hash, and whether its lines may be missing."""
    return msgspec.json.encode((made.hash, made.first, made.last, made.dropped))


# --- verification ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Verified:
    """`problems` are sentences about what was tampered with; empty: nothing. `head` is the last seal as number:hash.

    `dropped` lines were older than lines are kept, `erased` ones belong to erased patients, `unsealed` ones are new.
    """

    problems: tuple[str, ...]
    seals: int
    lines: int
    dropped: int
    erased: int
    unsealed: int
    head: str | None


@dataclass(slots=True)
class _Walk:
    """How far along the chain we are."""

    problems: list[str]
    number: int = 0
    last: int = 0
    hash: str = ""
    lines: int = 0
    dropped: int = 0
    erased: int = 0


async def verify(ports: Ports, *, expected: str | None = None) -> Verified:
    """Walk the whole chain. `expected` is a head noted before: it has to be part of the chain."""
    walk, heads = _Walk([]), set[str]()
    while True:
        seals = await ports.state.read(
            lambda tx: tx.find(AuditSeal, ("number", ">", walk.number), order=("number",), limit=50)
        )
        for each in seals:
            await _verify_one(ports, walk, each)
            heads.add(f"{each.number}:{each.hash}")
        if not seals:
            break
    if expected is not None and expected not in heads:
        walk.problems.append(f"the head {expected} is no more part of the chain: seals were removed or made anew")
    unsealed = await ports.state.read(lambda tx: tx.count(AuditLine, ("id", ">", walk.last)))
    head = f"{walk.number}:{walk.hash}" if walk.number else None
    return Verified(tuple(walk.problems), len(heads), walk.lines, walk.dropped, walk.erased, unsealed, head)


async def _verify_one(ports: Ports, walk: _Walk, made: AuditSeal) -> None:
    problem = _chained(walk, made) or _authentic(ports, made) or await _covering(ports, walk, made)
    if problem is not None:
        walk.problems.append(f"seal {made.number} over the lines {made.first} to {made.last}: {problem}")
    walk.number, walk.last, walk.hash = made.number, max(walk.last, made.last), made.hash


def _chained(walk: _Walk, made: AuditSeal) -> str | None:
    if made.number != walk.number + 1 or made.first <= walk.last or made.last < made.first:
        return "does not follow the seal before it"
    return None


def _authentic(ports: Ports, made: AuditSeal) -> str | None:
    try:
        stated = ports.vault.open(made.sealed, context=seal_context(made.number))
    except BadRequest:
        return "was not made by this deployment's keys"
    return None if stated == _statement(made) else "was changed after it was made"


async def _covering(ports: Ports, walk: _Walk, made: AuditSeal) -> str | None:
    after = walk.last
    lines, erasures = await ports.state.read(lambda tx: _covered(tx, after, made.last))
    if made.dropped:
        walk.dropped += made.count
        return "covers lines again that were dropped" if lines else None
    walk.lines += len(lines)
    walk.erased += len(erasures)
    if len(lines) != made.count:
        return f"covered {made.count} lines, and there are {len(lines)}"
    erased = {each.line: each for each in erasures}
    digest = seal_hash(walk.hash, made.number, lines, Salts(made.salts), erased)
    return None if digest == made.hash else "a line was changed"


def _covered(tx: StateTransaction, after: int, last: int) -> tuple[list[AuditLine], list[AuditErasure]]:
    lines = tx.find(AuditLine, ("id", ">", after), ("id", "<=", last), order=("id",))
    return lines, tx.find(AuditErasure, ("line", ">", after), ("line", "<=", last))


# --- retention ------------------------------------------------------------------------------------------------


async def drop_old(ports: Ports) -> int:
    """Remove the lines that were kept long enough, a whole seal at a time, and their copies; how many. Their seals stay
    in the chain."""
    before = ports.clock.now() - timedelta(days=ports.deployment.audit_kept_days)
    dropped = 0
    while count := await _drop_next(ports, before):
        dropped += count
    return dropped


async def _drop_next(ports: Ports, before: datetime) -> int:
    async with ports.locks.hold(LOCK, COPY_LOCK):
        found = await ports.state.read(
            lambda tx: tx.find(AuditSeal, ("dropped", "=", False), ("at", "<", before), order=("number",), limit=1)
        )
        if not found:
            return 0
        (old,) = found
        await erase_copies(ports, await ports.state.read(lambda tx: _copied(tx, old)))
        gone = msgspec.structs.replace(old, dropped=True, salts=b"")
        authentic = ports.vault.seal(_statement(gone), context=seal_context(old.number))
        await ports.state.write(lambda tx: _drop(tx, msgspec.structs.replace(gone, sealed=authentic)))
        return old.count


def _copied(tx: StateTransaction, made: AuditSeal) -> list[AuditLine]:
    lines, _ = _covered(tx, made.first - 1, min(made.last, copied_to(tx)))
    return lines


def _drop(tx: StateTransaction, made: AuditSeal) -> None:
    lines, erasures = _covered(tx, made.first - 1, made.last)
    tx.apply(
        *(Remove(AuditLine, (line.id,)) for line in lines),
        *(Remove(AuditErasure, (each.line,)) for each in erasures),
        Put(made),
    )
