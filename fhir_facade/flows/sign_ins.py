"""Where a person is signed in, from which devices, and how to end that.

https://github.com/OWASP/ASVS/blob/v5.0.0/5.0/en/0x16-V7-Session-Management.md (7.4, 7.5)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from fhir_facade.errors import NotFound
from fhir_facade.flows.launch.opaque import digest
from fhir_facade.flows.launch.sign_in import Caller
from fhir_facade.flows.launch.tokens import revoke_grants
from fhir_facade.ports import Ports, StateTransaction
from fhir_facade.rows import Append, Put, Remove
from fhir_facade.rows.accounts import Account, KnownDevice, Session
from fhir_facade.rows.audit import AuditLine

FORGOTTEN: Final = timedelta(days=365)
"""A device that was not used for so long is a new one again."""

SIGNED_OUT: Final = "signed out"


@dataclass(frozen=True, slots=True)
class Device:
    """The browser somebody signs in with: the secret of its lasting cookie, and what it says it is."""

    secret: str
    name: str


@dataclass(frozen=True, slots=True)
class SignInView:
    """One session as its owner sees it. `current`: the one who looks."""

    id: str
    device: str
    address: str | None
    since: datetime
    seen: datetime
    current: bool


@dataclass(frozen=True, slots=True)
class Ended:
    """How many sessions of a person, and how many permissions of apps."""

    sessions: int
    permissions: int


def remember_device(
    tx: StateTransaction, account: Account, device: Device, address: str | None, now: datetime
) -> tuple[str, bool]:
    """The key of the device, and whether this account sees it for the first time although it has others: then its owner
    is told so on every other device."""
    key = digest(device.secret)
    known = tx.get(KnownDevice, account.id, key)
    if known is not None:
        tx.change(KnownDevice, [("account_id", "=", account.id), ("hash", "=", key)], last_at=now, address=address)
        return key, False
    first = tx.count(KnownDevice, ("account_id", "=", account.id)) == 0
    row = KnownDevice(
        account_id=account.id,
        hash=key,
        name=device.name,
        first_at=now,
        last_at=now,
        address=address,
        announced=first,
    )
    tx.apply(Put(row))
    return key, not first


def end_sessions(tx: StateTransaction, now: datetime, sessions: Sequence[Session]) -> int:
    """Remove sessions, and what apps may do only as long as they last; how many permissions that were."""
    ended = 0
    for session in sessions:
        tx.apply(Remove(Session, (session.hash,)))
        ended += len(revoke_grants(tx, now, SIGNED_OUT, ("session", "=", session.hash)))
    return ended


async def sign_ins(ports: Ports, account: Account, current: str) -> Sequence[SignInView]:
    """The live sessions of an account, the newest first; `current` is the hash of the one who looks."""
    now = ports.clock.now()

    def look(tx: StateTransaction) -> list[SignInView]:
        names = {row.hash: row.name for row in tx.find(KnownDevice, ("account_id", "=", account.id))}
        rows = tx.find(Session, ("account_id", "=", account.id), ("expires_at", ">", now), order=("-created_at",))
        return [
            SignInView(
                row.id, names.get(row.device or "", ""), row.address, row.created_at, row.seen_at, row.hash == current
            )
            for row in rows
        ]

    return await ports.state.read(look)


async def end_sign_in(ports: Ports, account: Account, session_id: str, caller: Caller) -> None:
    """Sign one session of this account out. NotFound for one that is over, or somebody else's."""
    await _end(ports, account, caller, [("id", "=", session_id)])


async def end_other_sign_ins(ports: Ports, account: Account, current: str, caller: Caller) -> None:
    """Sign all sessions out but the one with this hash. NotFound when there are none."""
    await _end(ports, account, caller, [("hash", "!=", current)])


async def end_sign_ins_of(ports: Ports, account: Account, *, actor: str, keep_apps: bool = False) -> Ended:
    """Sign somebody out everywhere. What apps were allowed ends too; with `keep_apps` only what was to last as long as
    a session."""
    now = ports.clock.now()

    def end(tx: StateTransaction) -> Ended:
        of_account = ("account_id", "=", account.id)
        sessions = tx.find(Session, of_account)
        apps = [] if keep_apps else revoke_grants(tx, now, SIGNED_OUT, of_account)
        bound = end_sessions(tx, now, sessions)
        ended = Ended(len(sessions), len(apps) + bound)
        detail = f"signed out: {ended.sessions} sessions, {ended.permissions} permissions of apps ended"
        line = AuditLine(at=now, action="admin", outcome="success", actor=actor, user=account.id, detail=detail)
        tx.apply(Append(line))
        return ended

    return await ports.state.write(end)


async def history_of(ports: Ports, account: Account, *, most: int = 20) -> Sequence[AuditLine]:
    """The last times somebody signed in to an account, tried to, or signed out; the newest first."""
    where = (("user", "=", account.id), ("action", "in", ("login", "logout")))
    return await ports.state.read(lambda tx: tx.find(AuditLine, *where, order=("-at", "-id"), limit=most))


async def devices_of(ports: Ports, account: Account) -> Sequence[KnownDevice]:
    """The browsers this account signed in with, the last used first."""
    return await ports.state.read(lambda tx: tx.find(KnownDevice, ("account_id", "=", account.id), order=("-last_at",)))


async def forget_device(ports: Ports, account: Account, key: str) -> None:
    """It is announced again when it comes back, and what is signed in there is signed out. NotFound."""
    now = ports.clock.now()

    def forget(tx: StateTransaction) -> None:
        if tx.get(KnownDevice, account.id, key) is None:
            raise NotFound("This device is not known.")
        end_sessions(tx, now, tx.find(Session, ("account_id", "=", account.id), ("device", "=", key)))
        tx.apply(Remove(KnownDevice, (account.id, key)))

    await ports.state.write(forget)


async def new_devices(ports: Ports, account: Account, current: Session) -> Sequence[KnownDevice]:
    """Devices that signed in for the first time, as far as this person has not said that they know. A device does not
    announce itself, nor does one that is as new."""

    def look(tx: StateTransaction) -> list[KnownDevice]:
        rows = tx.find(KnownDevice, ("account_id", "=", account.id), ("announced", "=", False), order=("first_at",))
        return [] if current.device in {row.hash for row in rows} else rows

    return await ports.state.read(look)


async def acknowledge_devices(ports: Ports, account: Account, current: Session) -> None:
    """The person knows the new devices: they are not announced again."""
    keys = tuple(row.hash for row in await new_devices(ports, account, current))
    if keys:
        where = [("account_id", "=", account.id), ("hash", "in", keys)]
        await ports.state.write(lambda tx: tx.change(KnownDevice, where, announced=True))


async def _end(ports: Ports, account: Account, caller: Caller, which: list[tuple[str, str, str]]) -> None:
    now = ports.clock.now()

    def end(tx: StateTransaction) -> None:
        sessions = tx.find(Session, ("account_id", "=", account.id), *which)
        if not sessions:
            raise NotFound("This sign-in is over already.")
        end_sessions(tx, now, sessions)
        tx.apply(Append(logout_line(now, account.id, caller, f"{len(sessions)} sessions")))

    await ports.state.write(end)


def logout_line(now: datetime, account_id: str, caller: Caller, detail: str | None = None) -> AuditLine:
    return AuditLine(
        at=now,
        action="logout",
        outcome="success",
        actor="person",
        user=account_id,
        detail=detail,
        address=caller.address,
        request_id=caller.request_id,
    )
