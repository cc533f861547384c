"""Accounts: made, listed and disabled by an operator; passwords as argon2id hashes made in a worker thread.

https://github.com/OWASP/ASVS/blob/v5.0.0/5.0/en/0x15-V6-Authentication.md
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from fhir_facade.errors import BadRequest, Conflict, NotFound
from fhir_facade.flows.launch.tokens import revoke_grants
from fhir_facade.ports import Ports, StateTransaction
from fhir_facade.rows import Append, Remove
from fhir_facade.rows.accounts import Account, Session
from fhir_facade.rows.audit import AuditLine

ROLES: Final = ("patient", "practitioner", "admin")
SHORTEST_PASSWORD: Final = 8
LONGEST_PASSWORD: Final = 128
_USERNAME: Final = re.compile(r"[^\s\x00-\x1f\x7f]{1,100}")
_FHIR_ID: Final = re.compile(r"[A-Za-z0-9\-.]{1,64}")
_HASHER: Final = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
"""OWASP's first recommendation for argon2id: 19 MiB, two passes."""


@dataclass(frozen=True, slots=True)
class NewAccount:
    """An account as asked for. A patient names `patient_id`, a practitioner `practitioner_id`, an admin neither."""

    username: str
    role: str
    password: str
    patient_id: str | None = None
    practitioner_id: str | None = None
    zone: str = "UTC"


async def add_account(ports: Ports, new: NewAccount) -> Account:
    """Make an account. BadRequest for a bad name, role, id, zone or password; Conflict when the name is taken."""
    _check(new)
    row = Account(
        id=ports.ids.new(),
        username=new.username,
        username_key=new.username.casefold(),
        role=new.role,
        password_hash=await hash_password(new.password),
        created_at=ports.clock.now(),
        patient_id=new.patient_id,
        practitioner_id=new.practitioner_id,
        zone=new.zone,
    )

    def add(tx: StateTransaction) -> None:
        if tx.count(Account, ("username_key", "=", row.username_key)):
            raise Conflict(f"There is an account {new.username} already; choose another name.")
        tx.apply(Append(row), Append(_audit(row, row.created_at, "account added")))

    await ports.state.write(add)
    return row


async def list_accounts(ports: Ports) -> Sequence[Account]:
    """All accounts, disabled ones included, by name."""
    return await ports.state.read(lambda tx: tx.find(Account, order=("username_key",)))


async def disable_account(ports: Ports, username: str) -> Account:
    """No sign-in from now on; sessions, grants and tokens end with it. NotFound."""
    now = ports.clock.now()

    def disable(tx: StateTransaction) -> Account:
        rows = tx.change(Account, [("username_key", "=", username.casefold())], disabled=True)
        if not rows:
            raise NotFound(f"There is no account {username}.")
        account = rows[0]
        sessions = tx.find(Session, ("account_id", "=", account.id))
        tx.apply(*(Remove(Session, (session.hash,)) for session in sessions))
        revoke_grants(tx, now, "account disabled", ("account_id", "=", account.id))
        tx.apply(Append(_audit(account, now, "account disabled")))
        return account

    return await ports.state.write(disable)


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
    """BadRequest unless the password is long enough and not the user name. No rules of composition."""
    if not SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD:
        raise BadRequest(f"A password has {SHORTEST_PASSWORD} to {LONGEST_PASSWORD} characters.")
    if password.casefold() == username.casefold():
        raise BadRequest("The password is not the user name.")
    if not _encodable(password):
        raise BadRequest("The password holds characters that cannot be stored.")


def _check(new: NewAccount) -> None:
    if new.role not in ROLES:
        raise BadRequest(f"The role of an account is one of {', '.join(ROLES)}.")
    if not _USERNAME.fullmatch(new.username) or not _encodable(new.username):
        raise BadRequest("A user name has 1 to 100 characters without spaces.")
    _check_person(new)
    check_password(new.username, new.password)
    try:
        ZoneInfo(new.zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise BadRequest(f"{new.zone} is not an IANA time zone such as Europe/Berlin.") from None


def _check_person(new: NewAccount) -> None:
    expected = {"patient": (True, False), "practitioner": (False, True), "admin": (False, False)}[new.role]
    if (new.patient_id is not None, new.practitioner_id is not None) != expected:
        raise BadRequest(
            "A patient account names its Patient id, a practitioner its Practitioner id, an admin neither."
        )
    person = new.patient_id or new.practitioner_id
    if person is not None and not _FHIR_ID.fullmatch(person):
        raise BadRequest("The id of a Patient or Practitioner has 1 to 64 letters, digits, hyphens and dots.")


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


def _audit(account: Account, at: datetime, detail: str) -> AuditLine:
    return AuditLine(at=at, action="admin", outcome="success", actor="operator", user=account.id, detail=detail)
