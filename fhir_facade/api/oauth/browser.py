"""The browser behind a request: its cookie, its session, and forms that prove to come from our own pages.

https://github.com/OWASP/ASVS/blob/v5.0.0/5.0/en/0x12-V3-Web-Frontend-Security.md
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from fhir_facade.api.oauth.dependencies import OAuthDeps, UnreadableForm, form_pairs
from fhir_facade.api.pages.cookies import csrf_holds
from fhir_facade.api.pages.render import page, reader_language
from fhir_facade.api.pages.texts import texts
from fhir_facade.errors import FacadeError
from fhir_facade.flows.launch.opaque import csrf_token
from fhir_facade.flows.sessions import SignedIn, load_session

_LOCAL: Final = re.compile(r"/(?![/\\])[\x21-\x5b\x5d-\x7e]{0,8000}")


@dataclass(frozen=True, slots=True)
class Browser:
    """`secret` is the cookie's value; `known` is False when the browser had none and gets this one now."""

    secret: str
    known: bool
    signed_in: SignedIn | None

    @property
    def csrf(self) -> str:
        return csrf_token(self.secret)


async def browser_of(deps: OAuthDeps, request: Request) -> Browser:
    """The browser and who is signed in there."""
    secret = deps.cookies.read(request)
    if secret is None:
        return Browser(deps.ports.ids.secret(), False, None)
    return Browser(secret, True, await load_session(deps.ports, secret))


def remembered(deps: OAuthDeps, browser: Browser, response: Response) -> Response:
    """The response, with the cookie when the browser had none."""
    if not browser.known:
        deps.cookies.write(response, browser.secret)
    return response


@dataclass(frozen=True, slots=True)
class Form:
    """A posted form of our own; `many` has the values of names that may repeat."""

    fields: Mapping[str, str]
    many: Mapping[str, tuple[str, ...]]


async def posted(deps: OAuthDeps, request: Request) -> tuple[Browser, Form | None]:
    """The browser and its form; None when that cannot be read or did not come from a page we gave this browser. Who is
    signed in is looked at when all of it is there: it may come as slowly as its sender likes."""
    try:
        pairs = await form_pairs(request)
    except UnreadableForm:
        pairs = []
    browser, fields = await browser_of(deps, request), dict(pairs)
    if not browser.known or not csrf_holds(browser.secret, fields.get("csrf")):
        return browser, None
    return browser, Form(fields, {name: tuple(value for key, value in pairs if key == name) for name in fields})


def problem(request: Request, key: str, *, status: int = 400, detail: str = "", **values: Any) -> Response:
    """The page that says what went wrong and the way out."""
    t = texts(reader_language(request))
    return page(request, "sign_in/problem.html", status=status, problem=t(key, **values), detail=detail)


def unavailable(request: Request, error: FacadeError) -> Response:
    """The page when something we depend on is down."""
    return problem(request, "problem.unavailable", status=error.status)


def local_path(text: str | None) -> str:
    """A path of our own to go on to; the start page for anything that could lead elsewhere."""
    return text if text and _LOCAL.fullmatch(text) else "/"
