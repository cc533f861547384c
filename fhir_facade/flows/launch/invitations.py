"""Initial access tokens: an operator lets somebody register apps. https://www.rfc-editor.org/rfc/rfc7591#section-3"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from fhir_facade.access.scopes import parse_scopes
from fhir_facade.errors import BadRequest, NotFound
from fhir_facade.flows.launch.opaque import INITIAL, digest
from fhir_facade.ports import Ports, StateTransaction
from fhir_facade.rows import Append, Remove
from fhir_facade.rows.audit import AuditLine
from fhir_facade.rows.oauth import InitialAccessToken

DEFAULT_SCOPE: Final = "launch launch/patient openid fhirUser online_access patient/*.rs"
MOST_USES: Final = 1000
LONGEST_DAYS: Final = 365


async def invite(
    ports: Ports, *, name: str, scope: str = DEFAULT_SCOPE, uses: int = 1, days: int = 7, actor: str = "operator"
) -> str:
    """A token that registers `uses` apps within `days`, none of which may ask for more than `scope`. BadRequest."""
    scopes = parse_scopes(scope)
    if scopes.refused or not (scopes.fhir or scopes.launch):
        raise BadRequest(f"Not a usable SMART scope: {', '.join(scopes.refused) or 'none given'}.")
    if not 1 <= uses <= MOST_USES or not 1 <= days <= LONGEST_DAYS:
        raise BadRequest(f"A token registers 1 to {MOST_USES} apps, and lives 1 to {LONGEST_DAYS} days.")
    text, now = INITIAL + ports.ids.secret(), ports.clock.now()
    row = InitialAccessToken(
        hash=digest(text),
        id=ports.ids.new(),
        name=name,
        scope=" ".join(scope.split()),
        created_at=now,
        expires_at=now + timedelta(days=days),
        uses_left=uses,
    )
    line = AuditLine(at=now, action="admin", outcome="success", actor=actor, detail=f"may register apps: {row.id}")
    await ports.state.write(lambda tx: tx.apply(Append(row), Append(line)))
    return text


async def invitations(ports: Ports) -> Sequence[InitialAccessToken]:
    """Those that can still be used, by age."""
    live = (("expires_at", ">", ports.clock.now()), ("uses_left", ">", 0))
    return await ports.state.read(lambda tx: tx.find(InitialAccessToken, *live, order=("created_at",)))


async def withdraw_invitation(ports: Ports, token_id: str, *, actor: str = "operator") -> None:
    """No app is registered with it any more; those that were stay. NotFound."""
    line = AuditLine(
        at=ports.clock.now(),
        action="admin",
        outcome="success",
        actor=actor,
        detail=f"may not register: {token_id}",
    )

    def end(tx: StateTransaction) -> None:
        rows = tx.find(InitialAccessToken, ("id", "=", token_id))
        if not rows:
            raise NotFound(f"There is no token {token_id}.")
        tx.apply(Remove(InitialAccessToken, (rows[0].hash,)), Append(line))

    await ports.state.write(end)
