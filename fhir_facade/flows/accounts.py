"""Accounts: made, listed and disabled by an operator; passwords as argon2id hashes made in a worker thread.

https://github.com/OWASP/ASVS/blob/v5.0.0/5.0/en/0x15-V6-Authentication.md
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from fhir_facade.errors import BadRequest, Conflict, NotFound
from fhir_facade.fhir.references import ID
from fhir_facade.flows.common_passwords import is_common
from fhir_facade.flows.launch.opaque import digest
from fhir_facade.flows.launch.tokens import revoke_grants
from fhir_facade.flows.mail import check_address, notices
from fhir_facade.flows.registry import find_account
from fhir_facade.flows.sign_ins import end_sessions
from fhir_facade.ports import Ports, StateTransaction
from fhir_facade.rows import Append, Remove, RowChange
from fhir_facade.rows.accounts import NO_ZONE, Account, PasswordLink, Session
from fhir_facade.rows.audit import AuditLine

ROLES: Final = ("patient", "proxy", "practitioner", "staff", "admin")
_NAMES: Final = ("patient_id", "related_person_id", "practitioner_id", "organization_id")
_NAMED_BY: Final = {"patient": 0, "proxy": 1, "practitioner": 2, "staff": 3}
"""Which of `_NAMES` an account of a role has; the others it has not."""
SHORTEST_PASSWORD: Final = 8
LONGEST_PASSWORD: Final = 128
_USERNAME: Final = re.compile(r"[^\s\x00-\x1f\x7f]{1,100}")
_HASHER: Final = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
"""OWASP's first recommendation for argon2id: 19 MiB, two passes."""


@dataclass(frozen=True, slots=True)
class NewAccount:
    """An account as asked for. A patient names `patient_id`, a proxy `related_person_id`, a practitioner
    `practitioner_id`, staff `organization_id`, an admin nobody."""

    username: str
    role: str
    password: str
    patient_id: str | None = None
    practitioner_id: str | None = None
    zone: str = NO_ZONE
    related_person_id: str | None = None
    organization_id: str | None = None
    email: str | None = None
    language: str = "en"


async def add_account(ports: Ports, new: NewAccount, *, actor: str = "operator") -> Account:
    """Make an account. BadRequest for a bad name, role, id, zone or password; Conflict when the name is taken."""
    check_account(new)
    row = await account_row(ports, new)
    async with name_taken(ports, row):
        await ports.unit.commit((), added(row, actor))
    return row


@asynccontextmanager
async def name_taken(ports: Ports, row: Account) -> AsyncIterator[None]:
    """Nobody else takes the name while the block runs: an account and its person may be written to two stores.
    Conflict when somebody has it.

    What the block does is a unit of work, also without a person: a name that an unfinished one has taken is not free.
    """
    async with ports.locks.hold(f"account:{digest(row.username_key)}"):
        if await ports.state.read(lambda tx: tx.count(Account, ("username_key", "=", row.username_key))):
            raise Conflict(f"There is an account {row.username} already; choose another name.")
        yield


def added(row: Account, actor: str) -> tuple[RowChange, ...]:
    """The rows of a new account."""
    return Append(row), Append(account_line(row, row.created_at, "account added", actor))


async def account_row(ports: Ports, new: NewAccount) -> Account:
    """The row of an account that was checked, with its password hashed."""
    return Account(
        id=ports.ids.new(),
        username=new.username,
        username_key=new.username.casefold(),
        role=new.role,
        password_hash=await hash_password(new.password),
        created_at=ports.clock.now(),
        patient_id=new.patient_id,
        practitioner_id=new.practitioner_id,
        zone=new.zone,
        related_person_id=new.related_person_id,
        organization_id=new.organization_id,
        email=new.email,
        language=new.language,
    )


async def list_accounts(ports: Ports) -> Sequence[Account]:
    """All accounts, disabled ones included, by name."""
    return await ports.state.read(lambda tx: tx.find(Account, order=("username_key",)))


async def disable_account(ports: Ports, username: str, *, actor: str = "operator") -> Account:
    """No sign-in from now on; sessions, grants and tokens end with it. NotFound."""
    now = ports.clock.now()

    def disable(tx: StateTransaction) -> Account:
        rows = tx.change(Account, [("username_key", "=", username.casefold())], disabled=True)
        if not rows:
            raise NotFound(f"There is no account {username}.")
        account = rows[0]
        end_sessions(tx, now, tx.find(Session, ("account_id", "=", account.id)))
        revoke_grants(tx, now, "account disabled", ("account_id", "=", account.id))
        tx.apply(*ended_links(tx, account.id), Append(account_line(account, now, "account disabled", actor)))
        return account

    return await ports.state.write(disable)


async def change_account(
    ports: Ports,
    account_id: str,
    *,
    zone: str | None = None,
    password: str | None = None,
    disabled: bool | None = None,
    email: str | None = None,
    language: str | None = None,
    actor: str,
    keep: str | None = None,
    keep_apps: bool = False,
) -> Account:
    """Change what is given. A new password or disabling ends the sessions, except the one with the hash `keep`, and
    what apps were allowed, except with `keep_apps`. An empty `email` takes the address away; the one there was is told
    by mail.

    BadRequest, NotFound.
    """
    if zone is not None:
        check_zone(zone)
    if email:
        check_address(email)
    account = await find_account(ports, account_id)
    if disabled:
        return await disable_account(ports, account.username, actor=actor)
    changes: dict[str, Any] = {"zone": zone, "disabled": disabled, "language": language}
    if password is not None:
        check_password(account.username, password)
        changes["password_hash"] = await hash_password(password)
    changes = {name: value for name, value in changes.items() if value is not None}
    if email is not None:
        changes["email"] = email or None
    now, what = ports.clock.now(), ", ".join(sorted(changes))

    def change(tx: StateTransaction) -> Account:
        (row,) = tx.change(Account, [("id", "=", account_id)], **changes)
        if password is not None:
            end_sessions(tx, now, tx.find(Session, ("account_id", "=", account_id), ("hash", "!=", keep or "")))
            tx.apply(*ended_links(tx, account_id), *notices(ports, account, "password"))
        ended = end_apps(tx, account_id, now) if password is not None and not keep_apps else ""
        if row.email != account.email:
            tx.apply(*notices(ports, account, "address"))
        tx.apply(Append(account_line(row, now, f"account changed: {what}{ended}", actor)))
        return row

    return await ports.state.write(change) if changes else account


def end_apps(tx: StateTransaction, account_id: str, now: datetime) -> str:
    """End what apps were allowed by whoever knew the password of before; for the audit, how much that was."""
    ended = revoke_grants(tx, now, "new password", ("account_id", "=", account_id))
    return f"; {len(ended)} permissions of apps ended" if ended else ""


def ended_links(tx: StateTransaction, account_id: str) -> Sequence[Remove]:
    """The links to choose a password work no more: what they were to replace is gone."""
    return [Remove(PasswordLink, (row.hash,)) for row in tx.find(PasswordLink, ("account_id", "=", account_id))]


async def hash_password(password: str) -> str:
    """The argon2id hash, made in a worker thread: it takes tens of milliseconds and 19 MiB."""
    return await asyncio.to_thread(_HASHER.hash, password)


async def password_fits(account: Account | None, password: str) -> bool:
    """Whether the password is the account's. Without an account the same work is done for nothing."""
    stored = _nobody() if account is None else account.password_hash
    fits = await asyncio.to_thread(_verify, stored, password)
    return fits and account is not None and not account.disabled


def needs_rehash(account: Account) -> bool:
    """Whether the hash was made with weaker parameters than today's."""
    return _HASHER.check_needs_rehash(account.password_hash)


def check_password(username: str, password: str) -> None:
    """BadRequest unless the password is long enough, not the user name, and none that many use. No rules of
    composition."""
    if not SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD:
        raise BadRequest(f"A password has {SHORTEST_PASSWORD} to {LONGEST_PASSWORD} characters.")
    if password.casefold() == username.casefold():
        raise BadRequest("The password is not the user name.")
    if not _encodable(password):
        raise BadRequest("The password holds characters that cannot be stored.")
    if is_common(password):
        raise BadRequest(
            "Many people use this password, so it is guessed first: choose another, a few words for example."
        )


def check_account(new: NewAccount) -> None:
    """BadRequest says what is wrong with an account."""
    if new.role not in ROLES:
        raise BadRequest(f"The role of an account is one of {', '.join(ROLES)}.")
    if not _USERNAME.fullmatch(new.username) or not new.username.isprintable():
        raise BadRequest("A user name has 1 to 100 characters without spaces.")
    _check_person(new)
    check_password(new.username, new.password)
    check_zone(new.zone)
    if new.email is not None:
        check_address(new.email)


def check_zone(zone: str) -> None:
    """BadRequest unless it is a time zone of the IANA list."""
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise BadRequest(f"{zone} is not an IANA time zone such as Europe/Berlin.") from None


def _check_person(new: NewAccount) -> None:
    given = [getattr(new, name) for name in _NAMES]
    expected = [_NAMED_BY.get(new.role) == place for place in range(len(_NAMES))]
    if [each is not None for each in given] != expected:
        raise BadRequest(
            "A patient account names its Patient id, a practitioner its Practitioner id, a proxy its RelatedPerson id, "
            "staff the Organization id, an admin none."
        )
    for person in filter(None, given):
        if not ID.fullmatch(person):
            raise BadRequest("The id of a resource has 1 to 64 letters, digits, hyphens and dots.")


def _encodable(text: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in text)


def _verify(stored: str, password: str) -> bool:
    try:
        return _HASHER.verify(stored, password)
    except (VerificationError, InvalidHashError, UnicodeEncodeError):
        return False


@cache
def _nobody() -> str:
    """A hash that belongs to nobody, so that unknown names cost the same time."""
    return _HASHER.hash("nobody's password")


def account_line(account: Account, at: datetime, detail: str, actor: str = "operator") -> AuditLine:
    return AuditLine(at=at, action="admin", outcome="success", actor=actor, user=account.id, detail=detail)
