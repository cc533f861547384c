"""Taking a person out of the audit: what names her goes, that something happened stays, and the chain still holds.

https://eur-lex.europa.eu/eli/reg/2016/679/oj article 17, docs/audit.md
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from fhir_facade.flows.audit_chain import LOCK, seal
from fhir_facade.flows.audit_copy import LOCK as COPY_LOCK
from fhir_facade.flows.audit_copy import copied_to, erase_copies, people_of, put_copies
from fhir_facade.flows.audit_digest import ACTOR, SUBJECT, Salts, parts_of
from fhir_facade.interactions.audit_refusals import close_counts_of
from fhir_facade.ports import Ports, StateTransaction
from fhir_facade.rows import Put
from fhir_facade.rows.audit import AuditErasure, AuditLine, AuditSeal

_BLANK: Final = {"actor": "", "request_id": ""}
"""What stands in fields that cannot be empty; None in the others."""


@dataclass(frozen=True, slots=True)
class Forgotten:
    """Whom the lines are to name no more: the patient, her resources as `Type/id`, the accounts she had."""

    patient: str
    resources: Collection[str]
    accounts: Collection[str]

    def as_subject(self, line: AuditLine) -> bool:
        """Whether the line is about her, or its question names her."""
        named = line.patient == self.patient or line.entity in self.resources
        return named or (line.query is not None and self.patient in line.query)

    def as_actor(self, line: AuditLine) -> bool:
        return line.user in self.accounts


async def forget(ports: Ports, whom: Forgotten, *, after: int = 0) -> int:
    """Blank the lines and their copies; how many lines. First what is counted of her accounts becomes lines, and all
    new lines are sealed. Seals up to the number `after` are left alone."""
    await close_counts_of(ports, sorted(whom.accounts))
    await seal(ports)
    forgotten, last = 0, after
    while True:
        async with ports.locks.hold(LOCK, COPY_LOCK):
            seals = await ports.state.read(
                lambda tx: tx.find(AuditSeal, ("number", ">", last), order=("number",), limit=1)  # noqa: B023
            )
            made = seals[0] if seals else None
            copied = await ports.state.read(lambda tx: _copied(tx, whom, made))  # noqa: B023
            await erase_copies(ports, copied)
            forgotten += await ports.state.write(lambda tx: _forget(tx, whom, made))  # noqa: B023
            await _copy_anew(ports, copied)
        if made is None:
            return forgotten
        last = made.number


async def newest_seal(ports: Ports) -> int:
    """Its number; 0: there is none."""
    seals = await ports.state.read(lambda tx: tx.find(AuditSeal, order=("-number",), limit=1))
    return seals[0].number if seals else 0


def _copied(tx: StateTransaction, whom: Forgotten, made: AuditSeal | None) -> list[AuditLine]:
    """The lines of a seal that name her and were copied. They were sealed before."""
    if made is None:
        return []
    lines = tx.find(AuditLine, ("id", ">=", made.first), ("id", "<=", min(made.last, copied_to(tx))), order=("id",))
    return [line for line in lines if whom.as_subject(line) or whom.as_actor(line)]


async def _copy_anew(ports: Ports, copied: Sequence[AuditLine]) -> None:
    """As the lines are now."""
    ids = [line.id for line in copied]
    if ids:
        lines = await ports.state.read(lambda tx: tx.find(AuditLine, ("id", "in", ids), order=("id",)))
        people = await ports.state.read(lambda tx: people_of(tx, lines))
        await put_copies(ports, lines, people)


def _forget(tx: StateTransaction, whom: Forgotten, made: AuditSeal | None) -> int:
    if made is None:
        return _forget_unsealed(tx, whom)
    lines = tx.find(AuditLine, ("id", ">=", made.first), ("id", "<=", made.last), order=("id",))
    known = {each.line: each for each in tx.find(AuditErasure, ("line", ">=", made.first), ("line", "<=", made.last))}
    salts, count = Salts(made.salts), 0
    for place, line in enumerate(lines):
        subject, actor = whom.as_subject(line), whom.as_actor(line)
        if subject or actor:
            before = known.get(line.id) or AuditErasure(line=line.id)
            hashes = parts_of(line, salts.of(place), before)
            tx.apply(Put(_kept(before, hashes, subject=subject, actor=actor)))
            salts = salts.without(place, subject=subject, actor=actor)
            _blank(tx, line, subject=subject, actor=actor)
            count += 1
    if count:
        tx.apply(Put(msgspec.structs.replace(made, salts=salts.data)))
    return count


def _kept(before: AuditErasure, hashes: tuple[str | None, str | None], *, subject: bool, actor: bool) -> AuditErasure:
    return AuditErasure(
        line=before.line,
        subject=hashes[0] if subject else before.subject,
        actor=hashes[1] if actor else before.actor,
    )


def _forget_unsealed(tx: StateTransaction, whom: Forgotten) -> int:
    """Lines that a gap keeps from being sealed; nothing vouches for them yet."""
    seals = tx.find(AuditSeal, order=("-number",), limit=1)
    lines = tx.find(AuditLine, ("id", ">", seals[0].last if seals else 0))
    named = [(line, whom.as_subject(line), whom.as_actor(line)) for line in lines]
    for line, subject, actor in named:
        if subject or actor:
            _blank(tx, line, subject=subject, actor=actor)
    return sum(subject or actor for _, subject, actor in named)


def _blank(tx: StateTransaction, line: AuditLine, *, subject: bool, actor: bool) -> None:
    fields = (*(SUBJECT if subject else ()), *(ACTOR if actor else ()))
    values: dict[str, Any] = {name: _BLANK.get(name) for name in fields}
    tx.change(AuditLine, [("id", "=", line.id)], **values)
