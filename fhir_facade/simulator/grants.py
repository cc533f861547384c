"""Authorization codes and tokens of the simulated Google account service, in memory.

https://developers.google.com/identity/protocols/oauth2/web-server, RFC 6749, RFC 7636.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from fhir_facade.simulator.refusals import OAuthRefusal, unauthenticated

CODE_LIFETIME = timedelta(minutes=10)
ACCESS_LIFETIME_S = 3599


@dataclass(frozen=True, slots=True)
class VendorClient:
    """A web application registered at the vendor. No redirect URIs: every one is accepted."""

    client_id: str
    client_secret: str
    redirect_uris: tuple[str, ...] = ()

    def allows(self, redirect_uri: str) -> bool:
        return not self.redirect_uris or redirect_uri in self.redirect_uris


@dataclass(frozen=True, slots=True)
class AuthorizeRequest:
    """A valid request of the authorization endpoint."""

    client: VendorClient
    redirect_uri: str
    scopes: tuple[str, ...]
    state: str
    challenge: str
    offline: bool
    prompt_consent: bool
    include_granted: bool
    login_hint: str


@dataclass(frozen=True, slots=True)
class Code:
    request: AuthorizeRequest
    account: str
    scopes: tuple[str, ...]
    expires_at: datetime


@dataclass(slots=True)
class Grant:
    """What one account allowed one client. Revoking any of its tokens ends it."""

    client_id: str
    account: str
    scopes: tuple[str, ...]
    revoked: bool = False


@dataclass(slots=True)
class Grants:
    """All codes, grants and tokens; `now` is the clock."""

    now: Callable[[], datetime]
    requests: dict[str, AuthorizeRequest] = field(default_factory=dict)
    codes: dict[str, Code] = field(default_factory=dict)
    refresh: dict[str, Grant] = field(default_factory=dict)
    access: dict[str, tuple[Grant, datetime]] = field(default_factory=dict)
    consented: dict[tuple[str, str], Grant] = field(default_factory=dict)

    def remember(self, request: AuthorizeRequest) -> str:
        handle = secrets.token_urlsafe(18)
        self.requests[handle] = request
        return handle

    def issue_code(self, handle: str, account: str, scopes: tuple[str, ...]) -> str:
        """A single-use code for a remembered request, which is forgotten."""
        code = "4/0A" + secrets.token_urlsafe(32)
        self.codes[code] = Code(self.requests.pop(handle), account, scopes, self.now() + CODE_LIFETIME)
        return code

    def exchange(self, client: VendorClient, form: Mapping[str, str]) -> dict[str, Any]:
        """The authorization_code grant; a code is gone after the first attempt, right or wrong."""
        code = self.codes.pop(form.get("code", ""), None)
        if code is None or code.expires_at <= self.now() or code.request.client.client_id != client.client_id:
            raise OAuthRefusal("invalid_grant", "Malformed auth code.")
        if form.get("redirect_uri") != code.request.redirect_uri:
            raise OAuthRefusal("redirect_uri_mismatch", "Bad Request")
        if code.request.challenge and _challenge(form.get("code_verifier", "")) != code.request.challenge:
            raise OAuthRefusal("invalid_grant", "Invalid code verifier.")
        return self._granted(code)

    def _granted(self, code: Code) -> dict[str, Any]:
        key = (code.request.client.client_id, code.account)
        earlier = self.consented.get(key)
        known = earlier is not None and not earlier.revoked
        before = earlier.scopes if earlier is not None and known and code.request.include_granted else ()
        grant = Grant(*key, tuple(dict.fromkeys((*before, *code.scopes))))
        self.consented[key] = grant
        answer = self._access(grant)
        if code.request.offline and (code.request.prompt_consent or not known):
            token = "1//0" + secrets.token_urlsafe(32)
            self.refresh[token] = grant
            answer["refresh_token"] = token
        return answer

    def renew(self, client: VendorClient, refresh_token: str) -> dict[str, Any]:
        """The refresh_token grant; the refresh token stays the same and is not repeated."""
        grant = self.refresh.get(refresh_token)
        if grant is None or grant.revoked or grant.client_id != client.client_id:
            raise OAuthRefusal("invalid_grant", "Token has been expired or revoked.")
        return self._access(grant)

    def _access(self, grant: Grant) -> dict[str, Any]:
        token = "ya29." + secrets.token_urlsafe(32)
        self.access[token] = (grant, self.now() + timedelta(seconds=ACCESS_LIFETIME_S))
        return {
            "access_token": token,
            "expires_in": ACCESS_LIFETIME_S,
            "scope": " ".join(grant.scopes),
            "token_type": "Bearer",
        }

    def revoke(self, token: str) -> None:
        held = self.access.get(token)
        grant = held[0] if held else self.refresh.get(token)
        if grant is None or grant.revoked:
            raise OAuthRefusal("invalid_token", "Token expired or revoked")
        grant.revoked = True

    def withdraw(self, account: str) -> None:
        """Everything the account ever allowed ends, with the tokens of earlier consents."""
        for grant in (*self.refresh.values(), *(grant for grant, _ in self.access.values())):
            grant.revoked = grant.revoked or grant.account == account

    def bearer(self, authorization: str) -> Grant:
        """The grant behind an Authorization header; Refusal 401."""
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise unauthenticated("CREDENTIALS_MISSING")
        grant, expires_at = self.access.get(token, (None, self.now()))
        if grant is None or grant.revoked or expires_at <= self.now():
            raise unauthenticated()
        return grant


def _challenge(verifier: str) -> str:
    digest = hashlib.sha256(verifier.encode("ascii", "replace")).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
