"""The authorization server of one request: Authlib's core on the rows of one transaction.

https://docs.authlib.org/en/latest/oauth2/authorization-server/index.html
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from authlib.common.urls import add_params_to_uri
from authlib.oauth2.rfc6749 import AuthorizationServer, InvalidClientError, InvalidGrantError

from fhir_facade.errors import Conflict
from fhir_facade.flows.launch.assertion import ASSERTION_TYPE, RefusedAssertion, verify_assertion
from fhir_facade.flows.launch.choices import STAYING
from fhir_facade.flows.launch.client_keys import ClientKeys
from fhir_facade.flows.launch.context import launch_context
from fhir_facade.flows.launch.issuer import ACCESS_LIFETIME, BACKEND_LIFETIME, CLOCK_SKEW, Issuer
from fhir_facade.flows.launch.keys import Signer
from fhir_facade.flows.launch.opaque import digest
from fhir_facade.flows.launch.registered import RegisteredClient
from fhir_facade.flows.launch.request import Basic, LaunchRequest
from fhir_facade.flows.launch.tokens import find_refresh_token, new_access_token, new_refresh_token
from fhir_facade.ports import Ids, StateTransaction
from fhir_facade.rows import Append
from fhir_facade.rows.accounts import Account, Session
from fhir_facade.rows.oauth import AccessToken, AuthorizationCode, Client, Grant, Launch, RefreshToken, UsedAssertion
from fhir_facade.values import Json

NO_STORE: Final = (("Cache-Control", "no-store"), ("Pragma", "no-cache"))

logging.getLogger("authlib").setLevel(logging.INFO)  # at DEBUG the core writes tokens into the log


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer of the authorization server, free of HTTP libraries. `location` is set on redirects to the client."""

    status: int
    body: Json
    headers: tuple[tuple[str, str], ...] = NO_STORE
    location: str | None = None


@dataclass(frozen=True, slots=True)
class Moment:
    """What one request may lean on, gathered before its transaction begins: nothing here touches a network."""

    issuer: Issuer
    ids: Ids
    now: datetime
    keys: ClientKeys = field(default_factory=ClientKeys)
    signer: Signer | None = None


@dataclass(frozen=True, slots=True)
class Consent:
    """What a person decided: facts the core does not know, carried to the rows of the grant."""

    account: Account
    patient: str | None
    nonce: str | None
    session: Session
    launch: Launch | None = None


@dataclass(frozen=True, slots=True)
class HeldCode:
    """A redeemed code with its grant, as the core asks it."""

    row: AuthorizationCode
    grant: Grant

    @property
    def code_challenge(self) -> str:
        return self.row.challenge

    @property
    def code_challenge_method(self) -> str:
        return "S256"

    def get_redirect_uri(self) -> str:
        return self.row.redirect_uri

    def get_scope(self) -> str:
        return self.grant.scope

    def get_nonce(self) -> str | None:
        return self.grant.nonce

    def get_auth_time(self) -> int | None:
        signed_in_at = self.grant.signed_in_at
        return int(signed_in_at.timestamp()) if signed_in_at else None

    def get_acr(self) -> None:
        """No authentication class is claimed."""

    def get_amr(self) -> list[str]:
        return ["pwd"]


@dataclass(frozen=True, slots=True)
class HeldRefresh:
    """A presented refresh token with its grant, as the core asks it."""

    row: RefreshToken
    grant: Grant

    def check_client(self, client: RegisteredClient) -> bool:
        return self.row.client_id == client.row.id

    def get_scope(self) -> str:
        return self.grant.scope


class LaunchServer(AuthorizationServer):
    """Lives as long as one transaction. Errors are answered, not raised, so that what a request used up stays used."""

    def __init__(self, tx: StateTransaction, moment: Moment) -> None:
        super().__init__()
        self.tx = tx
        self.moment = moment
        self.issued: AccessToken | None = None
        self.ended: list[Grant] = []
        self.presented: str | None = None
        self.register_token_generator("default", self._generate)
        methods: Mapping[str, Callable[..., RegisteredClient | None]] = {
            "none": self._by_name,
            "client_secret_basic": self._by_basic,
            "private_key_jwt": self._by_assertion,
        }
        for name, method in methods.items():
            self.register_client_auth_method(name, method)

    def query_client(self, client_id: str) -> RegisteredClient | None:
        row = self.tx.get(Client, client_id)
        return None if row is None or row.disabled else RegisteredClient(row)

    def create_oauth2_request(self, request: LaunchRequest) -> LaunchRequest:
        return request

    def handle_response(self, status: int, body: Json, headers: Sequence[tuple[str, str]]) -> Answer:
        """Redirects name the issuer (RFC 9207); nothing may be cached."""
        location = dict(headers).get("Location")
        if location is not None:
            return Answer(303, "", NO_STORE, add_params_to_uri(location, [("iss", self.moment.issuer.name)]))
        challenge = ("WWW-Authenticate", f'Basic realm="{self.moment.issuer.base}"')
        kept = tuple(challenge for name, _ in headers if name == challenge[0])
        return Answer(status, dict(body), NO_STORE + kept)

    def send_signal(self, name: str, *args: Any, **kwargs: Any) -> None:
        """Nobody listens."""

    def save_token(self, token: Mapping[str, Json], request: LaunchRequest) -> None:
        """The rows were written when the token was generated."""

    def _generate(
        self, *, grant_type: str, client: RegisteredClient, user: Grant, scope: str, **_: Any
    ) -> dict[str, Json]:
        """`user` is the grant on whose behalf the core asks for a token; the context goes along."""
        grant, now = user, self.moment.now
        lifetime = BACKEND_LIFETIME if grant_type == "client_credentials" else ACCESS_LIFETIME
        minted = new_access_token(self.tx, self.moment.ids, grant, scope, now, lifetime)
        self.issued = minted.row
        token = {
            "token_type": "Bearer",
            "access_token": minted.text,
            "expires_in": int((minted.row.expires_at - now).total_seconds()),
            "scope": scope,
        }
        if STAYING & set(grant.scope.split()):
            after = self.presented
            token["refresh_token"] = new_refresh_token(self.tx, self.moment.ids, grant, client.row.id, now, after=after)
        return token | launch_context(self.moment.issuer, grant)

    def _by_name(
        self, query: Callable[[str], RegisteredClient | None], request: LaunchRequest
    ) -> RegisteredClient | None:
        """A public client names itself; on a refresh the token alone says whose it is."""
        parameters = request.form
        if request.header or "client_secret" in parameters or "client_assertion" in parameters:
            return None
        client_id = parameters.get("client_id") or self._holder(parameters)
        client = query(client_id) if client_id else None
        if client_id and client is None:
            raise InvalidClientError("The client is not registered here.")
        return client

    def _holder(self, parameters: Mapping[str, str]) -> str | None:
        if parameters.get("grant_type") != "refresh_token" or "refresh_token" not in parameters:
            return None
        row = find_refresh_token(self.tx, parameters["refresh_token"], self.moment.now)
        if row is None:
            raise InvalidGrantError("The refresh token is not valid.")
        return row.client_id

    def _by_basic(
        self, query: Callable[[str], RegisteredClient | None], request: LaunchRequest
    ) -> RegisteredClient | None:
        basic = request.header
        if not isinstance(basic, Basic) or request.form.get("client_id", basic.client_id) != basic.client_id:
            return None
        client = query(basic.client_id)
        if client is None or not client.check_client_secret(basic.secret):
            return None
        return client

    def _by_assertion(
        self, query: Callable[[str], RegisteredClient | None], request: LaunchRequest
    ) -> RegisteredClient | None:
        parameters, keys = request.form, self.moment.keys
        if parameters.get("client_assertion_type") != ASSERTION_TYPE or "client_assertion" not in parameters:
            return None
        client = query(keys.client_id)
        if client is None or parameters.get("client_id", keys.client_id) != keys.client_id:
            raise InvalidClientError("The client is not registered here, or not the one of the assertion.")
        try:
            assertion = verify_assertion(
                parameters["client_assertion"],
                keys=keys,
                jwks_uri=client.row.jwks_uri,
                audience=self.moment.issuer.token,
                now=self.moment.now,
            )
        except RefusedAssertion as refused:
            raise InvalidClientError(str(refused)) from None
        self._use_once(assertion.client_id, assertion.jti, assertion.expires_at)
        return client

    def _use_once(self, client_id: str, jti: str, expires_at: datetime) -> None:
        row = UsedAssertion(client_id=client_id, jti_hash=digest(jti), expires_at=expires_at + CLOCK_SKEW)
        try:
            self.tx.apply(Append(row))
        except Conflict:
            raise InvalidClientError("The assertion was used before; make a new one for every request.") from None
