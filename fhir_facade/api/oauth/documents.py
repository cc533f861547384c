"""Discovery documents and public keys: readable by everyone, from every origin.

https://hl7.org/fhir/smart-app-launch/STU2.2/conformance.html
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from fhir_facade.api.oauth.dependencies import OAuthDeps
from fhir_facade.flows.launch.issuer import openid_configuration, smart_configuration
from fhir_facade.flows.launch.keys import public_keys
from fhir_facade.values import Json

PUBLIC: Final = {
    "Access-Control-Allow-Origin": "*",
    "Cache-Control": "public, max-age=300",
    "X-Content-Type-Options": "nosniff",
}


async def smart(deps: OAuthDeps, request: Request) -> Response:
    """`/fhir/.well-known/smart-configuration`; JSON whatever the Accept header says."""
    return _document(smart_configuration(deps.issuer))


async def openid(deps: OAuthDeps, request: Request) -> Response:
    """`/fhir/.well-known/openid-configuration`, and the same without `/fhir` for those who look there."""
    return _document(openid_configuration(deps.issuer))


async def jwks(deps: OAuthDeps, request: Request) -> Response:
    """The public keys that check an id_token."""
    return _document(await public_keys(deps.ports))


async def style(deps: OAuthDeps, request: Request) -> Response:
    """How our pages look, for apps that like to look alike. The document that `smart_style_url` names."""
    return Response(_style(), media_type="application/json", headers=PUBLIC)


async def preflight(deps: OAuthDeps, request: Request) -> Response:
    """The question a browser asks before a script's request with headers of its own."""
    asked = request.headers.get("access-control-request-headers", "")
    allowed = {"Access-Control-Allow-Methods": "GET", "Access-Control-Allow-Headers": asked}
    return Response(status_code=204, headers={**PUBLIC, **allowed, "Vary": "Access-Control-Request-Headers"})


@cache
def _style() -> bytes:
    return files(__package__).joinpath("style.json").read_bytes()


def _document(document: Json) -> Response:
    return Response(msgspec.json.encode(document), media_type="application/json", headers=PUBLIC)
