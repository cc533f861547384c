"""All addresses of signing in, in one table. https://hl7.org/fhir/smart-app-launch/STU2.2/conformance.html"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fhir_facade.api.oauth import backchannel, browser, documents, interaction, leaving, login, registering
from fhir_facade.api.oauth.dependencies import OAuthDeps
from fhir_facade.errors import FacadeError

Handler = Callable[[OAuthDeps, Request], Awaitable[Response]]
Refusal = Callable[[Request, FacadeError], Response]

DOCUMENTS_AND_TOKENS: Final[tuple[tuple[str, str, Handler], ...]] = (
    ("OPTIONS", "/fhir/.well-known/smart-configuration", documents.preflight),
    ("GET", "/fhir/.well-known/smart-configuration", documents.smart),
    ("OPTIONS", "/fhir/.well-known/openid-configuration", documents.preflight),
    ("GET", "/fhir/.well-known/openid-configuration", documents.openid),
    ("OPTIONS", "/.well-known/openid-configuration", documents.preflight),
    ("GET", "/.well-known/openid-configuration", documents.openid),
    ("OPTIONS", "/oauth/jwks", documents.preflight),
    ("GET", "/oauth/jwks", documents.jwks),
    ("OPTIONS", "/oauth/style", documents.preflight),
    ("GET", "/oauth/style", documents.style),
    ("POST", "/oauth/token", backchannel.token),
    ("OPTIONS", "/oauth/token", backchannel.preflight),
    ("POST", "/oauth/introspect", backchannel.introspect),
    ("OPTIONS", "/oauth/introspect", backchannel.preflight),
    ("POST", "/oauth/revoke", backchannel.revoke),
    ("OPTIONS", "/oauth/revoke", backchannel.preflight),
    ("POST", "/oauth/register", registering.create),
    ("GET", "/oauth/register/{client_id}", registering.read),
    ("PUT", "/oauth/register/{client_id}", registering.change),
    ("DELETE", "/oauth/register/{client_id}", registering.end),
    ("GET", "/oauth/userinfo", backchannel.userinfo),
    ("POST", "/oauth/userinfo", backchannel.userinfo),
    ("OPTIONS", "/oauth/userinfo", backchannel.preflight),
)
PAGES: Final[tuple[tuple[str, str, Handler], ...]] = (
    ("GET", "/oauth/authorize", interaction.authorize),
    ("POST", "/oauth/authorize", interaction.authorize),
    ("GET", "/oauth/continue", interaction.proceed),
    ("POST", "/oauth/patient", interaction.pick_patient),
    ("POST", "/oauth/consent", interaction.consent),
    ("GET", "/oauth/logout", leaving.logout),
    ("POST", "/oauth/logout", leaving.logout),
    ("POST", "/oauth/logout/confirm", leaving.confirm),
    ("GET", "/login", login.show_login),
    ("POST", "/login", login.log_in),
    ("POST", "/logout", login.log_out),
)


def oauth_routes(deps: OAuthDeps) -> list[Route]:
    """The routes, to be placed before those of `/fhir` and the portal. Pages also need `pages.render.assets`."""
    tables = ((DOCUMENTS_AND_TOKENS, backchannel.unavailable), (PAGES, browser.unavailable))
    return [
        Route(path, partial(_guarded, handler, refusal, deps), methods=[method])
        for table, refusal in tables
        for method, path, handler in table
    ]


async def _guarded(handler: Handler, refusal: Refusal, deps: OAuthDeps, request: Request) -> Response:
    try:
        return await handler(deps, request)
    except FacadeError as error:
        return refusal(request, error)
