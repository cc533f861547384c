"""What a person allowed apps to do, and taking it back: the tokens of it end at once.

https://hl7.org/fhir/smart-app-launch/STU2.2/conformance.html (management_endpoint), https://www.rfc-editor.org/rfc/rfc7009
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from fhir_facade.access.scopes import ScopeSet, parse_scopes
from fhir_facade.errors import NotFound
from fhir_facade.flows.launch.sign_in import Caller
from fhir_facade.flows.launch.tokens import live, renewable, revoke_grants
from fhir_facade.ports import Ports, StateTransaction
from fhir_facade.rows import Append
from fhir_facade.rows.accounts import Account
from fhir_facade.rows.audit import AuditLine
from fhir_facade.rows.oauth import AccessToken, Client, Grant

WITHDRAWN: Final = "withdrawn by the person"


@dataclass(frozen=True, slots=True)
class GrantView:
    """One consent as its owner sees it. `used`: when the app last asked for a token; `until`: when it ends anyway."""

    id: str
    client_id: str
    client_name: str
    verified: bool
    scopes: ScopeSet
    patient: str | None
    since: datetime
    used: datetime | None
    until: datetime


async def grants_of(ports: Ports, account: Account) -> Sequence[GrantView]:
    """The consents of a person that still let an app do something, the newest first."""
    now = ports.clock.now()

    def look(tx: StateTransaction) -> list[GrantView]:
        rows = tx.find(Grant, ("account_id", "=", account.id), ("revoked_at", "=", None), order=("-created_at",))
        return [view for row in rows if live(row, now) and (view := _view(tx, row, now)) is not None]

    return await ports.state.read(look)


async def withdraw(ports: Ports, account: Account, grant_id: str, caller: Caller) -> None:
    """End one consent of this person, with every token of it. NotFound for one that is over, or somebody else's."""
    now = ports.clock.now()

    def end(tx: StateTransaction) -> None:
        ended = revoke_grants(tx, now, WITHDRAWN, ("id", "=", grant_id), ("account_id", "=", account.id))
        if not ended:
            raise NotFound("This permission is over already.")
        tx.apply(Append(_audit(ended[0], now, caller)))

    await ports.state.write(end)


def _view(tx: StateTransaction, grant: Grant, now: datetime) -> GrantView | None:
    """None for a grant whose last token is over: it can do nothing any more."""
    access = tx.find(AccessToken, ("grant_id", "=", grant.id), order=("-issued_at",), limit=1)
    goes_on = renewable(tx, grant, now)
    if not goes_on and not (access and access[0].expires_at > now):
        return None
    client = tx.get(Client, grant.client_id) if grant.client_id else None
    return GrantView(
        id=grant.id,
        client_id=grant.client_id or "",
        client_name=client.name if client else "",
        verified=client.verified if client else True,
        scopes=parse_scopes(grant.scope),
        patient=grant.patient,
        since=grant.created_at,
        used=access[0].issued_at if access else None,
        until=grant.expires_at if goes_on else access[0].expires_at,
    )


def _audit(grant: Grant, now: datetime, caller: Caller) -> AuditLine:
    return AuditLine(
        at=now,
        action="consent",
        outcome="success",
        actor="person",
        user=grant.account_id,
        client=grant.client_id,
        patient=grant.patient,
        detail=WITHDRAWN,
        address=caller.address,
        request_id=caller.request_id,
    )
