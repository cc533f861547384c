"""Pages that say what went wrong and the way out, in place of an answer that only programs understand.

https://www.w3.org/WAI/WCAG22/Understanding/error-identification
"""

from __future__ import annotations

from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from fhir_facade.api.pages.render import page

_FOR_PROGRAMS: Final = ("/api/", "/fhir", "/oauth/token", "/oauth/jwks", "/health", "/metrics", "/openapi.json")
_KEYS: Final = {
    400: "refused",
    401: "session",
    403: "forbidden",
    404: "absent",
    405: "absent",
    409: "conflict",
    410: "absent",
    412: "conflict",
    428: "conflict",
    422: "refused",
    429: "busy",
    501: "refused",
    502: "unavailable",
    503: "unavailable",
}
_SAID: Final = frozenset(("absent", "conflict", "form", "link", "session"))
"""Texts that say all there is to say."""


def wants_page(request: Request) -> bool:
    """Whether a person looks at the answer: a browser asks for HTML, and not at an address for programs."""
    html = "text/html" in request.headers.get("accept", "")
    return html and not request.url.path.startswith(_FOR_PROGRAMS)


def problem_page(request: Request, status: int, detail: str = "", *, key: str | None = None) -> Response:
    """The page for a status; `key` names another text of the catalogue. `detail` is shown where it says more."""
    key = key or _KEYS.get(status, "defect")
    shown = "" if key in _SAID else detail
    return page(request, "portal/problem.html", status=status, key=key, detail=shown)
