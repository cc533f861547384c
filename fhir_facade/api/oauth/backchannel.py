"""The endpoints apps call without a browser window: token, introspection, revocation.

https://www.rfc-editor.org/rfc/rfc6749#section-3.2; scripts may call from the origins of registered redirect URIs.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from fhir_facade.api.oauth.dependencies import OAuthDeps, UnreadableForm, form_pairs
from fhir_facade.errors import FacadeError
from fhir_facade.flows.launch.clients import origin_registered
from fhir_facade.flows.launch.endpoints import introspection_endpoint, revocation_endpoint, token_endpoint
from fhir_facade.flows.launch.request import Pairs
from fhir_facade.flows.launch.server import Answer
from fhir_facade.flows.launch.sign_in import Caller, SignIn
from fhir_facade.flows.launch.userinfo import userinfo as look

Endpoint = Callable[[SignIn, Pairs, str | None, Caller], Awaitable[Answer]]


async def token(deps: OAuthDeps, request: Request) -> Response:
    """POST /oauth/token: a code, a refresh token or a client assertion becomes an access token."""
    return await _answer(deps, request, token_endpoint)


async def introspect(deps: OAuthDeps, request: Request) -> Response:
    """POST /oauth/introspect: what a token is worth now."""
    return await _answer(deps, request, introspection_endpoint)


async def revoke(deps: OAuthDeps, request: Request) -> Response:
    """POST /oauth/revoke: give a token back, and with it everything of the same consent."""
    return await _answer(deps, request, revocation_endpoint)


async def userinfo(deps: OAuthDeps, request: Request) -> Response:
    """GET or POST /oauth/userinfo: who the bearer of a token is."""
    authorization = ", ".join(request.headers.getlist("authorization")) or None
    return _json(await look(deps.sign_in, authorization, deps.caller(request)), await _cors(deps, request))


async def preflight(deps: OAuthDeps, request: Request) -> Response:
    """The question a browser asks before a script's request with an Authorization header."""
    allowed = await _cors(deps, request)
    if "Access-Control-Allow-Origin" in allowed:
        allowed |= {
            "Access-Control-Allow-Methods": "GET, POST",
            "Access-Control-Allow-Headers": "Authorization, Content-Type",
            "Access-Control-Max-Age": "600",
        }
    return Response(status_code=204, headers=allowed)


async def _answer(deps: OAuthDeps, request: Request, endpoint: Endpoint) -> Response:
    cors = await _cors(deps, request)
    try:
        if request.scope["query_string"]:
            raise UnreadableForm("Parameters belong into the body, not into the address.")
        pairs = await form_pairs(request)
    except UnreadableForm as error:
        return _json(Answer(400, {"error": "invalid_request", "error_description": str(error)}), cors)
    authorization = ", ".join(request.headers.getlist("authorization")) or None
    return _json(await endpoint(deps.sign_in, pairs, authorization, deps.caller(request)), cors)


def unavailable(request: Request, error: FacadeError) -> Response:
    """The answer when something we depend on is down: nothing was issued, try again."""
    return _json(Answer(error.status, {"error": "temporarily_unavailable", "error_description": str(error)}), {})


def _json(answer: Answer, cors: Mapping[str, str]) -> Response:
    headers = dict(answer.headers) | dict(cors)
    return Response(msgspec.json.encode(answer.body), answer.status, headers, "application/json")


async def _cors(deps: OAuthDeps, request: Request) -> dict[str, str]:
    """Headers for a script's origin, when some registered app lives there; nothing otherwise."""
    origin = request.headers.get("origin")
    if origin is None:
        return {}
    allowed = await origin_registered(deps.ports, origin)
    return {"Vary": "Origin"} | ({"Access-Control-Allow-Origin": origin} if allowed else {})
