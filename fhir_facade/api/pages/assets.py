"""The style sheet and the other files of our pages, at /static: few and small, so each is read once and kept.

https://www.rfc-editor.org/rfc/rfc9110#section-13.1.2
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib.resources import files
from mimetypes import guess_type

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route


@dataclass(frozen=True, slots=True)
class Asset:
    """`etag` changes with the content."""

    content: bytes
    media_type: str
    etag: str


def assets() -> Route:
    """A browser asks whether what it has is still that, and is told so without the content."""
    return Route("/static/{name}", _asset)


async def _asset(request: Request) -> Response:
    found = _all().get(request.path_params["name"])
    if found is None:
        raise HTTPException(404)
    headers = {"ETag": found.etag, "Cache-Control": "no-cache"}
    if found.etag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return Response(found.content, media_type=found.media_type, headers=headers)


@cache
def _all() -> dict[str, Asset]:
    folder = files("fhir_facade.api").joinpath("static")
    contents = {each.name: each.read_bytes() for each in folder.iterdir()}
    return {name: Asset(content, _media_type(name), _etag(content)) for name, content in contents.items()}


def _media_type(name: str) -> str:
    return guess_type(name)[0] or "application/octet-stream"


def _etag(content: bytes) -> str:
    return f'"{sha256(content).hexdigest()[:32]}"'
