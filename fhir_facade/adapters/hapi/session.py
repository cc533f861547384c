"""What is sent to HAPI and what its answers mean: its refusals become errors of the facade.

https://hl7.org/fhir/R4/http.html
"""

from __future__ import annotations

import asyncio
import re
import uuid
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Literal

import msgspec

from fhir_facade.adapters.hapi.connections import Address, Connections
from fhir_facade.adapters.hapi.sentences import without_inside
from fhir_facade.errors import (
    BadRequest,
    Conflict,
    FacadeError,
    Gone,
    InvalidResource,
    NotFound,
    NotSupported,
    PreconditionFailed,
    TooLarge,
    Unavailable,
    UpstreamError,
)

ANSWER_TIMEOUT_S = 60.0
PING_TIMEOUT_S = 5.0
PAGE_BYTES = 16 * 1024 * 1024

request_id: ContextVar[str | None] = ContextVar("request_id", default=None)
"""The id that HAPI keeps of the request that is under way (its first 16 characters, as `meta.source`)."""

_VALID_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,200}")
_UNSAFE = re.compile(r"[\x00-\x20\x7f]")
_FHIR_JSON = "application/fhir+json"
# Packed, because HAPI sends an answer that is not packed member by member, each in a packet of its own.
_HEADERS = {"Accept": _FHIR_JSON, "Accept-Encoding": "gzip", "Cache-Control": "no-cache"}
_REFUSALS: dict[int, type[FacadeError]] = {
    400: BadRequest,
    404: NotFound,
    409: Conflict,
    410: Gone,
    412: PreconditionFailed,
    413: TooLarge,
    422: InvalidResource,
    501: NotSupported,
}


class _Issue(msgspec.Struct):
    diagnostics: str = ""


class _Outcome(msgspec.Struct):
    issue: list[_Issue] = []


_OUTCOME = msgspec.json.Decoder(_Outcome)


@dataclass(frozen=True, slots=True)
class Answer:
    """What HAPI answered; `location` is the address of the version, `request_id` what we sent. `overlong`: the body
    was longer than asked for and is not here."""

    status: int
    body: bytes
    location: str
    request_id: str
    overlong: bool = False

    @property
    def diagnostics(self) -> str:
        """The first issue of an OperationOutcome with HAPI's error codes, or nothing."""
        try:
            issues = _OUTCOME.decode(self.body).issue
        except msgspec.DecodeError:
            return ""
        return issues[0].diagnostics if issues else ""

    def refusal(self, asked: str) -> FacadeError:
        """The error that this answer means to a caller who wanted `asked`."""
        said = without_inside(self.diagnostics)
        refusal = _REFUSALS.get(self.status)
        if refusal is not None:
            return refusal(said or f"{asked}: refused with {self.status}")
        if self.status in (500, 503, 504):
            return Unavailable(f"HAPI cannot serve {asked} now ({self.status}); try again later")
        return UpstreamError(f"HAPI answered {asked} with {self.status}")


class HapiSession:
    """Keeps the connections. Made inside a running event loop; `close` ends it."""

    def __init__(self, base_url: str, *, pool_size: int, page_bytes: int = PAGE_BYTES) -> None:
        self.page_bytes = page_bytes
        self._base = base_url.rstrip("/")
        self._address = Address(self._base)
        self._connections = Connections(self._address, limit=pool_size)

    @property
    def base(self) -> str:
        return self._base

    async def send(
        self,
        method: Literal["GET", "POST", "PUT", "DELETE"],
        path: str,
        body: bytes | None = None,
        *,
        headers: dict[str, str] | None = None,
        timeout_s: float = ANSWER_TIMEOUT_S,
        most: int | None = None,
    ) -> Answer:
        """`path` follows the base URL and is encoded already. Unavailable: no answer; everything else is an answer. At
        most `most` bytes of it are read, None: all."""
        sent = "" if method == "GET" else _request_id()
        message = self._message(method, path, body, headers or {}, sent)
        repeatable = method == "GET" or path.endswith("/_search")
        try:
            async with asyncio.timeout(timeout_s):
                received = await self._connections.ask(message, repeatable=repeatable, most=most)
        except TimeoutError as error:
            next_ = (
                "try again later" if repeatable else "it may still do what was asked: look before you ask for it again"
            )
            raise Unavailable(f"HAPI did not answer within {timeout_s:g} s; {next_}") from error
        except OSError as error:
            raise Unavailable(f"HAPI cannot be reached: {type(error).__name__}") from error
        location = received.headers.get(b"content-location") or received.headers.get(b"location") or b""
        return Answer(received.status, received.body, location.decode("latin-1"), sent, received.overlong)

    def _message(self, method: str, path: str, body: bytes | None, headers: dict[str, str], sent: str) -> bytes:
        if _UNSAFE.search(path):
            raise BadRequest("an address with blanks or control characters cannot be asked for")
        given = (
            {**_HEADERS, "Content-Type": _FHIR_JSON, "Content-Length": str(len(body))} if body is not None else _HEADERS
        )
        named = {**given, "X-Request-ID": sent, **headers} if sent else {**given, **headers}
        lines = "".join([f"{name}: {value}\r\n" for name, value in named.items()])
        head = f"{method} {self._address.path}{path} HTTP/1.1\r\n{self._address.headers}{lines}\r\n"
        return head.encode("latin-1") + (body or b"")

    async def close(self) -> None:
        self._connections.close()


def _request_id() -> str:
    """That of the intent under which is written, else a new one."""
    given = request_id.get()
    return given if given and _VALID_REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
