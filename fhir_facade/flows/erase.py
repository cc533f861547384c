"""Erasing a patient: every version of every record about her, her accounts, grants, connections and events, and her
name in the audit. It cannot be undone; backups made before still hold everything.

https://eur-lex.europa.eu/eli/reg/2016/679/oj article 17, docs/audit.md
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Final

from fhir_facade.access.compartment import TypeRule, type_rules
from fhir_facade.access.owners import owners
from fhir_facade.errors import Gone, NotFound
from fhir_facade.fhir.document import parse_stored
from fhir_facade.flows.admission import account_entity
from fhir_facade.flows.audit_erase import Forgotten, forget, newest_seal
from fhir_facade.flows.connections import belongings, revoke_at_vendor
from fhir_facade.interactions.alerts.marks import unmark
from fhir_facade.interactions.audit import record_operator
from fhir_facade.interactions.circle import TOPIC
from fhir_facade.ports import Ports, StateTransaction
from fhir_facade.rows import Put, Remove, Row, RowChange, spec_of
from fhir_facade.rows.accounts import Account, KnownDevice, PasswordLink, Session
from fhir_facade.rows.audit import AuditLine, EmergencyAccess
from fhir_facade.rows.connections import Connection, ConnectionTokens
from fhir_facade.rows.events import Event
from fhir_facade.rows.mail import DueMail
from fhir_facade.rows.oauth import (
    AccessToken,
    AuthorizationCode,
    Grant,
    Launch,
    OpenAuthorization,
    RefreshToken,
)
from fhir_facade.values import HistoryQuery, Match, Ref, ReferenceValue, SearchQuery, TokenValue

PAGE: Final = 500
_WRITING: Final = ("create", "update", "patch", "delete")
_OF_A_GRANT: Final[tuple[type[Row], ...]] = (AccessToken, AuthorizationCode, RefreshToken)
_OF_AN_ACCOUNT: Final[tuple[type[Row], ...]] = (Session, KnownDevice, PasswordLink, DueMail, Grant, Launch)
_OF_A_PATIENT: Final[tuple[type[Row], ...]] = (
    EmergencyAccess,
    Event,
    Grant,
    Launch,
    OpenAuthorization,
)


@dataclass(frozen=True, slots=True)
class Erased:
    """What went: `resources`, `accounts`, `connections`; `lines` of the audit name nobody now. `unrevoked` vendors
    could not be told."""

    resources: int
    accounts: int
    connections: int
    lines: int
    unrevoked: tuple[str, ...]


async def erase_patient(ports: Ports, patient: str) -> Erased:
    """NotFound when nothing was ever stored of her; Conflict names a record of somebody else that refers to her. It may
    be repeated: what an interrupted erasure left behind goes then."""
    refs = await _resources(ports, patient)
    accounts = await ports.state.read(lambda tx: _accounts(tx, patient, refs))
    connections = await ports.state.read(lambda tx: tx.find(Connection, ("patient", "=", patient)))
    named = await ports.state.read(lambda tx: tx.count(AuditLine, ("patient", "=", patient)))  # of one interrupted
    if not (refs or accounts or connections or named):
        raise NotFound(f"Nothing is stored about Patient/{patient}, and nobody has an account for it.")
    erased = await ports.store.erase(refs)
    await unmark(ports, patient, refs)
    ports.memory.forget(TOPIC)
    unrevoked = [each.vendor for each in connections if not await revoke_at_vendor(ports, each)]
    ids = frozenset(account.id for account in accounts)
    whom = Forgotten(patient, {*map(str, refs), *map(account_entity, ids)}, ids)
    sealed = await newest_seal(ports)
    lines = await forget(ports, whom)  # while the accounts still tell whom to forget, if this is interrupted
    await ports.state.write(lambda tx: _remove_rows(tx, patient, accounts, connections))
    lines += await forget(ports, whom, after=sealed)  # what they did meanwhile
    await record_operator(ports, "erase", f"a patient with {erased} resources and {lines} lines of the audit")
    return Erased(erased, len(accounts), len(connections), lines, tuple(unrevoked))


# --- resources ------------------------------------------------------------------------------------------------


async def _resources(ports: Ports, patient: str) -> Sequence[Ref]:
    """What is about her alone: what a search finds, and what the audit knows to have been written and deleted."""
    found = {ref for rule in type_rules().values() for ref in await _searched(ports, rule, patient)}
    written = await ports.state.read(lambda tx: _written(tx, patient))
    for ref in sorted({*written, Ref("Patient", patient)} - found, key=str):
        if await _was_about(ports, ref, patient):
            found.add(ref)
    return sorted(found, key=str)


async def _searched(ports: Ports, rule: TypeRule, patient: str) -> list[Ref]:
    if rule.owner is None or rule.type == "AuditEvent":
        return []
    person = rule.type_class == "person"
    value = TokenValue(None, patient) if person else ReferenceValue("Patient", patient)
    query = SearchQuery(rule.type, (Match(rule.owner, "token" if person else "reference", (value,)),), count=PAGE)
    found: list[Ref] = []
    while True:
        page = await ports.store.search(query)
        found += [each.ref for each in page.entries if owners(parse_stored(each.body)) == {patient}]
        if page.cursor is None:
            return found
        query = replace(query, cursor=page.cursor)


def _written(tx: StateTransaction, patient: str) -> set[Ref]:
    lines = tx.find(AuditLine, ("patient", "=", patient), ("action", "in", _WRITING), ("outcome", "=", "success"))
    parts = [(line.entity or "").partition("/") for line in lines]
    return {Ref(type_, id_) for type_, _, id_ in parts if id_ and type_ in type_rules()}


async def _was_about(ports: Ports, ref: Ref, patient: str) -> bool:
    """Whether the last content of a resource, perhaps deleted, was about her alone."""
    with suppress(NotFound, Gone):
        page = await ports.store.history(HistoryQuery(ref.type, ref.id, count=PAGE))
        last = next((each for each in page.entries if not each.deleted), None)
        return last is not None and owners(parse_stored(last.body)) == {patient}
    return False


# --- rows -----------------------------------------------------------------------------------------------------


def _accounts(tx: StateTransaction, patient: str, refs: Sequence[Ref]) -> list[Account]:
    """Her own, and those of people who stood for her."""
    related = [ref.id for ref in refs if ref.type == "RelatedPerson"]
    own = tx.find(Account, ("patient_id", "=", patient))
    return [*own, *(tx.find(Account, ("related_person_id", "in", related)) if related else ())]


def _remove_rows(
    tx: StateTransaction, patient: str, accounts: Sequence[Account], connections: Sequence[Connection]
) -> None:
    """Sealed vendor tokens are overwritten before they go."""
    for connection in connections:
        if (tokens := tx.get(ConnectionTokens, connection.id)) is not None:
            tx.apply(Put(ConnectionTokens(connection=connection.id, sealed=b"", changed_at=tokens.changed_at)))
        tx.apply(*belongings(tx, connection))
    ids = [account.id for account in accounts]
    grants = [*tx.find(Grant, ("patient", "=", patient)), *tx.find(Grant, ("account_id", "in", ids))]
    tx.apply(*_all(tx, _OF_A_GRANT, ("grant_id", "in", [grant.id for grant in grants])))
    tx.apply(*_all(tx, _OF_AN_ACCOUNT, ("account_id", "in", ids)), *_all(tx, _OF_A_PATIENT, ("patient", "=", patient)))
    tx.apply(*(Remove(Account, (id_,)) for id_ in ids))


def _all(tx: StateTransaction, kinds: Sequence[type[Row]], where: tuple[str, str, Any]) -> list[RowChange]:
    return [
        Remove(kind, tuple(getattr(row, name) for name in spec_of(kind).key))
        for kind in kinds
        for row in tx.find(kind, where)
    ]
