"""The FHIR RESTful API under /fhir: an HTTP call becomes a FhirRequest, its answer becomes bytes.

Pure ASGI, because these are the hot routes. https://hl7.org/fhir/R4/http.html
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from functools import partial
from urllib.parse import parse_qsl

import msgspec

from fhir_facade.api.address import Network, client_address
from fhir_facade.api.binary import as_content, brings_content, wants_content, with_content
from fhir_facade.api.cross_origin import cors, preflight
from fhir_facade.api.formats import CONTENT_TYPE, check_accept, check_content_type, pretty
from fhir_facade.api.headers import CONDITIONS, conditional
from fhir_facade.api.observe import Observer
from fhir_facade.api.wire import (
    Answer,
    Headers,
    Receive,
    Scope,
    Send,
    headers_of,
    http_date,
    read_body,
    request_id,
    respond,
    text,
    transport_security,
)
from fhir_facade.errors import (
    BadRequest,
    Defect,
    FacadeError,
    Forbidden,
    InvalidToken,
    MethodNotAllowed,
    TooManyRequests,
    Unauthenticated,
    Unavailable,
    UnsupportedFormat,
)
from fhir_facade.fhir.document import parse_json
from fhir_facade.fhir.media_types import FORM, PRESENTATION
from fhir_facade.fhir.outcome import outcome_of
from fhir_facade.fhir.query.carried import LARGEST
from fhir_facade.fhir.routes import Route, route
from fhir_facade.fhir.urls import query_pairs
from fhir_facade.interactions.answers import stored_outcome
from fhir_facade.interactions.audit import audit_line
from fhir_facade.interactions.audit_refusals import record_refusal
from fhir_facade.interactions.batch import bundle_kind
from fhir_facade.interactions.call import ANONYMOUS
from fhir_facade.interactions.dispatch import dispatch
from fhir_facade.ports import Ports
from fhir_facade.values import FhirRequest, FhirResponse, Interaction, Principal, StoredResource

Verify = Callable[[str], Awaitable[Principal | None]]
MOST_FIELDS = 200

_SAFE = [
    (b"content-type", CONTENT_TYPE),
    (b"cache-control", b"no-store, private"),
    (b"vary", b"Authorization, Accept, Accept-Encoding, Origin"),
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
]
_WITH_BODY = frozenset(("POST", "PUT", "PATCH"))
_FORMS = frozenset((Interaction.SEARCH_TYPE, Interaction.SEARCH_SYSTEM))
_WRITES = frozenset((Interaction.CREATE, Interaction.UPDATE, Interaction.PATCH))


class FhirApi:
    """ASGI application for everything below /fhir."""

    def __init__(self, ports: Ports, verify: Verify, observer: Observer, trusted: tuple[Network, ...] = ()) -> None:
        self._ports = ports
        self._verify = verify
        self._observer = observer
        self._trusted = trusted
        self._everywhere = transport_security(ports.deployment.fhir_url)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = time.perf_counter()
        headers = headers_of(scope)
        rid = request_id(headers, self._ports.ids.new)
        where: Route | None = None
        asked = "unknown"
        try:
            try:
                if scope["method"] == "OPTIONS":
                    answer = preflight()
                else:
                    where = route(scope["method"], scope["path"].removeprefix("/fhir"))
                    asked = where.interaction._value_
                    answer = await self._answer(scope, receive, headers, where, rid)
            except FacadeError as error:
                address = self._address(scope, headers)
                # no name for the error that comes back: its trace would keep itself and more
                answer = refusal(await self._recorded(error, where, rid, address), self._ports.deployment.fhir_url)
            except Exception:  # noqa: BLE001 - the last line: a defect answers with its id, never with its trace
                self._observer.defect(rid)
                answer = Answer(Defect.status, outcome_of(Defect(rid)), _SAFE)
            if scope["query_string"] and b"_pretty=true" in scope["query_string"]:
                answer = pretty(answer)
            told = ((b"x-request-id", rid.encode()), *cors(headers), *self._everywhere)
            await respond(send, answer, headers, head=scope["method"] == "HEAD", told=told)
        except asyncio.CancelledError:
            self._observer.cut_off("fhir", asked, time.perf_counter() - started, rid)
            raise
        self._observer.request("fhir", asked, answer.status, time.perf_counter() - started, rid)

    async def _recorded(self, error: FacadeError, where: Route | None, rid: str, address: str | None) -> FacadeError:
        """The error, after the audit line of a refusal that never reached the door; Unavailable when it has none."""
        if error.recorded or where is None or not isinstance(error, Unauthenticated | Forbidden):
            return error
        request = FhirRequest(where.interaction, where.type, where.id, request_id=rid, address=address)
        detail = f"{error.status} {error.code}"
        try:
            line = audit_line(self._ports, ANONYMOUS, request, outcome="refused", detail=detail)
            await record_refusal(self._ports, line)
        except Unavailable as unrecorded:
            return unrecorded
        return error

    async def _answer(self, scope: Scope, receive: Receive, headers: Headers, where: Route, rid: str) -> Answer:
        asked = scope["query_string"]
        query = query_pairs(asked.decode("latin-1")) if asked else []
        form, accept = dict(query), text(headers, b"accept")
        content = wants_content(where, accept, asked)
        if not content:
            check_accept(accept, form.get("_format"))
        principal = await self._principal(headers, where, query)
        request = await self._request(scope, receive, headers, where, query, rid)
        if scope["method"] in _WITH_BODY:  # which may have come as slowly as its sender liked
            principal = await self._principal(headers, where, query)
        if scope["method"] == "POST":
            form |= request.params
            check_accept(None, form.get("_format", "json"))
        response = await dispatch(self._ports, principal, request, who=partial(self._holder, headers))
        answer = self._render(request, response)
        if content and response.status == 200:
            return as_content(answer)
        return pretty(answer) if form.get("_pretty") == "true" else answer

    async def _principal(self, headers: Headers, where: Route, query: list[tuple[str, str]]) -> Principal:
        """The holder of the bearer token; nobody only for the CapabilityStatement. Before any body is read."""
        if query and any(name == "access_token" for name, _ in query):
            raise BadRequest("send the access token in the Authorization header, never in the address")
        if b"authorization" not in headers and where.interaction is not Interaction.CAPABILITIES:
            raise Unauthenticated("Sign in: this needs an access token.")
        principal = await self._holder(headers)
        if principal is None and where.interaction is not Interaction.CAPABILITIES:
            raise InvalidToken("the access token is unknown, expired or withdrawn: sign in again")
        return principal or ANONYMOUS

    async def _holder(self, headers: Headers) -> Principal | None:
        """Whose the bearer token is by now; nobody's without one that works."""
        scheme, _, token = headers.get(b"authorization", b"").partition(b" ")
        return await self._verify(token.strip().decode("latin-1")) if scheme.lower() == b"bearer" else None

    async def _request(
        self, scope: Scope, receive: Receive, headers: Headers, where: Route, query: list[tuple[str, str]], rid: str
    ) -> FhirRequest:
        interaction, body = where.interaction, b""
        params = [pair for pair in query if pair[0] not in PRESENTATION]
        content_type = _essence(headers)
        if scope["method"] in _WITH_BODY:
            body = await read_body(receive, headers, limit=self._limit(where))
        if interaction in _FORMS and body:
            params += _form(content_type, body)
            body = b""
        elif body and brings_content(where, text(headers, b"content-type"), body):
            body = with_content(where, body, headers)
        elif body:
            check_content_type(text(headers, b"content-type"), patch=interaction is Interaction.PATCH)
        if interaction is Interaction.TRANSACTION:
            interaction = Interaction(bundle_kind(str(_member(body, "type"))))
        request = FhirRequest(
            interaction,
            where.type,
            where.id,
            where.version,
            tuple(params),
            body,
            where.operation,
            content_type,
            compartment=where.compartment,
            request_id=rid,
            address=self._address(scope, headers),
            in_parts=("_pretty", "true") not in query,
        )
        return request if CONDITIONS.isdisjoint(headers) else conditional(request, headers)

    def _limit(self, where: Route) -> int:
        deployment = self._ports.deployment
        if where.interaction is Interaction.TRANSACTION:
            return max(deployment.max_transaction_bytes, deployment.max_batch_bytes)
        if where.interaction in _FORMS:
            return min(LARGEST, deployment.max_body_bytes)
        return deployment.max_body_bytes

    def _address(self, scope: Scope, headers: Headers) -> str | None:
        peer = scope.get("client")
        forwarded = text(headers, b"x-forwarded-for") if self._trusted else None
        if forwarded is None:
            return peer[0] if peer else None
        return client_address(peer[0] if peer else None, [forwarded], self._trusted)

    def _render(self, request: FhirRequest, response: FhirResponse) -> Answer:
        headers = [*_SAFE]
        stored = response.resource
        if stored is not None:
            headers.append((b"etag", f'W/"{stored.version}"'.encode()))
            headers.append((b"last-modified", http_date(stored.last_updated)))
        if response.location is not None and stored is not None:
            address = f"{self._ports.deployment.fhir_url}/{response.location}/_history/{stored.version}".encode()
            if response.status == 201 or request.interaction is Interaction.CREATE:  # found instead of created, too
                headers.append((b"location", address))
            headers.append((b"content-location", address))
        return Answer(response.status, _body(request, response, stored), headers, response.parts)


def refusal(error: FacadeError, fhir_url: str) -> Answer:
    """An OperationOutcome with the status of the error; 401 says how to sign in, 429 how long to wait."""
    headers = [*_SAFE]
    if isinstance(error, Unauthenticated):
        told = ', error="invalid_token"' if isinstance(error, InvalidToken) else ""
        headers.append((b"www-authenticate", f'Bearer realm="{fhir_url}"{told}'.encode()))
    if isinstance(error, Forbidden):
        headers.append((b"www-authenticate", f'Bearer realm="{fhir_url}", error="insufficient_scope"'.encode()))
    if isinstance(error, MethodNotAllowed) and error.methods:  # https://www.rfc-editor.org/rfc/rfc9110#field.allow
        headers.append((b"allow", ", ".join(error.methods).encode()))
    if isinstance(error, TooManyRequests):
        headers.append((b"retry-after", str(error.retry_after_s).encode()))
    return Answer(error.status, outcome_of(error), headers)


def _body(request: FhirRequest, response: FhirResponse, stored: StoredResource | None) -> bytes:
    if request.interaction in _WRITES and request.prefer.returns == "minimal":
        return b""
    if request.interaction in _WRITES and request.prefer.returns == "OperationOutcome":
        return stored_outcome(stored)
    return response.body


def _essence(headers: Headers) -> str | None:
    """The media type of the body without its parameters."""
    said = text(headers, b"content-type")
    return None if said is None else said.partition(";")[0].strip().lower() or None


def _form(content_type: str | None, body: bytes) -> list[tuple[str, str]]:
    if content_type != FORM:
        raise UnsupportedFormat(f"_search takes its parameters as {FORM}")
    try:
        return parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=MOST_FIELDS)
    except ValueError as error:
        raise BadRequest(f"the form is not UTF-8, or has more than {MOST_FIELDS} fields") from error


class _Typed(msgspec.Struct):
    """A Bundle that says no type happens whole or not at all: HAPI's client sends some deletes like that."""

    type: str = "transaction"


def _member(body: bytes, name: str) -> object:
    """The Bundle's type, without parsing its entries into objects."""
    try:
        return getattr(msgspec.json.decode(body, type=_Typed), name)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        parse_json(body)
        raise BadRequest("a Bundle of type batch or transaction is expected here") from None
