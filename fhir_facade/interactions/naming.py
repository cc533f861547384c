"""Types of which a record is about nobody and names a patient all the same: known from the facade's own rows.

The mark of a type is on the disk before such a record is written, and stays. What was written before there were marks,
or beside the facade, is looked through once, and again after a restore of rows without their records; until then every
type counts as one. docs/security.md
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Iterable, Sequence
from dataclasses import replace
from typing import Final

import msgspec

from fhir_facade.access.compartment import type_rules
from fhir_facade.access.owners import names_strangers
from fhir_facade.ports import Ports, StateTransaction
from fhir_facade.rows import Put, Remove
from fhir_facade.rows.access import NamingLook, NamingType
from fhir_facade.values import JsonObject, SearchQuery

OF_NOBODY: Final = frozenset({"shared", "optional"})
"""The classes of types whose records may be about nobody."""
ALL: Final = "*"
PAGE: Final = 100
LOCK: Final = "naming-look"

Tell = Callable[[str, int], object]


async def marked(ports: Ports, names: Collection[str]) -> frozenset[str]:
    """Those of the types that are marked; all of them until everything was looked through."""
    if not names:
        return frozenset()
    found = await ports.state.present(NamingType, (ALL, *names))
    return found & frozenset(names) if ALL in found else frozenset(names)


async def mark(ports: Ports, written: Iterable[JsonObject]) -> None:
    """Remember the types of what is about to be written that is about nobody and names somebody; durable on return."""
    found = {str(resource["resourceType"]) for resource in written if names_strangers(resource)}
    missing = sorted(found - await ports.state.present(NamingType, found)) if found else ()
    for name in missing:
        await ports.state.write(lambda tx, name=name: tx.apply(Put(NamingType(type=name))))  # type: ignore[misc]


async def look_through(ports: Ports, *, tell: Tell | None = None) -> int:
    """Mark the types of what was written before there were marks; how many records that took, 0 where it was done.

    A type is a row once it is through, so that another call, of whichever process, goes on after it. `tell` is told of
    each type and of how many records of it there were. Unavailable when the store does not answer.
    """
    if ALL in await ports.state.present(NamingType, (ALL,)):
        return 0
    names = sorted(name for name, rule in type_rules().items() if rule.type_class in OF_NOBODY)
    seen = 0
    for name in names:
        async with ports.locks.hold(LOCK):
            if await ports.state.present(NamingLook, (name,)):
                continue
            amount = await _look_at(ports, name)
            await ports.state.write(lambda tx, name=name: tx.apply(Put(NamingLook(type=name))))  # type: ignore[misc]
        seen += amount
        if tell is not None and amount:
            tell(name, amount)
    rows = [Remove(NamingLook, (name,)) for name in names]
    await ports.state.write(lambda tx: tx.apply(Put(NamingType(type=ALL)), *rows))
    return seen


async def look_again(ports: Ports) -> None:
    """Have everything looked through once more, and count every type as marked until then: the rows may be older than
    the store, as after a restore, and lack what was marked since. Durable on return."""

    def forget(tx: StateTransaction) -> None:
        looks = [Remove(NamingLook, (row.type,)) for row in tx.find(NamingLook)]
        tx.apply(Remove(NamingType, (ALL,)), *looks)

    await ports.state.write(forget)


async def _look_at(ports: Ports, name: str) -> int:
    """One record that names somebody is enough."""
    amount = 0
    async for records in _records(ports, name):
        amount += len(records)
        await mark(ports, records)
        if await ports.state.present(NamingType, (name,)):
            break
    return amount


async def _records(ports: Ports, name: str) -> AsyncIterator[Sequence[JsonObject]]:
    query = SearchQuery(name, count=PAGE)
    while True:
        page = await ports.store.search(query)
        yield [msgspec.json.decode(stored.body) for stored in page.entries]
        if page.cursor is None:
            return
        query = replace(query, cursor=page.cursor)
