"""Which guards there may be, known from the facade's own rows: almost all readings are calm and have none to read.

The mark of a guard is on the disk before the guard is written, in whichever process, and stays as long as it: a crash
in between leaves a mark too many, which costs a look at the store, never one too few. Where rows are missing (older
than the store after a restore, or from before there were marks) they are added, and the write that met a guard without
a mark is judged again. docs/decisions/019-the-guard-of-an-alert.md

What an alert rests on is marked beside it: who writes such an Observation anew may make it one of another patient or of
another code, and then what it was has to be known.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Iterable
from dataclasses import replace
from datetime import UTC, timedelta
from typing import Final

from fhir_facade.fhir.query import parse_query
from fhir_facade.ports import Ports
from fhir_facade.rows import Put
from fhir_facade.rows.alerts import GuardMark
from fhir_facade.rules.alerts import guard_id, rules
from fhir_facade.values import Ref
from terminology.canonical import BASIC

ALL: Final = "*"
OVERLAP: Final = timedelta(days=1)  # the clock of the store may be another one
PAGE: Final = 500


async def marked(ports: Ports, guards: Collection[str], refs: Collection[Ref]) -> tuple[frozenset[str], set[Ref]]:
    """In one look: those of the guards' ids that may be in the store (all of them until the store was compared once),
    and those of the Observations on which an alert rests or rested."""
    named = {_evidence(ref.id): ref for ref in refs}
    if not guards and not named:
        return frozenset(), set()
    found = await ports.state.present(GuardMark, (ALL, *guards, *named))
    there = frozenset(guards) & found if ALL in found else frozenset(guards)
    return there, {named[id_] for id_ in named.keys() & found}


async def possible(ports: Ports, guards: Collection[str]) -> frozenset[str]:
    """Those of the guards' ids that may be in the store."""
    return (await marked(ports, guards, ()))[0]


async def mark(ports: Ports, ids: Iterable[str]) -> None:
    """Durable when this returns."""
    now = ports.clock.now()
    rows = [Put(GuardMark(id=id_, at=now)) for id_ in ids]
    if rows:
        await ports.state.write(lambda tx: tx.apply(*rows))


async def unmark(ports: Ports, patient: str, refs: Iterable[Ref]) -> None:
    """For a patient who was erased with these resources: the id of a guard is made of hers."""
    ids = [guard_id(rule.id, patient) for rule in rules()]
    ids += [_evidence(ref.id) for ref in refs if ref.type == "Observation"]
    await ports.state.write(lambda tx: tx.take(GuardMark, ids))


async def compare(ports: Ports) -> None:
    """Mark the guards that were written since the last comparison, a day of overlap included."""
    began = ports.clock.now()
    last = await ports.state.read(lambda tx: tx.get(GuardMark, ALL))
    since = (("_lastUpdated", f"ge{(last.at - OVERLAP).astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"),) if last else ()
    async for ids in _guards(ports, since):
        marked = await ports.state.present(GuardMark, ids)
        await mark(ports, [id_ for id_ in ids if id_ not in marked])
    await ports.state.write(lambda tx: tx.apply(Put(GuardMark(id=ALL, at=began))))


async def _guards(ports: Ports, since: tuple[tuple[str, str], ...]) -> AsyncIterator[list[str]]:
    asked = (("code", f"{BASIC}|alert-guard"), *since, ("_count", str(PAGE)))
    query = parse_query("Basic", asked, now=ports.clock.now()).query
    while True:
        page = await ports.store.search(query)
        yield [each.id for each in page.entries]
        if page.cursor is None:
            return
        query = replace(query, cursor=page.cursor)


def evidence_marks(ports: Ports, ids: Iterable[str]) -> list[Put]:
    """To be committed with the alert that rests on these Observations."""
    now = ports.clock.now()
    return [Put(GuardMark(id=_evidence(id_), at=now)) for id_ in sorted(ids)]


def _evidence(id_: str) -> str:
    return f"Observation/{id_}"


def marks_of(refs: Iterable[Ref]) -> list[str]:
    """The guards among resources that are about to be written, or were found."""
    return [ref.id for ref in refs if ref.type == "Basic"]
