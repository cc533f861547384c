"""The account service of the vendor: choose an account, tick what may be read, be sent back; token and revocation.

https://developers.google.com/identity/protocols/oauth2/web-server. Plain forms: a person clicks, a script posts them.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import unquote_plus, urlencode

from jinja2 import Environment, PackageLoader, select_autoescape

from fhir_facade.simulator.accounts import Account, accounts
from fhir_facade.simulator.data_types import SCOPES
from fhir_facade.simulator.grants import AuthorizeRequest, Grants, VendorClient
from fhir_facade.simulator.refusals import OAuthRefusal

_PAGES = Environment(
    loader=PackageLoader("fhir_facade.simulator"), autoescape=select_autoescape(), trim_blocks=True, lstrip_blocks=True
)


class PageRefusal(Exception):
    """The vendor shows an error page instead of sending the browser back: the request cannot be trusted."""

    def __init__(self, error: str, text: str) -> None:
        super().__init__(text)
        self.error = error


def refused_page(refusal: PageRefusal) -> str:
    title = "Access blocked: this request is invalid"
    return _PAGES.get_template("refused.html").render(title=title, text=str(refusal), code=400, error=refusal.error)


def authorize_request(query: Mapping[str, str], clients: Mapping[str, VendorClient]) -> AuthorizeRequest:
    """The checked parameters of the authorization endpoint."""
    client = clients.get(query.get("client_id", ""))
    if client is None:
        raise PageRefusal("invalid_client", "The OAuth client was not found.")
    redirect_uri = query.get("redirect_uri", "")
    if not redirect_uri.startswith(("https://", "http://")) or not client.allows(redirect_uri):
        raise PageRefusal("redirect_uri_mismatch", "The redirect URI is not registered for this client.")
    if query.get("response_type") != "code":
        raise PageRefusal("unsupported_response_type", "response_type must be code.")
    challenge = query.get("code_challenge", "")
    if challenge and query.get("code_challenge_method") != "S256":
        raise PageRefusal("invalid_request", "code_challenge_method must be S256.")
    scopes = tuple(dict.fromkeys(query.get("scope", "").split()))
    if unknown := [scope for scope in scopes if scope not in SCOPES]:
        raise PageRefusal("invalid_scope", f"Some requested scopes were invalid: {', '.join(unknown)}")
    if not scopes:
        raise PageRefusal("invalid_request", "Missing required parameter: scope")
    return AuthorizeRequest(
        client=client,
        redirect_uri=redirect_uri,
        scopes=scopes,
        state=query.get("state", ""),
        challenge=challenge,
        offline=query.get("access_type") == "offline",
        prompt_consent="consent" in query.get("prompt", "").split(),
        include_granted=query.get("include_granted_scopes") == "true",
        login_hint=query.get("login_hint", ""),
    )


def account_page(handle: str, request: AuthorizeRequest) -> str:
    """The choice of accounts; with a `login_hint` that is an account, its consent page at once."""
    hinted = accounts().get(request.login_hint)
    if hinted is not None:
        return consent_page(handle, request, hinted)
    return _PAGES.get_template("accounts.html").render(
        title="Choose an account",
        client=request.client.client_id,
        request=handle,
        accounts=list(accounts().values()),
    )


def consent_page(handle: str, request: AuthorizeRequest, account: Account) -> str:
    return _PAGES.get_template("consent.html").render(
        title="Allow access",
        client=request.client.client_id,
        request=handle,
        account=account,
        scopes=[(scope, SCOPES[scope]) for scope in request.scopes],
    )


def pending(grants: Grants, form: Mapping[str, Any]) -> tuple[str, AuthorizeRequest, Account]:
    """The remembered request and the chosen account of a posted form."""
    handle = str(form.get("request", ""))
    request, account = grants.requests.get(handle), accounts().get(str(form.get("account", "")))
    if request is None:
        raise PageRefusal("invalid_request", "This page was used already; begin again at the application.")
    if account is None:
        raise PageRefusal("invalid_request", "Choose one of the accounts.")
    return handle, request, account


def decide(grants: Grants, form: Mapping[str, Any], scopes: Sequence[str]) -> str:
    """The address the browser is sent back to after the consent form; nothing ticked counts as a refusal."""
    handle, request, account = pending(grants, form)
    granted = tuple(scope for scope in request.scopes if scope in scopes)
    if form.get("decision") != "allow" or not granted:
        grants.requests.pop(handle)
        answer = {"error": "access_denied"}
    else:
        answer = {"code": grants.issue_code(handle, account.email, granted), "scope": " ".join(granted)}
    parameters = {"state": request.state, **answer} if request.state else answer
    separator = "&" if "?" in request.redirect_uri else "?"
    return f"{request.redirect_uri}{separator}{urlencode(parameters)}"


def _credentials(authorization: str, form: Mapping[str, str]) -> tuple[str, str]:
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() != "basic":
        return form.get("client_id", ""), form.get("client_secret", "")
    try:
        client_id, _, secret = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    return unquote_plus(client_id), unquote_plus(secret)


def token_answer(
    grants: Grants, clients: Mapping[str, VendorClient], authorization: str, form: Mapping[str, str]
) -> dict[str, Any]:
    """The token endpoint; OAuthRefusal with the error of RFC 6749 §5.2."""
    client_id, secret = _credentials(authorization, form)
    client = clients.get(client_id)
    if client is None or client.client_secret != secret:
        raise OAuthRefusal("invalid_client", "The provided client secret is invalid.", code=401)
    if form.get("grant_type") == "authorization_code":
        return grants.exchange(client, form)
    if form.get("grant_type") == "refresh_token":
        return grants.renew(client, form.get("refresh_token", ""))
    raise OAuthRefusal("unsupported_grant_type", "Invalid grant_type")
