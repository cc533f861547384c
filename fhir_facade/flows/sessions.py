"""Signing in with a password and staying signed in: slowed guesses, hashed and rotated session secrets.

https://github.com/OWASP/ASVS/blob/v5.0.0/5.0/en/0x16-V7-Session-Management.md
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from fhir_facade.errors import TooManyRequests, Unauthenticated
from fhir_facade.flows.accounts import LONGEST_PASSWORD, hash_password, needs_rehash, password_fits
from fhir_facade.flows.launch.issuer import SESSION_IDLE
from fhir_facade.flows.launch.opaque import digest
from fhir_facade.flows.launch.sign_in import Caller
from fhir_facade.flows.launch.tokens import revoke_grants
from fhir_facade.flows.launch.verify import principal_of_account
from fhir_facade.flows.mail import notices
from fhir_facade.flows.sign_ins import SIGNED_OUT, Device, end_sessions, logout_line, remember_device
from fhir_facade.flows.slowing import Slowdown, counted
from fhir_facade.interactions.audit_refusals import record_refusal, source_of
from fhir_facade.ports import Ports, StateTransaction
from fhir_facade.rows import Append, Put, Remove
from fhir_facade.rows.accounts import Account, KnownDevice, LoginThrottle, Session
from fhir_facade.rows.audit import AuditLine
from fhir_facade.rows.oauth import Grant, OpenAuthorization
from fhir_facade.values import Principal

IDLE: Final = SESSION_IDLE
ABSOLUTE: Final = timedelta(hours=12)
TOUCH: Final = timedelta(minutes=1)
"""How often a session that is in use is written."""

_ACCOUNT: Final = "account:"
_DEVICE: Final = "device:"
PER_ACCOUNT: Final = Slowdown(free=5)
PER_ADDRESS: Final = Slowdown(free=50, forgives=timedelta(minutes=5))
"""Many people may sit behind one address: their mistakes must not add up over days."""


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A session with its account."""

    session: Session
    account: Account


async def sign_in_with_password(
    ports: Ports,
    *,
    username: str,
    password: str,
    old_cookie: str | None,
    caller: Caller,
    device: Device | None = None,
) -> str:
    """Check a password and start a session; returns the new cookie value.

    Unauthenticated: the same for an unknown name, a wrong password and a disabled account. TooManyRequests: not even
    looked at. The attempt is counted before the password is checked, so parallel guesses gain nothing.
    """
    subjects = await _subjects_on(ports, device, username, caller)
    account = await _admitted(ports, username.casefold(), subjects, caller)
    if len(password) > LONGEST_PASSWORD or not await password_fits(account, password):
        await record_refusal(ports, _audit(ports.clock.now(), "refused", account, caller, "wrong name or password"))
        raise Unauthenticated("The user name or the password is wrong.")
    assert account is not None
    fresh_hash = await hash_password(password) if needs_rehash(account) else None
    cookie = ports.ids.secret()
    now = ports.clock.now()

    def start(tx: StateTransaction) -> None:
        _forgive(tx, subjects)
        if fresh_hash is not None:
            tx.change(Account, [("id", "=", account.id)], password_hash=fresh_hash)
        key, new = (None, False) if device is None else remember_device(tx, account, device, caller.address, now)
        session = Session(
            hash=digest(cookie),
            account_id=account.id,
            created_at=now,
            seen_at=now,
            expires_at=now + ABSOLUTE,
            address=caller.address,
            id=ports.ids.new(),
            device=key,
        )
        _replace_session(tx, old_cookie, session)
        tx.apply(Append(_audit(now, "success", account, caller, "new device" if new else None)))
        if new:
            tx.apply(*notices(ports, account, "new-device"))

    await ports.state.write(start)
    return cookie


async def load_session(ports: Ports, cookie: str | None, *, touch: bool = True) -> SignedIn | None:
    """The live session of a cookie; None when there is none, it idled too long, ended, or the account is disabled.

    Without `touch` looking at it does not keep it from idling.
    """
    if not cookie:
        return None
    now, key = ports.clock.now(), digest(cookie)
    signed_in = await ports.state.read(lambda tx: _load(tx, key, now))
    if touch and signed_in is not None and now - signed_in.session.seen_at > TOUCH:
        await ports.state.write(lambda tx: tx.change(Session, [("hash", "=", key)], seen_at=now))
    return signed_in


async def end_session(ports: Ports, cookie: str | None, caller: Caller) -> None:
    """Sign out: the cookie is worth nothing from now on."""
    if not cookie:
        return
    now, key = ports.clock.now(), digest(cookie)

    def end(tx: StateTransaction) -> None:
        session = tx.get(Session, key)
        if session is None:
            return
        end_sessions(tx, now, [session])
        tx.apply(Append(logout_line(now, session.account_id, caller)))

    await ports.state.write(end)


async def principal_of_session(ports: Ports, cookie: str | None, *, touch: bool = True) -> Principal | None:
    """Who is signed in with this cookie, as `/api/v1` and the portal ask it."""
    signed_in = await load_session(ports, cookie, touch=touch)
    if signed_in is None:
        return None
    return principal_of_account(signed_in.account, expires_at=signed_in.session.expires_at)


async def admit_guess(ports: Ports, username: str, caller: Caller) -> None:
    """Count a guess of a password, wherever it is asked for. TooManyRequests: not even looked at."""
    await _admitted(ports, username.casefold(), _subjects(username, caller), caller)


async def forgive_guesses(ports: Ports, username: str, caller: Caller) -> None:
    """The password was right."""
    subjects = _subjects(username, caller)
    await ports.state.write(lambda tx: _forgive(tx, subjects))


def forget_guesses(tx: StateTransaction, username: str) -> None:
    """Guesses of a password that is no more hold nobody up."""
    tx.apply(Remove(LoginThrottle, (_account_subject(username),)))


async def _admitted(ports: Ports, key: str, subjects: dict[str, Slowdown], caller: Caller) -> Account | None:
    now = ports.clock.now()
    try:
        return await ports.state.write(lambda tx: _admit(tx, now, key, subjects))
    except TooManyRequests:
        await record_refusal(ports, _audit(now, "refused", None, caller, "slowed down"))
        raise


def _subjects(username: str, caller: Caller) -> dict[str, Slowdown]:
    """What is slowed down. Long names are hashed: a row's key stays short."""
    subjects = {_account_subject(username): PER_ACCOUNT}
    if caller.address is not None:
        subjects[f"address:{source_of(caller.address)}"] = PER_ADDRESS
    return subjects


async def _subjects_on(ports: Ports, device: Device | None, username: str, caller: Caller) -> dict[str, Slowdown]:
    """On a device that this account signed in with before guesses are counted apart: those of others elsewhere do not
    keep the owner out."""
    subjects = _subjects(username, caller)
    if device is None:
        return subjects
    key, name = digest(device.secret), username.casefold()

    def known(tx: StateTransaction) -> bool:
        accounts = tx.find(Account, ("username_key", "=", name))
        return bool(accounts) and tx.get(KnownDevice, accounts[0].id, key) is not None

    if not await ports.state.read(known):
        return subjects
    del subjects[_account_subject(username)]
    return {_DEVICE + digest(f"{name}|{key}"): PER_ACCOUNT} | subjects


def _account_subject(username: str) -> str:
    return _ACCOUNT + digest(username.casefold())


def _admit(tx: StateTransaction, now: datetime, key: str, subjects: dict[str, Slowdown]) -> Account | None:
    """Count the attempt, and fetch the account. TooManyRequests while one of the subjects has to wait."""
    known = {row.subject: row for row in tx.find(LoginThrottle, ("subject", "in", tuple(subjects)))}
    blocked = max((row.blocked_until for row in known.values()), default=now)
    if blocked > now:
        seconds = int((blocked - now).total_seconds()) + 1
        raise TooManyRequests(f"Too many attempts. Try again in {seconds} seconds.", retry_after_s=seconds)
    tx.apply(*(Put(counted(subject, slow, known.get(subject), now)) for subject, slow in subjects.items()))
    rows = tx.find(Account, ("username_key", "=", key))
    return rows[0] if rows else None


def _forgive(tx: StateTransaction, subjects: dict[str, Slowdown]) -> None:
    """A right password clears the account, or the device; the address only gets this attempt back: others may guess
    from there."""
    for row in tx.find(LoginThrottle, ("subject", "in", tuple(subjects))):
        if row.subject.startswith((_ACCOUNT, _DEVICE)):
            tx.apply(Remove(LoginThrottle, (row.subject,)))
        else:
            tx.change(
                LoginThrottle, [("subject", "=", row.subject)], failures=row.failures - 1, blocked_until=row.last_at
            )


def _replace_session(tx: StateTransaction, old_cookie: str | None, session: Session) -> None:
    """A new secret at every sign-in; what the browser was about to authorize goes on with it, and so does what apps may
    do for the same person as long as the session lasts."""
    tx.apply(Append(session))
    if not old_cookie:
        return
    old = digest(old_cookie)
    tx.apply(Remove(Session, (old,)))
    tx.change(OpenAuthorization, [("browser", "=", old)], browser=session.hash)
    mine = [("session", "=", old), ("account_id", "=", session.account_id)]
    tx.change(Grant, mine, session=session.hash)
    revoke_grants(tx, session.created_at, SIGNED_OUT, ("session", "=", old))


def _load(tx: StateTransaction, key: str, now: datetime) -> SignedIn | None:
    session = tx.get(Session, key)
    if session is None or session.expires_at <= now or session.seen_at + IDLE <= now:
        return None
    account = tx.get(Account, session.account_id)
    return None if account is None or account.disabled else SignedIn(session, account)


def _audit(at: datetime, outcome: str, account: Account | None, caller: Caller, detail: str | None) -> AuditLine:
    return AuditLine(
        at=at,
        action="login",
        outcome=outcome,
        actor="person",
        user=account.id if account else None,
        detail=detail,
        address=caller.address,
        request_id=caller.request_id,
    )
