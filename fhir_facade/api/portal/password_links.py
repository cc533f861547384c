"""Choosing a password with a link that somebody was given: no sign-in needed, the link is the proof.

https://github.com/OWASP/ASVS/blob/v5.0.0/5.0/en/0x15-V6-Authentication.md (6.4.3)
"""

from __future__ import annotations

from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from fhir_facade.api.oauth.browser import browser_of, posted, remembered
from fhir_facade.api.pages.render import page, reader_language, see_other
from fhir_facade.api.pages.texts import texts
from fhir_facade.api.pages.troubles import problem_page
from fhir_facade.api.portal.sign_ins import why_not
from fhir_facade.api.portal.visit import Portal, Visit
from fhir_facade.errors import BadRequest, Gone
from fhir_facade.flows.accounts import SHORTEST_PASSWORD
from fhir_facade.flows.password_links import account_of_link, choose_password, link_to_choose


def address_of(visit: Visit, secret: str) -> str:
    """What is handed to the person."""
    return link_to_choose(visit.portal.oauth.issuer.base, secret)


async def look(portal: Portal, request: Request) -> Response:
    """GET /new-password?link=: the form, or that the link works no more."""
    return await _page(portal, request, request.query_params.get("link", ""))


async def choose(portal: Portal, request: Request) -> Response:
    """POST /new-password, then the sign-in with it."""
    _, form = await posted(portal.oauth, request)
    if form is None:
        return problem_page(request, 403, key="form")
    secret, new = form.fields.get("link", ""), form.fields.get("new", "")
    t = texts(reader_language(request))
    if new != form.fields.get("again"):
        return await _page(portal, request, secret, status=400, problem=t("password.differ"))
    try:
        await choose_password(portal.ports, secret, new)
    except BadRequest:
        return await _page(portal, request, secret, status=400, problem=why_not(t, new))
    except Gone:
        return problem_page(request, 410, key="link")
    return see_other(f"/login?{urlencode({'next': '/?done=password-chosen'})}")


async def _page(portal: Portal, request: Request, secret: str, *, status: int = 200, problem: str = "") -> Response:
    browser = await browser_of(portal.oauth, request)
    try:
        account = await account_of_link(portal.ports, secret)
    except Gone:
        return problem_page(request, 410, key="link")
    shown = page(
        request,
        "portal/new_password.html",
        status=status,
        csrf=browser.csrf,
        link=secret,
        username=account.username,
        problem=problem,
        shortest=SHORTEST_PASSWORD,
    )
    return remembered(portal.oauth, browser, shown)
