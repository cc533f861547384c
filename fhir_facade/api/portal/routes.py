"""All addresses of the portal in one table, and what every one of them checks first."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fhir_facade.api.dependencies import record_refusal
from fhir_facade.api.oauth.browser import Form, browser_of, local_path, posted
from fhir_facade.api.oauth.dependencies import OAuthDeps
from fhir_facade.api.pages.render import LANGUAGE_COOKIE, see_other
from fhir_facade.api.pages.texts import LANGUAGES
from fhir_facade.api.pages.troubles import problem_page
from fhir_facade.api.portal import (
    access_log,
    admin_accounts,
    admin_app,
    admin_apps,
    admin_enrol,
    alerts,
    apps,
    connections,
    emergency,
    home,
    password_links,
    scores,
    sign_ins,
)
from fhir_facade.api.portal.visit import Portal, Visit, enter
from fhir_facade.errors import FacadeError, Unavailable
from fhir_facade.flows.background import RunningSyncs
from fhir_facade.flows.password_links import PATH as CHOOSE_PASSWORD

Look = Callable[[Visit], Awaitable[Response]]
Act = Callable[[Visit, Form], Awaitable[Response]]
Handler = Callable[[Portal, Request], Awaitable[Response]]

LOOKS: Final[tuple[tuple[str, Look], ...]] = (
    ("/patients/{patient}", home.patient),
    (access_log.PATH, access_log.look),
    (emergency.PATH, emergency.look),
    ("/apps", apps.look),
    (admin_accounts.PATH, admin_accounts.look),
    ("/admin/new-account", admin_enrol.look),
    ("/admin/accounts/{account}", admin_accounts.open_account),
    ("/admin/apps", admin_apps.look),
    ("/admin/new-app", admin_app.look_new),
    ("/admin/apps/{client}", admin_app.open_app),
    ("/sign-ins", sign_ins.look),
    ("/connections/{connection}", connections.look),
    ("/connections/{connection}/progress", connections.follow),
    ("/connections/{connection}/disconnect", connections.confirm),
)
ACTS: Final[tuple[tuple[str, Act], ...]] = (
    ("/connections", connections.begin),
    ("/connections/{connection}/sync", connections.read_now),
    ("/connections/{connection}/disconnect", connections.disconnect),
    ("/patients/{patient}/score", scores.compute),
    ("/alerts/{alert}/{action}", alerts.act),
    (emergency.PATH, emergency.open_record),
    ("/apps/{grant}/withdraw", apps.end),
    ("/launches", apps.start),
    (admin_accounts.PATH, admin_enrol.make),
    ("/admin/accounts/{account}", admin_accounts.change),
    ("/admin/accounts/{account}/disable", admin_accounts.disable),
    ("/admin/accounts/{account}/enable", admin_accounts.enable),
    ("/admin/accounts/{account}/sign-out", admin_accounts.sign_out),
    ("/admin/accounts/{account}/password-link", admin_accounts.reset),
    ("/admin/apps", admin_app.make),
    ("/admin/apps/{client}", admin_app.change),
    ("/admin/apps/{client}/secret", admin_app.rotate),
    ("/admin/apps/{client}/enable", admin_app.enable),
    ("/admin/apps/{client}/verify", admin_apps.verify),
    ("/admin/apps/{client}/disable", admin_apps.disable),
    ("/admin/invitations", admin_apps.let_register),
    ("/admin/invitations/{invitation}/withdraw", admin_apps.withdraw),
    ("/sign-ins/known", sign_ins.know),
    ("/sign-ins/password", sign_ins.change_password),
    ("/sign-ins/address", sign_ins.change_address),
    ("/sign-ins/devices/{device}/forget", sign_ins.forget),
    ("/sign-ins/others/end", sign_ins.end_others),
    ("/sign-ins/{session}/end", sign_ins.end),
)


def portal_routes(deps: OAuthDeps, syncs: RunningSyncs) -> list[Route]:
    """The routes, to be placed after those of signing in; pages also need `pages.render.assets`."""
    portal = Portal(deps, syncs)
    answers: list[tuple[str, str, Handler]] = [("GET", "/", home.start), ("GET", "/language", choose_language)]
    answers += [("GET", CHOOSE_PASSWORD, password_links.look), ("POST", CHOOSE_PASSWORD, password_links.choose)]
    answers += [("GET", path, partial(_look, handler)) for path, handler in LOOKS]
    answers += [("POST", path, partial(_act, handler)) for path, handler in ACTS]
    return [Route(path, partial(_guarded, handler, portal), methods=[method]) for method, path, handler in answers]


async def choose_language(portal: Portal, request: Request) -> Response:
    """GET /language?to=de&next=/path: remembered in this browser for a year; it changes nothing else."""
    response = see_other(local_path(request.query_params.get("next")))
    wanted = request.query_params.get("to")
    if wanted in LANGUAGES:
        secure = not portal.oauth.plain_loopback
        response.set_cookie(
            LANGUAGE_COOKIE, wanted, max_age=31_536_000, path="/", secure=secure, httponly=True, samesite="lax"
        )
    return response


async def _guarded(handler: Handler, portal: Portal, request: Request) -> Response:
    try:
        return await handler(portal, request)
    except FacadeError as error:
        return problem_page(request, *await _told(request, error))


async def _told(request: Request, error: FacadeError) -> tuple[int, str]:
    """Status and detail of an error; a refusal is in the audit before anybody is told."""
    try:
        await record_refusal(request, error)
    except Unavailable as unrecorded:
        error = unrecorded
    return error.status, str(error)


async def _look(handler: Look, portal: Portal, request: Request) -> Response:
    """A page for somebody who is signed in; others sign in first and come back."""
    browser = await browser_of(portal.oauth, request)
    if browser.signed_in is None:
        return see_other(f"/login?{urlencode({'next': request.url.path})}")
    return await handler(enter(portal, request, browser, browser.signed_in))


async def _act(handler: Act, portal: Portal, request: Request) -> Response:
    """A form of somebody who is signed in, from a page we gave this very browser."""
    browser, form = await posted(portal.oauth, request)
    if browser.signed_in is None:
        return problem_page(request, 401)
    if form is None:
        return problem_page(request, 403, key="form")
    return await handler(enter(portal, request, browser, browser.signed_in), form)
