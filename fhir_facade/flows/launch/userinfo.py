"""Who the bearer of an access token is. https://openid.net/specs/openid-connect-core-1_0.html#UserInfo"""

from __future__ import annotations

from datetime import datetime

from fhir_facade.flows.launch.identity import person_claims
from fhir_facade.flows.launch.request import Bearer, MalformedRequest, credentials
from fhir_facade.flows.launch.server import NO_STORE, Answer
from fhir_facade.flows.launch.sign_in import Caller, SignIn
from fhir_facade.flows.launch.standing import HeldToken, find_token
from fhir_facade.interactions.audit_refusals import refuse_app
from fhir_facade.ports import Ports, StateTransaction
from fhir_facade.rows.accounts import Account
from fhir_facade.rows.audit import AuditLine
from fhir_facade.rows.oauth import AccessToken


async def userinfo(sign_in: SignIn, authorization: str | None, caller: Caller) -> Answer:
    """`sub` and what the scopes of the token open; 401 without a good token, 403 without the scope openid."""
    try:
        header = credentials(authorization)
    except MalformedRequest:
        header = None
    if not isinstance(header, Bearer):
        return await _refused(sign_in, caller, 401, "")
    token, now = header.token, sign_in.ports.clock.now()
    held, account = await sign_in.ports.state.read(lambda tx: _look(tx, token, now))
    if held is None or not isinstance(held.row, AccessToken):
        return await _refused(sign_in, caller, 401, "invalid_token")
    if account is None or "openid" not in held.row.scope.split():
        return await _refused(sign_in, caller, 403, "insufficient_scope")
    line = AuditLine(
        at=now,
        action="token",
        outcome="success",
        actor="client",
        user=account.id,
        client=held.grant.client_id,
        token=held.row.id,
        detail="userinfo",
        address=caller.address,
        request_id=caller.request_id,
    )
    await sign_in.ports.state.append([line])
    return Answer(200, person_claims(account, held.row.scope, sign_in.issuer))


async def granted_words(ports: Ports, authorization: str) -> frozenset[str]:
    """The words of the scope that a bearer's token has by now; none of a token that does not work."""
    header = credentials(authorization)
    if not isinstance(header, Bearer):
        return frozenset()
    token, now = header.token, ports.clock.now()
    held, _ = await ports.state.read(lambda tx: _look(tx, token, now))
    return frozenset(held.row.scope.split() if held is not None and isinstance(held.row, AccessToken) else ())


def _look(tx: StateTransaction, token: str, now: datetime) -> tuple[HeldToken | None, Account | None]:
    held = find_token(tx, token, now)
    if held is None or not held.works:
        return None, None
    return held, tx.get(Account, held.grant.account_id) if held.grant.account_id else None


async def _refused(sign_in: SignIn, caller: Caller, status: int, error: str) -> Answer:
    detail = f"userinfo, {error or 'no token'}"
    await refuse_app(sign_in.ports, "token", detail, caller.address, caller.request_id)
    return _challenge(status, error)


def _challenge(status: int, error: str) -> Answer:
    """https://www.rfc-editor.org/rfc/rfc6750#section-3: without a token no error is named."""
    challenge = "Bearer" + (f' error="{error}"' if error else "")
    return Answer(status, {"error": error} if error else {}, (*NO_STORE, ("WWW-Authenticate", challenge)))
