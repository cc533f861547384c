"""What the routes of signing in need, and how they read a request."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl

from starlette.requests import Request

from fhir_facade.api.address import Network, client_address
from fhir_facade.api.pages.cookies import CookieJar
from fhir_facade.api.wire import headers_of, request_id
from fhir_facade.fhir.media_types import FORM
from fhir_facade.flows.launch.issuer import Issuer
from fhir_facade.flows.launch.sign_in import Caller, SignIn
from fhir_facade.ports import Ports

LARGEST_FORM: Final = 64 * 1024
MOST_FIELDS: Final = 200

Pairs = list[tuple[str, str]]


class UnreadableForm(ValueError):
    """The body or query is no form we read; the text says why."""


@dataclass(frozen=True, slots=True)
class OAuthDeps:
    """`plain_loopback`: the public URL is http on this machine. `trusted` are the proxies whose word counts."""

    sign_in: SignIn
    plain_loopback: bool
    trusted: tuple[Network, ...] = ()

    @property
    def ports(self) -> Ports:
        return self.sign_in.ports

    @property
    def issuer(self) -> Issuer:
        return self.sign_in.issuer

    @property
    def cookies(self) -> CookieJar:
        return CookieJar(self.plain_loopback)

    def caller(self, request: Request) -> Caller:
        """The address behind trusted proxies, and the request's id as an outer layer or the caller gave it."""
        peer = request.client.host if request.client else None
        forwarded = request.headers.getlist("x-forwarded-for")
        name = getattr(request.state, "request_id", None) or request_id(headers_of(request.scope), self.ports.ids.new)
        return Caller(client_address(peer, forwarded, self.trusted), name)


async def form_pairs(request: Request) -> Pairs:
    """The fields of a form body in order. UnreadableForm for another content type, broken UTF-8, or too much."""
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type != FORM:
        raise UnreadableForm(f"The body is a form: {FORM}.")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > LARGEST_FORM:
            raise UnreadableForm("The form is too large.")
    return _pairs(bytes(body))


def query_pairs(request: Request) -> Pairs:
    """The parameters of the query in order. UnreadableForm as for forms."""
    return _pairs(request.scope.get("query_string", b""))


def _pairs(encoded: bytes) -> Pairs:
    try:
        text = encoded.decode("ascii")
        return parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=MOST_FIELDS)
    except ValueError:
        raise UnreadableForm("The parameters are not URL-encoded UTF-8, or there are too many.") from None
