"""The one cookie of the portal: a random secret that names the browser, and the session once someone signed in.

https://datatracker.ietf.org/doc/html/draft-ietf-httpbis-rfc6265bis#name-the-__host-prefix
"""

from __future__ import annotations

import hmac
import re
from dataclasses import dataclass
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from fhir_facade.flows.launch.opaque import csrf_token

SECRET: Final = re.compile(r"[A-Za-z0-9_-]{40,64}")


@dataclass(frozen=True, slots=True)
class CookieJar:
    """`plain`: on http://localhost browsers keep neither `Secure` nor `__Host-` cookies."""

    plain: bool

    @property
    def name(self) -> str:
        return "fhir_facade" if self.plain else "__Host-fhir_facade"

    def read(self, request: Request) -> str | None:
        """The browser's secret; None when it has none or a malformed one."""
        value = request.cookies.get(self.name, "")
        return value if SECRET.fullmatch(value) else None

    def write(self, response: Response, secret: str) -> None:
        """Until the browser is closed; how long a session really lives is decided by its row."""
        response.set_cookie(self.name, secret, path="/", secure=not self.plain, httponly=True, samesite="lax")


def csrf_holds(secret: str | None, sent: str | None) -> bool:
    """Whether a form came from a page we made for this very browser."""
    if not secret or not sent:
        return False
    return hmac.compare_digest(csrf_token(secret).encode(), sent.encode("utf-8", "surrogatepass"))
