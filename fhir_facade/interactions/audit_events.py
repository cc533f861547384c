"""AuditEvents as a store would hold them, read from the rows of the audit: they are nowhere else; nobody writes them.

https://hl7.org/fhir/R4/auditevent.html
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import msgspec
from msgspec.structs import replace as replace_row

from fhir_facade.errors import MethodNotAllowed, NotFound
from fhir_facade.interactions.audit_names import LineNames, line_names
from fhir_facade.interactions.audit_resource import AUDIT_EVENT, VERSION, stored_audit_event
from fhir_facade.interactions.audit_search import conditions, lines, newest_first
from fhir_facade.ports import Ports, StateTransaction
from fhir_facade.rows.accounts import Account
from fhir_facade.rows.audit import AuditLine
from fhir_facade.values import HistoryQuery, Page, Principal, Ref, SearchQuery, StoredResource, Ways, Write

NEVER_CHANGED: Final = "the history of all AuditEvents is the search for them: they never change"
_OVERSEERS: Final = frozenset({"admin", "backend", "engine"})


def with_audit_events(ports: Ports, principal: Principal) -> Ports:
    """The same ports, whose store has AuditEvents too, as this principal may see them."""
    overseeing = principal.kind in _OVERSEERS and principal.patient is None
    return replace(ports, store=AuditEvents(ports, overseeing))


@dataclass(frozen=True, slots=True)
class AuditEvents:
    """A `FhirStore` of AuditEvents, each with one version; other types, which an include leads to, are as they were.

    `overseeing` False: for a patient. What somebody searched for may name others, and the address belongs to staff.
    """

    ports: Ports
    overseeing: bool

    async def read(self, ref: Ref) -> StoredResource:
        if ref.type != AUDIT_EVENT:
            return await self.ports.store.read(ref)
        names = await line_names(self.ports)
        number = names.number_of(ref.id)
        if number is None or ref.version not in (None, VERSION):
            raise NotFound(f"{ref} is not there")
        found = await self.ports.state.read(lambda tx: self._told(tx, _one(tx, number), names))
        if not found:
            raise NotFound(f"{ref} is not there")
        return found[0]

    async def search(self, query: SearchQuery) -> Page:
        if query.type != AUDIT_EVENT:
            return await self.ports.store.search(query)
        names = await line_names(self.ports)
        return await self.ports.state.read(lambda tx: self._search(tx, query, names))

    async def referring(self, targets: Sequence[Ref], ways: Ways) -> Ways:
        return await self.ports.store.referring(targets, ways)

    async def history(self, query: HistoryQuery) -> Page:
        """Of one AuditEvent: the version it has, when it is neither older nor younger than what is asked for."""
        if query.id is None:
            raise MethodNotAllowed(NEVER_CHANGED)
        stored = msgspec.structs.replace(await self.read(Ref(AUDIT_EVENT, query.id)), change="created")
        recent = query.since is None or stored.last_updated >= query.since
        recent &= query.at is None or stored.last_updated < query.at[1]
        return Page((stored,) if recent else (), total=int(recent))

    async def write(self, writes: Sequence[Write]) -> Sequence[StoredResource]:
        raise MethodNotAllowed("AuditEvents are written by the server alone")

    async def erase(self, refs: Sequence[Ref]) -> int:
        raise MethodNotAllowed("AuditEvents are kept as long as the deployment says")

    async def ping(self) -> None:
        await self.ports.state.ping()

    def _search(self, tx: StateTransaction, query: SearchQuery, names: LineNames) -> Page:
        where, descending = conditions(tx, query, names), newest_first(query)
        total = tx.count(AuditLine, *where) if query.total else None
        if not query.count:
            return Page((), total=total)
        found = lines(tx, where, descending=descending, count=query.count + 1, cursor=query.cursor)
        shown = found[: query.count]
        cursor = str(shown[-1].id) if len(found) > len(shown) else None
        return Page(self._told(tx, shown, names), cursor, total)

    def _told(self, tx: StateTransaction, found: Sequence[AuditLine], names: LineNames) -> list[StoredResource]:
        users = sorted({line.user for line in found if line.user is not None})
        people = {account.id: account for account in tx.find(Account, ("id", "in", users))} if users else {}
        shown = found if self.overseeing else [replace_row(line, query=None, address=None) for line in found]
        fhir_url = self.ports.deployment.fhir_url
        return [stored_audit_event(line, names.id_of(line.id), people, fhir_url) for line in shown]


def _one(tx: StateTransaction, number: int) -> list[AuditLine]:
    line = tx.get(AuditLine, number)
    return [] if line is None else [line]
