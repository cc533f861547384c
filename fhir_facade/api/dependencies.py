"""What routes ask for: the ports, and the caller. The only two dependencies of the web layer."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

from fastapi import Depends, Request

from fhir_facade.api.address import Network, client_address
from fhir_facade.api.listeners import Listeners
from fhir_facade.api.oauth.dependencies import OAuthDeps
from fhir_facade.api.observe import Observer
from fhir_facade.api.pages.cookies import csrf_holds
from fhir_facade.errors import FacadeError, Forbidden, InvalidToken, NotFound, Unauthenticated
from fhir_facade.flows.admission import Origin
from fhir_facade.flows.background import RunningSyncs
from fhir_facade.flows.launch.opaque import digest
from fhir_facade.flows.launch.verify import TokenCache
from fhir_facade.flows.sessions import principal_of_session
from fhir_facade.interactions.audit import record_lines
from fhir_facade.interactions.audit_refusals import record_refusal as record_refusal_of_nobody
from fhir_facade.ports import Ports
from fhir_facade.rows.audit import AuditLine
from fhir_facade.values import Principal

CSRF_HEADER = "x-csrf-token"
NO_PAGE = (
    "this request did not come from a page of the portal: reload the page and try again; "
    "a program sends the value of the field csrf of a page's form as X-CSRF-Token"
)
SAFE_METHODS = frozenset(("GET", "HEAD", "OPTIONS"))
ACTIONS = {"GET": "read", "HEAD": "read", "POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
LONGEST_ENTITY = 200


@dataclass(frozen=True, slots=True)
class WebDeps:
    """Built once in `app.py`, kept in `app.state.deps`."""

    oauth: OAuthDeps
    tokens: TokenCache
    observer: Observer
    syncs: RunningSyncs
    metrics_token: str = ""
    """What whoever asks for metrics from elsewhere has to say; empty: nobody may."""
    listeners: Listeners = field(default_factory=Listeners)

    @property
    def ports(self) -> Ports:
        return self.oauth.ports

    @property
    def trusted(self) -> tuple[Network, ...]:
        return self.oauth.trusted


def deps_of(request: Request) -> WebDeps:
    deps: WebDeps = request.app.state.deps
    return deps


async def _ports(request: Request) -> Ports:
    """Nothing here waits, but the framework would call a plain function in a thread."""
    return deps_of(request).ports


@dataclass(frozen=True, slots=True)
class Caller:
    """Who called a convenience route. `session` names the portal session; None: a bearer token."""

    principal: Principal
    request_id: str
    address: str | None
    session: str | None = None

    @property
    def origin(self) -> Origin:
        return Origin(self.request_id, self.address)


async def _caller(request: Request) -> Caller:
    """A bearer token, or the portal's session; a changing request by session also needs the CSRF header."""
    return await _identified(request, touch=True)


async def caller_again(request: Request) -> Caller:
    """Who calls, judged anew while a long answer goes on; that alone does not keep a session alive. Unauthenticated."""
    return await _identified(request, touch=False)


def authorization_of(request: Request) -> str:
    """The Authorization header; two of them are one that means nothing, so that nobody reads past the other."""
    return ", ".join(request.headers.getlist("authorization"))


async def _identified(request: Request, *, touch: bool) -> Caller:
    deps, origin = deps_of(request), origin_of(request)
    scheme, _, token = authorization_of(request).partition(" ")
    if scheme.lower() == "bearer":
        principal = await deps.tokens.verify(token.strip())
        if principal is None:
            raise InvalidToken("the access token is unknown, expired or withdrawn: sign in again")
        return _known(request, Caller(principal, origin.request_id, origin.address))
    secret = deps.oauth.cookies.read(request)
    principal = None if secret is None else await principal_of_session(deps.ports, secret, touch=touch)
    if secret is None or principal is None:
        raise Unauthenticated("sign in first: send a bearer token, or use the portal")
    caller = _known(request, Caller(principal, origin.request_id, origin.address, digest(secret)))
    if request.method not in SAFE_METHODS and not csrf_holds(secret, request.headers.get(CSRF_HEADER)):
        raise Forbidden(NO_PAGE)
    return caller


def origin_of(request: Request) -> Origin:
    """The request's id, and the address behind trusted proxies."""
    peer = request.client.host if request.client else None
    address = client_address(peer, request.headers.getlist("x-forwarded-for"), deps_of(request).trusted)
    return Origin(str(getattr(request.state, "request_id", "")), address)


def _known(request: Request, caller: Caller) -> Caller:
    """Remembered with the request, so that a refusal can say whom it refused."""
    request.state.caller = caller
    return caller


async def record_refusal(request: Request, error: FacadeError) -> None:
    """Write the audit line of a refusal that no other room recorded. Unavailable when it cannot be written."""
    if error.recorded or not isinstance(error, Unauthenticated | Forbidden | NotFound):
        return
    caller: Caller | None = getattr(request.state, "caller", None)
    origin, ports = origin_of(request), deps_of(request).ports
    line = AuditLine(
        at=ports.clock.now(),
        action=ACTIONS.get(request.method, request.method.lower()),
        outcome="refused",
        actor="anonymous" if caller is None else caller.principal.name or caller.principal.kind,
        user=None if caller is None else caller.principal.user,
        client=None if caller is None else caller.principal.client,
        token=None if caller is None else caller.principal.token,
        entity=request.url.path[:LONGEST_ENTITY],
        detail=f"{error.status} {error.code}",
        address=origin.address,
        request_id=origin.request_id,
    )
    await (record_refusal_of_nobody(ports, line) if caller is None else record_lines(ports, [line]))
    error.recorded = True


PortsDep = Annotated[Ports, Depends(_ports)]
CallerDep = Annotated[Caller, Depends(_caller)]
