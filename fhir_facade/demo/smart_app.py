"""An app that signs somebody in: SMART discovery, authorization code with PKCE, token.

https://hl7.org/fhir/smart-app-launch/STU2.2/app-launch.html
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx

from fhir_facade.demo.browser import Browser
from fhir_facade.demo.checks import content, expect


@dataclass(frozen=True, slots=True)
class Person:
    """Who can sign in; `scope` is what the app asks for when this person does."""

    username: str
    password: str
    scope: str


@dataclass(frozen=True, slots=True)
class SignedIn:
    """`granted` is the whole answer of the token endpoint."""

    granted: Mapping[str, Any]

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.granted['access_token']}"}


@dataclass(frozen=True, slots=True)
class SmartApp:
    """A registered public client. Nothing listens at `redirect_uri`: the app reads the redirect itself."""

    facade: str
    client_id: str
    redirect_uri: str

    async def sign_in(self, http: httpx.AsyncClient, browser: Browser, person: Person) -> SignedIn:
        """Through sign-in and consent pages to an access token."""
        found = content(await http.get(f"{self.facade}/fhir/.well-known/smart-configuration"), 200)
        verifier, state = secrets.token_urlsafe(48), secrets.token_urlsafe(16)
        asked = {
            "response_type": "code",
            "client_id": self.client_id,
            "redirect_uri": self.redirect_uri,
            "scope": person.scope,
            "state": state,
            "aud": f"{self.facade}/fhir",
            "code_challenge": _challenge(verifier),
            "code_challenge_method": "S256",
        }
        sign_in = await browser.open(f"{found['authorization_endpoint']}?{urlencode(asked)}")
        consent = await browser.submit(sign_in, "/login", username=person.username, password=person.password)
        back = await browser.submit(consent, "/oauth/consent", decision="allow", stop_at=self.redirect_uri)
        returned = parse_qs(urlsplit(back.headers.get("location", "")).query)
        expect(returned.get("state") == [state], "the redirect to the app was expected to carry its state")
        expect("code" in returned, f"the redirect to the app was expected to carry a code, not {sorted(returned)}")
        form = {
            "grant_type": "authorization_code",
            "code": returned["code"][0],
            "redirect_uri": self.redirect_uri,
            "client_id": self.client_id,
            "code_verifier": verifier,
        }
        return SignedIn(content(await http.post(found["token_endpoint"], data=form), 200))


def _challenge(verifier: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
