"""Clients, launches, open authorizations, grants, codes, tokens and keys of the authorization server.

Every secret is stored as its SHA-256 (hex); https://hl7.org/fhir/smart-app-launch/STU2.2/app-launch.html
"""

from __future__ import annotations

from datetime import datetime

from fhir_facade.rows.table import Row, table


@table("client", ("id",))
class Client(Row, frozen=True, kw_only=True):
    """A registered app. `kind` is `public`, `confidential` or `backend`; `jwks` is an inline JSON Web Key Set.

    `launch_uri` is where the portal starts it; `logout_uris` where a browser may go after signing out on its behalf.
    `registration_hash`: the app registered itself and keeps its registration with this token. `verified` False: nobody
    who runs this server looked at it.
    """

    id: str
    kind: str
    scope: str
    created_at: datetime
    name: str = ""
    redirect_uris: tuple[str, ...] = ()
    secret_hash: str | None = None
    jwks: str | None = None
    jwks_uri: str | None = None
    disabled: bool = False
    launch_uri: str | None = None
    logout_uris: tuple[str, ...] = ()
    registration_hash: str | None = None
    verified: bool = True


@table("initial_access_token", ("hash",), indexes=(("expires_at",),), unique=(("id",),))
class InitialAccessToken(Row, frozen=True, kw_only=True):
    """Lets its bearer register up to `uses_left` apps, none of which may ever ask for more than `scope`.

    `id` is what operators call it; `name` says for whom it was made.
    """

    hash: str
    id: str
    name: str
    scope: str
    created_at: datetime
    expires_at: datetime
    uses_left: int


@table("client_origin", ("origin", "client_id"), indexes=(("client_id",),))
class ClientOrigin(Row, frozen=True, kw_only=True):
    """A web origin from which a registered app may call the token endpoint and `/fhir` with a script."""

    origin: str
    client_id: str


@table("launch", ("hash",), indexes=(("expires_at",),))
class Launch(Row, frozen=True, kw_only=True):
    """A launch from within an EHR: one app, one user, once. `context` is the `fhirContext` as JSON text.

    `used_by` names the authorization (its hash) that took it; `issued_by` the user or client that made it.
    """

    hash: str
    client_id: str
    account_id: str
    created_at: datetime
    expires_at: datetime
    patient: str | None = None
    encounter: str | None = None
    intent: str | None = None
    context: str | None = None
    banner: bool = True
    issued_by: str | None = None
    used_by: str | None = None


@table("open_authorization", ("hash",), indexes=(("expires_at",), ("browser",)))
class OpenAuthorization(Row, frozen=True, kw_only=True):
    """An authorization request that a signed-in person has before them; what was asked is sealed in its handle.

    `browser` is the SHA-256 of the cookie that may continue it. `patient` was chosen by the account `picked_by`;
    `launch` is the hash of the launch it began with.
    """

    hash: str
    browser: str
    expires_at: datetime
    patient: str | None = None
    picked_by: str | None = None
    launch: str | None = None


@table("app_grant", ("id",), indexes=(("account_id",), ("client_id",), ("expires_at",), ("session",)))
class Grant(Row, frozen=True, kw_only=True):
    """What a person allowed an app: the family of all codes and tokens that follow from one consent.

    `account_id` None: a backend client, or a token made on the command line. `expires_at` ends the whole family.
    `session` (its hash): online access, which ends with that session. `context` is the `fhirContext` as JSON text.
    """

    id: str
    scope: str
    created_at: datetime
    expires_at: datetime
    client_id: str | None = None
    account_id: str | None = None
    patient: str | None = None
    nonce: str | None = None
    signed_in_at: datetime | None = None
    revoked_at: datetime | None = None
    revoked_because: str | None = None
    encounter: str | None = None
    intent: str | None = None
    context: str | None = None
    banner: bool = True
    session: str | None = None


@table("authorization_code", ("hash",), indexes=(("grant_id",), ("expires_at",)))
class AuthorizationCode(Row, frozen=True, kw_only=True):
    """One code of a grant; `used_at` is set by the one redemption that may succeed."""

    hash: str
    grant_id: str
    client_id: str
    redirect_uri: str
    challenge: str
    expires_at: datetime
    used_at: datetime | None = None


@table("access_token", ("hash",), indexes=(("grant_id",), ("expires_at",)))
class AccessToken(Row, frozen=True, kw_only=True):
    """An access token. `id` is the public name of the row in the audit record, never part of the token."""

    hash: str
    id: str
    grant_id: str
    scope: str
    issued_at: datetime
    expires_at: datetime
    revoked_at: datetime | None = None


@table("refresh_token", ("hash",), indexes=(("grant_id",), ("expires_at",)))
class RefreshToken(Row, frozen=True, kw_only=True):
    """A refresh token; `used_at` is set by the one rotation that may succeed. `scope` is always that of the grant."""

    hash: str
    grant_id: str
    client_id: str
    issued_at: datetime
    expires_at: datetime
    used_at: datetime | None = None


@table("used_assertion", ("client_id", "jti_hash"), indexes=(("expires_at",),))
class UsedAssertion(Row, frozen=True, kw_only=True):
    """A client assertion that was accepted once and must not be again before it expires."""

    client_id: str
    jti_hash: str
    expires_at: datetime


@table("signing_key", ("kid",), indexes=(("created_at",),))
class SigningKey(Row, frozen=True, kw_only=True):
    """An RSA key for id_tokens: `public` is its JWK, `sealed` the private JWK sealed by the vault."""

    kid: str
    public: str
    sealed: bytes
    created_at: datetime
    retired_at: datetime | None = None
