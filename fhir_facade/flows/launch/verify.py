"""From a bearer token or a portal session to the principal who asks: the hot path of every call.

https://www.rfc-editor.org/rfc/rfc6750, https://hl7.org/fhir/smart-app-launch/STU2.2/scopes-and-launch-context.html
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from hashlib import sha256
from typing import Final, cast

from fhir_facade.access.scopes import parse_scopes
from fhir_facade.flows.launch.opaque import ACCESS
from fhir_facade.flows.launch.standing import find_token
from fhir_facade.ports import Ports, StateTransaction
from fhir_facade.rows.accounts import Account
from fhir_facade.rows.oauth import AccessToken, Grant
from fhir_facade.values import ClientId, PatientId, Principal, PrincipalKind, Scope

TRUST: Final = timedelta(seconds=1)
"""How long a verified token is believed without looking again: a revocation is effective everywhere after this."""
MOST_KEPT: Final = 10_000

PORTAL_SCOPES: Final = {
    "patient": (Scope("patient", "*", frozenset("cruds")),),
    "proxy": (Scope("user", "*", frozenset("cruds")),),
    "practitioner": (Scope("user", "*", frozenset("cruds")),),
    "staff": (Scope("user", "*", frozenset("cruds")),),
    "admin": (Scope("user", "*", frozenset("cruds")),),
}
"""A person on our own pages acts with all rights of the person; what these are is decided in `access`."""


async def verify_access_token(ports: Ports, token: str) -> Principal | None:
    """Who holds this token, or None: unknown, expired, revoked, or its account or client is disabled."""
    if not token.startswith(ACCESS):
        return None
    now = ports.clock.now()
    return await ports.state.read(lambda tx: _principal(tx, token, now))


@dataclass(frozen=True, slots=True)
class _Kept:
    principal: Principal
    until: datetime


class TokenCache:
    """`verify_access_token` with a memory of `TRUST` per process. Keys are hashes; refusals are not remembered."""

    def __init__(self, ports: Ports) -> None:
        self._ports = ports
        self._now = ports.clock.now
        self._kept: dict[bytes, _Kept] = {}

    async def verify(self, token: str) -> Principal | None:
        key = sha256(token.encode("utf-8", "surrogatepass")).digest()
        kept = self._kept.get(key)
        if kept is not None and kept.until > self._now():
            return kept.principal
        principal = await verify_access_token(self._ports, token)
        if principal is None:
            self._kept.pop(key, None)
        else:
            self._keep(key, principal)
        return principal

    def _keep(self, key: bytes, principal: Principal) -> None:
        if len(self._kept) >= MOST_KEPT:
            self._kept.clear()
        assert principal.expires_at is not None
        self._kept[key] = _Kept(principal, min(self._now() + TRUST, principal.expires_at))


def principal_of_account(account: Account, *, expires_at: datetime | None = None) -> Principal:
    """A signed-in person on our own pages."""
    return Principal(
        kind=cast("PrincipalKind", account.role),
        user=account.id,
        patient=PatientId(account.patient_id) if account.patient_id else None,
        practitioner=account.practitioner_id,
        scopes=PORTAL_SCOPES[account.role],
        name=account.username,
        expires_at=expires_at,
        related_person=account.related_person_id,
        organization=account.organization_id,
    )


def _principal(tx: StateTransaction, token: str, now: datetime) -> Principal | None:
    held = find_token(tx, token, now)
    if held is None or not held.works or not isinstance(held.row, AccessToken):
        return None
    grant, row = held.grant, held.row
    account = tx.get(Account, grant.account_id) if grant.account_id else None
    scopes = _scopes(row.scope)
    return Principal(
        kind=_kind(account, grant, scopes),
        user=account.id if account else None,
        client=ClientId(grant.client_id) if grant.client_id else None,
        patient=PatientId(grant.patient) if grant.patient else None,
        practitioner=account.practitioner_id if account else None,
        scopes=scopes,
        token=row.id,
        name=account.username if account else grant.client_id,
        expires_at=row.expires_at,
        related_person=account.related_person_id if account else None,
        organization=account.organization_id if account else None,
        grant=grant.id,
    )


@lru_cache(maxsize=1024)
def _scopes(text: str) -> tuple[Scope, ...]:
    """The same object for the same text: by it the rights that follow are known again (`access.rights`)."""
    return parse_scopes(text).fhir


def _kind(account: Account | None, grant: Grant, scopes: tuple[Scope, ...]) -> PrincipalKind:
    """A token of the command line without a user stands for its patient, unless it has system scopes."""
    if account is not None:
        return cast("PrincipalKind", account.role)
    system = any(scope.context == "system" for scope in scopes)
    return "patient" if grant.patient is not None and not system else "backend"
