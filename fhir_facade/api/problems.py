"""Errors of the convenience API as problem JSON (RFC 9457): what happened and what to do next, never a trace."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from fhir_facade.api.dependencies import record_refusal
from fhir_facade.api.head import with_head
from fhir_facade.api.pages.troubles import problem_page, wants_page
from fhir_facade.api.wire import Scope
from fhir_facade.errors import FacadeError, NotScorable, TooManyRequests, Unauthenticated, Unavailable

MEDIA_TYPE = "application/problem+json"

_TOLD: Final = {
    404: ("not-found", "there is nothing at this address: /docs lists what there is"),
    405: ("not-supported", "this method is not possible at this address, those in Allow are: see /docs"),
}
"""What the framework says with the status alone."""


def install(app: FastAPI) -> None:
    """Answer every error of the web layer as a problem document."""
    app.add_exception_handler(FacadeError, _facade_error)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(UnicodeEncodeError, _unwritable)
    app.add_exception_handler(ClientDisconnect, _given_up)


def problem(
    status: int,
    title: str,
    detail: str,
    request_id: str,
    headers: Mapping[str, str] | None = None,
    **more: str,
) -> JSONResponse:
    """`more` are extension members, e.g. `field`, `reason`."""
    said = {"title": title, "detail": detail, "request_id": request_id, **more}
    content = {"type": "about:blank", "status": status, **{name: _writable(text) for name, text in said.items()}}
    all_headers = {"Cache-Control": "no-store", **(headers or {})}
    return JSONResponse(content, status, all_headers, media_type=MEDIA_TYPE)


def _writable(text: str) -> str:
    """Without halves of characters, which JSON can be asked to hold and no answer can."""
    return text.encode("utf-8", "replace").decode()


async def _unwritable(request: Request, error: Exception) -> JSONResponse:
    """Half a character somewhere in the body: it can be read, and neither be stored nor be said again."""
    return problem(400, "invalid", "the body holds halves of characters (lone surrogates)", _request_id(request))


async def _facade_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, FacadeError)
    try:
        await record_refusal(request, error)
    except Unavailable as unrecorded:
        error = unrecorded
    headers: dict[str, str] = {}
    if isinstance(error, Unauthenticated):
        headers["WWW-Authenticate"] = "Bearer"
    if isinstance(error, TooManyRequests):
        headers["Retry-After"] = str(error.retry_after_s)
    return problem(error.status, error.code, str(error), _request_id(request), headers, **_extensions(error))


def _extensions(error: FacadeError) -> dict[str, str]:
    """Which member is wrong, and a word for programs, where the error knows them."""
    found = {"field": error.issues[0].expression}
    found["reason"] = error.reason if isinstance(error, NotScorable) else None
    return {name: value for name, value in found.items() if value is not None}


async def _invalid(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    details = "; ".join(f"{'.'.join(map(str, e['loc'][1:])) or e['loc'][0]}: {e['msg']}" for e in error.errors())
    return problem(400, "invalid", details or "the request could not be read", _request_id(request))


def defect(scope: Scope, request_id: str) -> Response:
    """The answer to a mistake of ours: a page for people, a problem document for programs."""
    detail = f"something went wrong here; report it as {request_id}"
    request = Request(scope)
    if wants_page(request):
        return problem_page(request, 500, detail=detail)
    return problem(500, "exception", detail, request_id)


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if wants_page(request):
        return problem_page(request, error.status_code)
    title, detail = _TOLD.get(error.status_code, ("http", str(error.detail)))
    headers = {name: with_head(value) if name == "Allow" else value for name, value in (error.headers or {}).items()}
    return problem(error.status_code, title, detail, _request_id(request), headers)


async def _given_up(request: Request, error: Exception) -> JSONResponse:
    """The caller went away in the middle of the body: nobody reads this, and nothing is wrong here."""
    return problem(400, "invalid", "the connection ended before the body did", _request_id(request))


def _request_id(request: Request) -> str:
    return str(getattr(request.state, "request_id", ""))
