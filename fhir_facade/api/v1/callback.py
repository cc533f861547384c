"""Where the vendor sends the browser back: on to the portal when somebody is signed in there, else a page that tells.

https://www.rfc-editor.org/rfc/rfc6749#section-4.1.2
"""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter, Request
from starlette.responses import Response

from fhir_facade.api.dependencies import deps_of
from fhir_facade.api.oauth.browser import browser_of
from fhir_facade.api.pages.render import page, see_other
from fhir_facade.api.problems import problem
from fhir_facade.api.v1.connections import CALLBACK
from fhir_facade.errors import AlreadyLinked, BadRequest, FacadeError, VendorError, Withdrawn
from fhir_facade.flows.connect import finish
from fhir_facade.flows.connections import ConnectionView
from fhir_facade.flows.launch.verify import principal_of_account

DENIED: Final = 403
FAILED: Final = {"not-linked": 409}
TEMPLATE: Final = "connection/returned.html"

router = APIRouter(tags=["wearables"])


@router.get(
    CALLBACK,
    responses={
        303: {"description": "The connection, in the portal"},
        403: {"description": "The access was not granted, or the permission to begin was withdrawn meanwhile"},
        409: {"description": "The vendor's account cannot be linked here; the page says what to do"},
    },
)
async def callback(request: Request) -> Response:
    """Complete a connection by its single-use `state`."""
    deps, query = deps_of(request), request.query_params
    browser = await browser_of(deps.oauth, request)
    signed_in = browser.signed_in
    try:
        connection = await finish(
            deps.ports,
            state=query.get("state", ""),
            code=query.get("code"),
            error=query.get("error"),
            session=None if signed_in is None else signed_in.session.hash,
            person=None if signed_in is None else principal_of_account(signed_in.account),
        )
    except FacadeError as error:
        return _problem(request, error.status, _text(error), str(error), code=error.code)
    return _told(request, connection) if signed_in is None else see_other(f"/connections/{connection.id}")


def _text(error: FacadeError) -> str:
    """The sentence of the page, which says what to do."""
    if isinstance(error, AlreadyLinked):
        return f"returned.{error.reason}"
    if isinstance(error, Withdrawn):
        return "returned.withdrawn"
    return "returned.stale" if isinstance(error, BadRequest) else "returned.unavailable"


def _told(request: Request, connection: ConnectionView) -> Response:
    if connection.last_error is None:
        return page(request, TEMPLATE, title="returned.title", text="returned.done", detail="", good=True)
    if "code" not in request.query_params or "error" in request.query_params:
        return _problem(request, DENIED, "returned.denied", connection.last_error)
    status = FAILED.get(connection.state, VendorError.status)
    return _problem(request, status, "returned.failed", connection.last_error, detail=connection.last_error)


def _problem(
    request: Request, status: int, text: str, said: str, *, detail: str = "", code: str = "processing"
) -> Response:
    """A page for browsers, a problem document for programs that ask for JSON: it says `said`."""
    accept = request.headers.get("accept", "")
    if "json" in accept and "text/html" not in accept:
        return problem(status, code, said, str(getattr(request.state, "request_id", "")))
    return page(request, TEMPLATE, status=status, title="returned.problem", text=text, good=False, detail=detail)
