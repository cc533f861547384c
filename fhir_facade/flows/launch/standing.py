"""What a token is worth now, and how its holder gives it back.

https://hl7.org/fhir/smart-app-launch/STU2.2/token-introspection.html, https://www.rfc-editor.org/rfc/rfc7009
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, Final

from authlib.oauth2.rfc6749 import InvalidClientError
from authlib.oauth2.rfc7009 import RevocationEndpoint
from authlib.oauth2.rfc7662 import IntrospectionEndpoint

from fhir_facade.access.scopes import parse_scopes
from fhir_facade.flows.launch.context import launch_context
from fhir_facade.flows.launch.identity import fhir_user
from fhir_facade.flows.launch.opaque import digest
from fhir_facade.flows.launch.registered import RegisteredClient
from fhir_facade.flows.launch.request import Bearer, LaunchRequest
from fhir_facade.flows.launch.server import LaunchServer
from fhir_facade.flows.launch.tokens import find_refresh_token, live, revoke_grants
from fhir_facade.ports import StateTransaction
from fhir_facade.rows.accounts import Account
from fhir_facade.rows.oauth import AccessToken, Client, Grant, RefreshToken
from fhir_facade.values import Json

CONFIDENTIAL: Final = ["client_secret_basic", "client_secret_post", "private_key_jwt"]


@dataclass(frozen=True, slots=True)
class HeldToken:
    """An access or refresh token with its grant and whether it works now."""

    row: AccessToken | RefreshToken
    grant: Grant
    works: bool

    def check_client(self, client: RegisteredClient) -> bool:
        return self.grant.client_id == client.row.id

    def is_expired(self) -> bool:
        return not self.works

    def is_revoked(self) -> bool:
        return not self.works


@dataclass(frozen=True, slots=True)
class TokenBearer:
    """Someone who asks with an access token instead of client credentials."""

    token: HeldToken


class Introspection(IntrospectionEndpoint):
    """A client may ask about its own tokens; the bearer of a token about that one, of a system token about all."""

    CLIENT_AUTH_METHODS: ClassVar[list[str]] = CONFIDENTIAL
    server: LaunchServer

    def authenticate_endpoint_client(self, request: LaunchRequest) -> RegisteredClient | TokenBearer:
        if not isinstance(request.header, Bearer):
            client: RegisteredClient = super().authenticate_endpoint_client(request)
            return client
        held = find_token(self.server.tx, request.header.token, self.server.moment.now)
        if held is None or not held.works or not isinstance(held.row, AccessToken):
            raise InvalidClientError("The bearer token is not valid.", status_code=401)
        return TokenBearer(held)

    def query_token(self, token_string: str, token_type_hint: str | None) -> HeldToken | None:
        return find_token(self.server.tx, token_string, self.server.moment.now)

    def check_permission(
        self, token: HeldToken, client: RegisteredClient | TokenBearer, request: LaunchRequest
    ) -> bool:
        if isinstance(client, RegisteredClient):
            return token.check_client(client)
        contexts = {scope.context for scope in parse_scopes(_scope(client.token)).fhir}
        return "system" in contexts or client.token.row.hash == token.row.hash

    def introspect_token(self, token: HeldToken) -> dict[str, Json]:
        grant = token.grant
        account = self.server.tx.get(Account, grant.account_id) if grant.account_id else None
        facts = {
            "active": True,
            "scope": _scope(token),
            "client_id": grant.client_id,
            "exp": int(token.row.expires_at.timestamp()),
            "iat": int(token.row.issued_at.timestamp()),
            "token_type": "Bearer" if isinstance(token.row, AccessToken) else None,
            "iss": self.server.moment.issuer.name,
            "sub": account.id if account else grant.client_id,
            **launch_context(self.server.moment.issuer, grant),
        }
        reference = fhir_user(account) if account and "fhirUser" in grant.scope.split() else None
        if reference is not None:
            facts["fhirUser"] = f"{self.server.moment.issuer.fhir}/{reference}"
        return {name: value for name, value in facts.items() if value is not None}


class Revocation(RevocationEndpoint):
    """Giving back one token ends its whole grant: a refresh token must not outlive what it was given for."""

    CLIENT_AUTH_METHODS: ClassVar[list[str]] = ["none", *CONFIDENTIAL]
    server: LaunchServer

    def query_token(self, token_string: str, token_type_hint: str | None) -> HeldToken | None:
        return find_token(self.server.tx, token_string, self.server.moment.now)

    def revoke_token(self, token: HeldToken, request: LaunchRequest) -> None:
        now, which = self.server.moment.now, ("id", "=", token.grant.id)
        self.server.ended.extend(revoke_grants(self.server.tx, now, "revoked by the app", which))


def find_token(tx: StateTransaction, text: str, now: datetime) -> HeldToken | None:
    """The token behind a text, whatever its kind, or None."""
    row = tx.get(AccessToken, digest(text)) or find_refresh_token(tx, text, now)
    grant = tx.get(Grant, row.grant_id) if row else None
    if row is None or grant is None:
        return None
    spent = row.revoked_at if isinstance(row, AccessToken) else row.used_at
    return HeldToken(row, grant, spent is None and row.expires_at > now and live(grant, now) and _active(tx, grant))


def withdrawn(tx: StateTransaction, grant_id: str) -> bool:
    """Whether what was allowed was taken back, or is no more: its account or its app is disabled or gone. That it ran
    out by itself is no withdrawal."""
    grant = tx.get(Grant, grant_id)
    return grant is None or grant.revoked_at is not None or not _active(tx, grant)


def _active(tx: StateTransaction, grant: Grant) -> bool:
    """Of an account that was erased, or a client that is gone, nothing is left to stand for."""
    account = tx.get(Account, grant.account_id) if grant.account_id else None
    client = tx.get(Client, grant.client_id) if grant.client_id else None
    lost = (grant.account_id and account is None) or (grant.client_id and client is None)
    return not lost and not (account is not None and account.disabled) and not (client is not None and client.disabled)


def _scope(token: HeldToken) -> str:
    return token.row.scope if isinstance(token.row, AccessToken) else token.grant.scope
