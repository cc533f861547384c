"""The three grants: authorization code with PKCE, refresh with rotation, client credentials for backends.

https://www.rfc-editor.org/rfc/rfc9700#section-2.1.1, https://hl7.org/fhir/smart-app-launch/STU2.2/backend-services.html
"""

from __future__ import annotations

import re
from typing import ClassVar, Final

from authlib.oauth2.rfc6749 import (
    AuthorizationCodeGrant,
    ClientCredentialsGrant,
    InvalidGrantError,
    InvalidRequestError,
    InvalidScopeError,
    RefreshTokenGrant,
)
from authlib.oauth2.rfc7636 import CodeChallenge
from authlib.oidc.core.errors import InteractionRequiredError

from fhir_facade.access.scopes import covers, parse_scopes
from fhir_facade.flows.launch.context import kept_context
from fhir_facade.flows.launch.issuer import AUTH_METHODS, CODE_LIFETIME, GRANT_LIFETIME
from fhir_facade.flows.launch.launches import find_launch
from fhir_facade.flows.launch.opaque import CODE, digest
from fhir_facade.flows.launch.registered import RegisteredClient
from fhir_facade.flows.launch.request import LaunchRequest
from fhir_facade.flows.launch.server import Consent, HeldCode, HeldRefresh, LaunchServer
from fhir_facade.flows.launch.tokens import find_refresh_token, live, revoke_grants, still_online
from fhir_facade.rows import Append
from fhir_facade.rows.accounts import Account
from fhir_facade.rows.oauth import AuthorizationCode, Grant, RefreshToken

_CHALLENGE: Final = re.compile(r"[A-Za-z0-9_-]{43}")
REUSED_CODE: Final = "authorization code used twice"
REUSED_REFRESH: Final = "refresh token used twice"


class CodeGrant(AuthorizationCodeGrant):
    """A code is spent by its first presentation, right or wrong; a second one ends everything that came of it."""

    TOKEN_ENDPOINT_AUTH_METHODS: ClassVar[list[str]] = list(AUTH_METHODS)
    server: LaunchServer

    @staticmethod
    def validate_authorization_redirect_uri(request: LaunchRequest, client: RegisteredClient) -> str:
        uri: str | None = request.payload.redirect_uri
        if uri is None or not client.check_redirect_uri(uri):
            raise InvalidRequestError("The redirect URI is missing or not registered for this client.")
        return uri

    def generate_authorization_code(self) -> str:
        return CODE + self.server.moment.ids.secret()

    def save_authorization_code(self, code: str, request: LaunchRequest) -> None:
        consent: Consent = request.facts
        moment, client_id = self.server.moment, request.client.row.id
        grant = Grant(
            id=moment.ids.new(),
            scope=request.scope,
            created_at=moment.now,
            expires_at=moment.now + GRANT_LIFETIME,
            client_id=client_id,
            account_id=consent.account.id,
            patient=consent.patient,
            nonce=consent.nonce,
            signed_in_at=consent.session.created_at,
            session=consent.session.hash if _ends_with_session(request.scope) else None,
            **kept_context(consent.launch),
        )
        row = AuthorizationCode(
            hash=digest(code),
            grant_id=grant.id,
            client_id=client_id,
            redirect_uri=request.payload.redirect_uri,
            challenge=request.form["code_challenge"],
            expires_at=moment.now + CODE_LIFETIME,
        )
        self.server.tx.apply(Append(grant), Append(row))

    def query_authorization_code(self, code: str, client: RegisteredClient) -> HeldCode | None:
        tx, now, key = self.server.tx, self.server.moment.now, digest(code)
        spendable = [("hash", "=", key), ("client_id", "=", client.row.id), ("used_at", "=", None)]
        spent = tx.change(AuthorizationCode, [*spendable, ("expires_at", ">", now)], used_at=now)
        if not spent:
            self._end_if_reused(key)
            return None
        grant = tx.get(Grant, spent[0].grant_id)
        return HeldCode(spent[0], grant) if grant is not None and live(grant, now) else None

    def delete_authorization_code(self, authorization_code: HeldCode) -> None:
        """It was spent already; the row stays so that a second use is recognised."""

    def authenticate_user(self, authorization_code: HeldCode) -> Grant | None:
        return active_grant(self.server, authorization_code.grant)

    def _end_if_reused(self, key: str) -> None:
        tx = self.server.tx
        row = tx.get(AuthorizationCode, key)
        if row is not None and row.used_at is not None:
            ended = revoke_grants(tx, self.server.moment.now, REUSED_CODE, ("id", "=", row.grant_id))
            self.server.ended.extend(ended)


class RotatingRefresh(RefreshTokenGrant):
    """Each refresh token works once; presenting a spent one ends its family."""

    TOKEN_ENDPOINT_AUTH_METHODS: ClassVar[list[str]] = list(AUTH_METHODS)
    INCLUDE_NEW_REFRESH_TOKEN = True
    server: LaunchServer

    def authenticate_refresh_token(self, refresh_token: str) -> HeldRefresh | None:
        tx, now = self.server.tx, self.server.moment.now
        row = find_refresh_token(tx, refresh_token, now)
        if row is None or row.client_id != self.client.row.id:
            return None
        if row.used_at is not None:
            self._end_family(row)
            return None
        self.server.presented = refresh_token
        grant = tx.get(Grant, row.grant_id)
        return HeldRefresh(row, grant) if grant is not None and row.expires_at > now and live(grant, now) else None

    def authenticate_user(self, refresh_token: HeldRefresh) -> Grant:
        """Spends the token: of two requests with the same one, one goes on and the other ends the family."""
        grant = active_grant(self.server, refresh_token.grant)
        if grant is None:
            raise InvalidGrantError("The account is no longer active.")
        unused = [("hash", "=", refresh_token.row.hash), ("used_at", "=", None)]
        if not self.server.tx.change(RefreshToken, unused, used_at=self.server.moment.now):
            self._end_family(refresh_token.row)
            raise InvalidGrantError("The refresh token was used before.")
        return grant

    def revoke_old_credential(self, refresh_token: HeldRefresh) -> None:
        """Spent when the user was looked up; the access tokens of before run out on their own."""

    def _validate_token_scope(self, token: HeldRefresh) -> None:
        asked = parse_scopes(self.request.payload.scope or "")
        if asked.refused or not covers(parse_scopes(token.get_scope()), asked):
            raise InvalidScopeError

    def _end_family(self, row: RefreshToken) -> None:
        ended = revoke_grants(self.server.tx, self.server.moment.now, REUSED_REFRESH, ("id", "=", row.grant_id))
        self.server.ended.extend(ended)


class BackendGrant(ClientCredentialsGrant):
    """A backend client in its own name: system scopes it was registered for, five minutes, no refresh."""

    TOKEN_ENDPOINT_AUTH_METHODS: ClassVar[list[str]] = ["private_key_jwt"]
    server: LaunchServer

    def create_token_response(self) -> tuple[int, dict[str, object], list[tuple[str, str]]]:
        scope = self.client.get_allowed_scope(self.request.payload.scope)
        if scope is None:
            raise InvalidScopeError("Ask for system/ scopes this client is registered for.")
        moment = self.server.moment
        grant = Grant(
            id=moment.ids.new(),
            scope=scope,
            created_at=moment.now,
            expires_at=moment.now + GRANT_LIFETIME,
            client_id=self.client.row.id,
        )
        self.server.tx.apply(Append(grant))
        return 200, self.generate_token(user=grant, scope=scope, include_refresh_token=False), []


class RequiredChallenge(CodeChallenge):
    """PKCE with S256 for every client, decided at the authorization endpoint. https://www.rfc-editor.org/rfc/rfc7636"""

    DEFAULT_CODE_CHALLENGE_METHOD = "S256"
    SUPPORTED_CODE_CHALLENGE_METHOD: ClassVar[list[str]] = ["S256"]

    def validate_code_challenge(self, grant: CodeGrant, redirect_uri: str) -> None:
        parameters = grant.request.form
        if parameters.get("code_challenge_method") != "S256":
            raise InvalidRequestError("code_challenge_method is S256, for every client.")
        if not _CHALLENGE.fullmatch(parameters.get("code_challenge", "")):
            raise InvalidRequestError("code_challenge is the base64url SHA-256 of the code_verifier: 43 characters.")


class SmartParameters:
    """What SMART and OpenID Connect add to an authorization request."""

    def __call__(self, grant: CodeGrant) -> None:
        grant.register_hook("after_validate_authorization_request_payload", self.check)

    def check(self, grant: CodeGrant, redirect_uri: str) -> None:
        parameters = grant.request.form
        audiences = [parameters[name] for name in ("aud", "resource") if name in parameters]
        if not audiences or not all(map(grant.server.moment.issuer.accepts_audience, audiences)):
            raise InvalidRequestError("aud is missing or not the base URL of this FHIR server.")
        launch, server = parameters.get("launch"), grant.server
        if launch and find_launch(server.tx, launch, grant.client.row.id, server.moment.now) is None:
            raise InvalidRequestError("This launch was used already, is over, or was made for another app.")
        if parameters.get("response_mode", "query") != "query":
            raise InvalidRequestError("response_mode is query.")
        if "request" in parameters or "request_uri" in parameters:
            raise InvalidRequestError("Request objects are not supported.")
        if "none" in parameters.get("prompt", "").split():
            raise InteractionRequiredError("Every authorization is consented to on a page; prompt=none cannot be met.")


def _ends_with_session(scope: str) -> bool:
    """Online access lasts as long as the person is signed in; offline access includes it."""
    words = set(scope.split())
    return "online_access" in words and "offline_access" not in words


def active_grant(server: LaunchServer, grant: Grant) -> Grant | None:
    """The grant when its account may still sign in, and is signed in where that is what it depends on."""
    account = server.tx.get(Account, grant.account_id) if grant.account_id else None
    if account is None or account.disabled:
        return None
    return grant if grant.session is None or still_online(server.tx, grant.session, server.moment.now) else None
