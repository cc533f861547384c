"""The sign-in page and signing out. Plain forms, answered with 303.

https://github.com/OWASP/ASVS/blob/v5.0.0/5.0/en/0x15-V6-Authentication.md
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from fhir_facade.api.oauth.browser import Browser, browser_of, local_path, posted, problem, remembered
from fhir_facade.api.oauth.dependencies import OAuthDeps
from fhir_facade.api.oauth.devices import device_of, remember
from fhir_facade.api.pages.render import page, reader_language, see_other
from fhir_facade.api.pages.texts import Text, texts
from fhir_facade.errors import TooManyRequests, Unauthenticated
from fhir_facade.flows.sessions import end_session, sign_in_with_password


async def show_login(deps: OAuthDeps, request: Request) -> Response:
    """GET /login?next=/path: the form; whoever is signed in already goes on."""
    browser, target = await browser_of(deps, request), local_path(request.query_params.get("next"))
    if browser.signed_in is not None:
        return see_other(target)
    return login_page(deps, request, browser, target)


async def log_in(deps: OAuthDeps, request: Request) -> Response:
    """POST /login: a new session and on to `next`, or the form again with the reason."""
    (browser, form), t = await posted(deps, request), _texts(request)
    if form is None:
        return login_page(deps, request, browser, "/", status=403, reason=t("login.expired"))
    device = device_of(deps, request)
    target, username = local_path(form.fields.get("next")), form.fields.get("username", "")
    try:
        cookie = await sign_in_with_password(
            deps.ports,
            username=username,
            password=form.fields.get("password", ""),
            old_cookie=browser.secret,
            caller=deps.caller(request),
            device=device,
        )
    except Unauthenticated:
        return login_page(deps, request, browser, target, status=401, reason=t("login.wrong"), username=username)
    except TooManyRequests as error:
        reason = t("login.wait", seconds=error.retry_after_s)
        response = login_page(deps, request, browser, target, status=429, reason=reason, username=username)
        response.headers["Retry-After"] = str(error.retry_after_s)
        return response
    response = see_other(target)
    deps.cookies.write(response, cookie)
    remember(deps, response, device)
    return response


async def log_out(deps: OAuthDeps, request: Request) -> Response:
    """POST /logout: the session ends on the server; what is left of the cookie only names the browser."""
    browser, form = await posted(deps, request)
    if form is None:
        return problem(request, "problem.form", status=403)
    await end_session(deps.ports, browser.secret, deps.caller(request))
    return see_other(local_path(form.fields.get("next")))


def login_page(
    deps: OAuthDeps,
    request: Request,
    browser: Browser,
    target: str,
    *,
    status: int = 200,
    reason: str = "",
    username: str = "",
) -> Response:
    """The form, which leads to `target` after signing in."""
    shown = page(
        request,
        "sign_in/login.html",
        status=status,
        csrf=browser.csrf,
        next=target,
        problem=reason,
        username=username,
    )
    return remembered(deps, browser, shown)


def _texts(request: Request) -> Text:
    return texts(reader_language(request))
