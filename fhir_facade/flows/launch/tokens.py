"""Rows behind tokens: made together, ended together.

https://www.rfc-editor.org/rfc/rfc6749#section-1.5, https://www.rfc-editor.org/rfc/rfc9700#section-4.14
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec

from fhir_facade.access.scopes import parse_scopes
from fhir_facade.errors import BadRequest
from fhir_facade.fhir.references import ID
from fhir_facade.flows.launch.issuer import GRANT_LIFETIME, REFRESH_IDLE, SESSION_IDLE
from fhir_facade.flows.launch.opaque import ACCESS, REFRESH, digest
from fhir_facade.ports import Ids, Ports, StateTransaction
from fhir_facade.rows import Append
from fhir_facade.rows.accounts import Account, Session
from fhir_facade.rows.audit import AuditLine
from fhir_facade.rows.oauth import AccessToken, Grant, RefreshToken

_FAMILY: Final = "family:"
"""Before the hash, and instead of a client, in the row of a family: no token has such a hash, so nobody can use it."""
LONGEST_MINTED: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Minted:
    """A new access token with its row; the text exists nowhere else."""

    text: str
    row: AccessToken


def new_access_token(
    tx: StateTransaction, ids: Ids, grant: Grant, scope: str, now: datetime, lifetime: timedelta
) -> Minted:
    """An access token of the grant, at most as long-lived as the grant itself."""
    text = ACCESS + ids.secret()
    row = AccessToken(
        hash=digest(text),
        id=ids.new(),
        grant_id=grant.id,
        scope=scope,
        issued_at=now,
        expires_at=min(now + lifetime, grant.expires_at),
    )
    tx.apply(Append(row))
    return Minted(text, row)


def new_refresh_token(
    tx: StateTransaction, ids: Ids, grant: Grant, client_id: str, now: datetime, *, after: str | None = None
) -> str:
    """A refresh token of the grant: dies of idleness, or with the grant. `after` is the one that it follows, whose
    family it carries in its text: one row of the family knows every token that ever was one, without rows of theirs."""
    family = _family_of(after) if after is not None else None
    if family is None:
        family = ids.secret()
        key, end = _FAMILY + digest(family), grant.expires_at
        tx.apply(Append(RefreshToken(hash=key, grant_id=grant.id, client_id=_FAMILY, issued_at=now, expires_at=end)))
    text, end = f"{REFRESH}{family}.{ids.secret()}", min(now + REFRESH_IDLE, grant.expires_at)
    row = RefreshToken(hash=digest(text), grant_id=grant.id, client_id=client_id, issued_at=now, expires_at=end)
    tx.apply(Append(row))
    return text


def find_refresh_token(tx: StateTransaction, text: str, now: datetime) -> RefreshToken | None:
    """The row of a refresh token; for one that was spent and swept away, a spent one made of what its family knows. Of
    a family that nobody can renew there is nothing to tell: its last token may have waited too long."""
    row = tx.get(RefreshToken, digest(text))
    family = None if row is not None else _family_of(text)
    known = None if family is None else tx.get(RefreshToken, _FAMILY + digest(family))
    grant = None if known is None else tx.get(Grant, known.grant_id)
    if known is None or grant is None or grant.client_id is None or not _has_unused(tx, grant, now):
        return row
    return msgspec.structs.replace(known, client_id=grant.client_id, used_at=known.used_at or known.issued_at)


def renewable(tx: StateTransaction, grant: Grant, now: datetime) -> bool:
    """Whether the grant has a refresh token that was not used yet, and what it depends on is there."""
    return _has_unused(tx, grant, now) and lasts(tx, grant, now)


def _has_unused(tx: StateTransaction, grant: Grant, now: datetime) -> bool:
    of_a_client = [("grant_id", "=", grant.id), ("client_id", "!=", _FAMILY)]
    return bool(tx.count(RefreshToken, *of_a_client, ("used_at", "=", None), ("expires_at", ">", now)))


def _family_of(text: str) -> str | None:
    family, dot, _ = text.removeprefix(REFRESH).partition(".")
    return family if dot and text.startswith(REFRESH) else None


def live(grant: Grant | None, now: datetime) -> bool:
    """Whether a grant may still give and carry tokens."""
    return grant is not None and grant.revoked_at is None and grant.expires_at > now


def still_online(tx: StateTransaction, session: str, now: datetime) -> bool:
    """Whether a session (its hash) still lives. An app that renews its access is a sign of the person being there."""
    return bool(tx.change(Session, _living(session, now), seen_at=now))


def lasts(tx: StateTransaction, grant: Grant, now: datetime) -> bool:
    """Whether what a grant depends on is still there: nothing, or a session. Looking is no sign of life."""
    return grant.session is None or bool(tx.count(Session, *_living(grant.session, now)))


def _living(session: str, now: datetime) -> list[tuple[str, str, Any]]:
    return [("hash", "=", session), ("expires_at", ">", now), ("seen_at", ">", now - SESSION_IDLE)]


def revoke_grants(tx: StateTransaction, now: datetime, because: str, *which: tuple[str, str, Any]) -> list[Grant]:
    """End the live grants that satisfy `which`, with every access token and refresh token that came of them."""
    ended = tx.change(Grant, [*which, ("revoked_at", "=", None)], revoked_at=now, revoked_because=because)
    for grant in ended:
        tx.change(AccessToken, [("grant_id", "=", grant.id), ("revoked_at", "=", None)], revoked_at=now)
        tx.change(RefreshToken, [("grant_id", "=", grant.id), ("used_at", "=", None)], used_at=now)
    return ended


async def mint_token(
    ports: Ports, *, scope: str, patient: str | None = None, username: str | None = None, minutes: int = 60
) -> str:
    """An access token for trying things, as the command line prints it. The patient is not looked up.

    With a user it dies when the account is disabled. BadRequest for a scope that cannot be meant this way.
    """
    scopes = parse_scopes(scope)
    if scopes.refused or not scopes.fhir:
        raise BadRequest(f"Not a usable SMART scope: {', '.join(scopes.refused) or 'none given'}.")
    if not timedelta(0) < timedelta(minutes=minutes) <= LONGEST_MINTED:
        raise BadRequest("A token lives between 1 and 1440 minutes.")
    if patient is not None and not ID.fullmatch(patient):
        raise BadRequest(f"{patient} is no id of a Patient: 1 to 64 letters, digits, hyphens and dots, without a type.")
    now = ports.clock.now()

    def mint(tx: StateTransaction) -> str:
        account = _account(tx, username)
        _check_person(account, patient, {one.context for one in scopes.fhir})
        grant = Grant(
            id=ports.ids.new(),
            scope=scope,
            created_at=now,
            expires_at=now + timedelta(minutes=minutes),
            account_id=account.id if account else None,
            patient=patient or (account.patient_id if account else None),
        )
        tx.apply(Append(grant))
        minted = new_access_token(tx, ports.ids, grant, scope, now, GRANT_LIFETIME)
        tx.apply(Append(_audit(minted, grant, now)))
        return minted.text

    return await ports.state.write(mint)


def _account(tx: StateTransaction, username: str | None) -> Account | None:
    if username is None:
        return None
    found = tx.find(Account, ("username_key", "=", username.casefold()), ("disabled", "=", False))
    if not found:
        raise BadRequest(f"There is no active account {username}.")
    return found[0]


def _check_person(account: Account | None, patient: str | None, contexts: set[str]) -> None:
    if account is not None and "system" in contexts:
        raise BadRequest("system/ scopes belong to no person: leave the user out, or ask for user/ scopes.")
    if account is None and patient is None and contexts != {"system"}:
        raise BadRequest("patient/ scopes need a patient, user/ scopes a user (or a patient).")
    if account is not None and account.patient_id and patient not in (None, account.patient_id):
        raise BadRequest("This account is another patient's own.")


def _audit(minted: Minted, grant: Grant, now: datetime) -> AuditLine:
    return AuditLine(
        at=now,
        action="token",
        outcome="success",
        actor="operator",
        user=grant.account_id,
        token=minted.row.id,
        patient=grant.patient,
        detail="minted on the command line",
    )
