"""Signing out because an app asks for it. https://openid.net/specs/openid-connect-rpinitiated-1_0.html"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Final
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response

from fhir_facade.api.oauth.browser import Browser, browser_of, posted, problem, remembered
from fhir_facade.api.oauth.dependencies import OAuthDeps, UnreadableForm, form_pairs, query_pairs
from fhir_facade.api.pages.render import page, see_other
from fhir_facade.errors import BadRequest
from fhir_facade.flows.launch.logout import LogoutAsked, asked_logout
from fhir_facade.flows.sessions import end_session

CONTEXT: Final = "logout"


async def logout(deps: OAuthDeps, request: Request) -> Response:
    """GET or POST /oauth/logout: at once when the app proves for whom it asks, else after a question."""
    try:
        pairs = query_pairs(request)
        if request.method == "POST":
            pairs += await form_pairs(request)
        asked = await asked_logout(deps.sign_in, pairs)
    except (UnreadableForm, BadRequest) as error:
        return problem(request, "problem.logout", detail=str(error))
    browser = await browser_of(deps, request)
    if browser.signed_in is None:
        return _gone(request, asked.target)
    if asked.subject == browser.signed_in.account.id:
        await end_session(deps.ports, browser.secret, deps.caller(request))
        return _gone(request, asked.target)
    return remembered(deps, browser, _question(deps, request, browser, asked))


async def confirm(deps: OAuthDeps, request: Request) -> Response:
    """POST /oauth/logout/confirm: the person said yes."""
    browser, form = await posted(deps, request)
    if form is None:
        return problem(request, "problem.form", status=403)
    target = _unsealed(deps, form.fields.get("target", ""))
    await end_session(deps.ports, browser.secret, deps.caller(request))
    return _gone(request, target)


def _question(deps: OAuthDeps, request: Request, browser: Browser, asked: LogoutAsked) -> Response:
    signed_in = browser.signed_in
    assert signed_in is not None
    sealed = deps.ports.vault.seal((asked.target or "").encode(), context=CONTEXT)
    return page(
        request,
        "sign_in/logout.html",
        form_targets=[_origin(asked.target)] if asked.target else (),
        csrf=browser.csrf,
        target=urlsafe_b64encode(sealed).decode(),
        username=signed_in.account.username,
        client_name=asked.client_name,
    )


def _unsealed(deps: OAuthDeps, text: str) -> str | None:
    try:
        return deps.ports.vault.open(urlsafe_b64decode(text.encode()), context=CONTEXT).decode() or None
    except (BadRequest, ValueError):
        return None


def _gone(request: Request, target: str | None) -> Response:
    return see_other(target) if target else page(request, "sign_in/signed_out.html")


def _origin(address: str) -> str:
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc}"
