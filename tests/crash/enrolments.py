"""Accounts that are made together with their persons, in each way there is."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final

import httpx

from fhir_facade.adapters.system_clock import RandomIds
from fhir_facade.app import create_app
from fhir_facade.errors import Gone, NotFound
from fhir_facade.fhir.query import parse_query
from fhir_facade.flows.accounts import NewAccount, add_account
from fhir_facade.flows.enrol import enrol
from fhir_facade.flows.launch.flood import Flood
from fhir_facade.flows.launch.tokens import mint_token
from fhir_facade.flows.signing_up import sign_up
from fhir_facade.ports import Ports
from fhir_facade.rows.accounts import Account
from fhir_facade.rows.audit import AuditLine
from fhir_facade.rows.intents import Intent, IntentKey
from fhir_facade.settings import Settings
from fhir_facade.values import Ref
from tests.accounts import with_account
from tests.crash.lives import Case
from tests.facade import PUBLIC

ROOT: Final = NewAccount("root", "admin", "correct horse battery")
PEOPLE: Final = ("Patient", "Practitioner", "RelatedPerson")
KIND_OF: Final = {"patient": "Patient", "practitioner": "Practitioner"}


@dataclass(frozen=True, slots=True)
class Enrolled:
    """The accounts of a case with the persons they name; the persons that a search finds, those that can be read, and
    what the audit says was done."""

    accounts: tuple[tuple[str, str | None], ...]
    found: tuple[str, ...]
    read: tuple[str, ...]
    audit: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Enrolment:
    """An account of this role; `registers`: the person makes it, else an administrator."""

    role: str
    registers: bool = False

    async def prepare(self, ports: Ports, case: Case) -> None:
        """Nothing has to be there."""

    async def ask(self, ports: Ports, case: Case) -> object:
        new = NewAccount(case.name("ann"), self.role, ROOT.password)
        if self.registers:
            return await sign_up(ports, new, _person(case), flood=Flood())
        return await enrol(ports, new, _person(case), actor=ROOT.username)

    async def see(self, ports: Ports, case: Case, like: Any) -> Enrolled:
        """Fails when an intent is left."""
        assert await _rows(ports, Intent) == await _rows(ports, IntentKey) == []
        kind = KIND_OF[self.role]
        ours = [row for row in await _rows(ports, Account) if row.username == case.name("ann")]
        lines = [line for line in await _rows(ports, AuditLine) if case.prefix in f"{line.user} {line.entity}"]
        told = [line for line in lines if line.action in ("admin", "update") and line.outcome == "success"]
        return Enrolled(
            accounts=tuple((row.role, _alike(case, _person_of(row))) for row in ours),
            found=tuple([_alike(case, str(ref)) for ref in await _found(ports, kind, case)]),
            read=tuple([_alike(case, str(ref)) for ref in await _read(ports, case)]),
            audit=tuple(sorted(_alike(case, f"{line.action} {line.detail} {line.entity}") for line in told)),
        )


@dataclass(frozen=True, slots=True)
class Posted(Enrolment):
    """By way of HTTP."""

    async def prepare(self, ports: Ports, case: Case) -> None:
        if not await ports.state.read(lambda tx: tx.count(Account, ("username", "=", ROOT.username))):
            await with_account(replace(ports, ids=RandomIds()), ROOT)

    async def ask(self, ports: Ports, case: Case) -> object:
        app = create_app(Settings(public_url=PUBLIC), ports)
        try:
            async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=PUBLIC) as client:
                return await (self._register(client, case) if self.registers else self._add(client, ports, case))
        finally:
            await app.close()

    async def _register(self, client: httpx.AsyncClient, case: Case) -> httpx.Response:
        body = {**_named(case), "patient": _person(case)}
        return await client.post("/api/v1/accounts/register", json=body)

    async def _add(self, client: httpx.AsyncClient, ports: Ports, case: Case) -> httpx.Response:
        token = await mint_token(ports, scope="user/*.cruds", username=ROOT.username)
        body = {**_named(case), "role": self.role, "person": _person(case)}
        headers = {"authorization": f"Bearer {token}"}
        return await client.post("/api/v1/accounts", json=body, headers=headers)


@dataclass(frozen=True, slots=True)
class Command(Enrolment):
    """`user add`: an account for somebody who is in the records already."""

    async def ask(self, ports: Ports, case: Case) -> object:
        return await add_account(ports, NewAccount(case.name("ann"), "patient", ROOT.password, case.name("ward")))


def _named(case: Case) -> dict[str, str]:
    return {"username": case.name("ann"), "password": ROOT.password}


def _person(case: Case) -> dict[str, Any]:
    return {"name": [{"family": case.prefix}]}


def _person_of(row: Account) -> str:
    return f"{KIND_OF[row.role]}/{row.patient_id or row.practitioner_id}"


def _alike(case: Case, text: str) -> str:
    return text.replace(case.prefix, "CASE")


async def _rows(ports: Ports, row: type[Any]) -> list[Any]:
    return await ports.state.read(lambda tx: tx.find(row))


async def _found(ports: Ports, kind: str, case: Case) -> list[Ref]:
    query = parse_query(kind, (("family", case.prefix),), now=ports.clock.now()).query
    return [each.ref for each in (await ports.store.search(query)).entries]


async def _read(ports: Ports, case: Case) -> list[Ref]:
    found = []
    for ref in [Ref(kind, id_) for id_ in case.ids.given for kind in PEOPLE]:
        try:
            found.append((await ports.store.read(ref)).ref)
        except (NotFound, Gone):
            continue
    return found
