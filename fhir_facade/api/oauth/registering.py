"""Apps register themselves over HTTP. https://www.rfc-editor.org/rfc/rfc7591, https://www.rfc-editor.org/rfc/rfc7592"""

from __future__ import annotations

from typing import Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from fhir_facade.api.oauth.dependencies import OAuthDeps
from fhir_facade.errors import TooManyRequests
from fhir_facade.flows.launch.registration import (
    change_registration,
    end_registration,
    read_registration,
    record_refused,
    register,
)
from fhir_facade.flows.launch.server import Answer

LARGEST: Final = 64 * 1024


async def create(deps: OAuthDeps, request: Request) -> Response:
    """POST /oauth/register, with an initial access token."""
    return await _answered(deps, request, await register(deps.sign_in, await _body(request), _authorization(request)))


async def read(deps: OAuthDeps, request: Request) -> Response:
    """GET /oauth/register/{client_id}, with the registration access token."""
    return await _answered(deps, request, await read_registration(deps.sign_in, _id(request), _authorization(request)))


async def change(deps: OAuthDeps, request: Request) -> Response:
    """PUT /oauth/register/{client_id}."""
    body, authorization = await _body(request), _authorization(request)
    return await _answered(deps, request, await change_registration(deps.sign_in, _id(request), body, authorization))


async def end(deps: OAuthDeps, request: Request) -> Response:
    """DELETE /oauth/register/{client_id}."""
    return await _answered(deps, request, await end_registration(deps.sign_in, _id(request), _authorization(request)))


async def _answered(deps: OAuthDeps, request: Request, answer: Answer) -> Response:
    if answer.status == 401:
        caller = deps.caller(request)
        await record_refused(deps.sign_in, caller)
        try:
            deps.sign_in.flood.refuse(caller.address, deps.ports.clock.now())
        except TooManyRequests as error:
            answer = Answer(429, {"error": "temporarily_unavailable", "error_description": str(error)})
    body = b"" if answer.status == 204 else msgspec.json.encode(answer.body)
    return Response(body, answer.status, dict(answer.headers), "application/json")


async def _body(request: Request) -> bytes:
    """What is longer than any registration is cut, and then is no JSON."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > LARGEST:
            break
    return bytes(body[:LARGEST])


def _authorization(request: Request) -> str | None:
    return ", ".join(request.headers.getlist("authorization")) or None


def _id(request: Request) -> str:
    return str(request.path_params["client_id"])
