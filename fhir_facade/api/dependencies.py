"""What routes ask for: the ports, and the caller. The only two dependencies of the web layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from fhir_facade.api.address import Network, client_address
from fhir_facade.api.oauth.dependencies import OAuthDeps
from fhir_facade.api.observe import Observer
from fhir_facade.api.pages.cookies import csrf_holds
from fhir_facade.errors import Forbidden, Unauthenticated
from fhir_facade.flows.launch.verify import TokenCache
from fhir_facade.flows.sessions import principal_of_session
from fhir_facade.ports import Ports
from fhir_facade.values import Principal

CSRF_HEADER = "x-csrf-token"
SAFE_METHODS = frozenset(("GET", "HEAD", "OPTIONS"))


@dataclass(frozen=True, slots=True)
class WebDeps:
    """Built once in `app.py`, kept in `app.state.deps`. `lookback_days` is how far a first sync reads back."""

    oauth: OAuthDeps
    tokens: TokenCache
    observer: Observer
    lookback_days: int

    @property
    def ports(self) -> Ports:
        return self.oauth.ports

    @property
    def trusted(self) -> tuple[Network, ...]:
        return self.oauth.trusted


def deps_of(request: Request) -> WebDeps:
    deps: WebDeps = request.app.state.deps
    return deps


def _ports(request: Request) -> Ports:
    return deps_of(request).ports


@dataclass(frozen=True, slots=True)
class Caller:
    """Who called a convenience route. `by_session`: the portal's cookie, not a bearer token."""

    principal: Principal
    request_id: str
    address: str | None
    by_session: bool = False


async def _caller(request: Request) -> Caller:
    """A bearer token, or the portal's session; a changing request by session also needs the CSRF header."""
    deps = deps_of(request)
    rid = str(request.state.request_id)
    peer = request.client.host if request.client else None
    address = client_address(peer, request.headers.getlist("x-forwarded-for"), deps.trusted)
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        principal = await deps.tokens.verify(token.strip())
        if principal is None:
            raise Unauthenticated("the access token is unknown, expired or withdrawn: sign in again")
        return Caller(principal, rid, address)
    secret = deps.oauth.cookies.read(request)
    principal = None if secret is None else await principal_of_session(deps.ports, secret)
    if principal is None:
        raise Unauthenticated("sign in first: send a bearer token, or use the portal")
    if request.method not in SAFE_METHODS and not csrf_holds(secret, request.headers.get(CSRF_HEADER)):
        raise Forbidden("this request did not come from a page of the portal: reload the page and try again")
    return Caller(principal, rid, address, by_session=True)


PortsDep = Annotated[Ports, Depends(_ports)]
CallerDep = Annotated[Caller, Depends(_caller)]
