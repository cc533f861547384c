"""One pooled HTTP session to HAPI; its refusals become errors of the facade.

https://docs.aiohttp.org/en/stable/client_advanced.html#limiting-connection-pool-size
"""

from __future__ import annotations

import re
import uuid
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Literal

import aiohttp
import msgspec
from yarl import URL

from fhir_facade.errors import (
    BadRequest,
    Conflict,
    FacadeError,
    Gone,
    InvalidResource,
    NotFound,
    PreconditionFailed,
    TooLarge,
    Unavailable,
    UpstreamError,
)

CONNECT_TIMEOUT_S = 3.0
ANSWER_TIMEOUT_S = 60.0
PING_TIMEOUT_S = 5.0
KEEP_ALIVE_S = 15.0  # Tomcat closes after 20 s; a connection that it closes under us would fail a request

request_id: ContextVar[str | None] = ContextVar("request_id", default=None)
"""The id that HAPI keeps of the request that is under way (its first 16 characters, as `meta.source`)."""

_VALID_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,200}")
_HEADERS = {
    "Accept": "application/fhir+json",
    "Accept-Encoding": "identity",  # loopback or one rack: packing costs more time than it saves
    "Cache-Control": "no-cache",
    "Content-Type": "application/fhir+json",
}
_CODE = re.compile(r"HAPI-\d{4}: ")
_REFUSALS: dict[int, type[FacadeError]] = {
    400: BadRequest,
    404: NotFound,
    409: Conflict,
    410: Gone,
    412: PreconditionFailed,
    413: TooLarge,
    422: InvalidResource,
}


class _Issue(msgspec.Struct):
    diagnostics: str = ""


class _Outcome(msgspec.Struct):
    issue: list[_Issue] = []


_OUTCOME = msgspec.json.Decoder(_Outcome)


@dataclass(frozen=True, slots=True)
class Answer:
    """What HAPI answered; `location` is the address of the version, `request_id` what we sent."""

    status: int
    body: bytes
    location: str
    request_id: str

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
        said = _CODE.sub("", self.diagnostics)
        refusal = _REFUSALS.get(self.status)
        if refusal is not None:
            return refusal(said or f"{asked}: refused with {self.status}")
        if self.status in (500, 503, 504):
            return Unavailable(f"HAPI cannot serve {asked} now ({self.status}); try again later")
        return UpstreamError(f"HAPI answered {asked} with {self.status}")


class HapiSession:
    """Keeps the connections. Made inside a running event loop; `close` ends it."""

    def __init__(self, base_url: str, *, pool_size: int) -> None:
        self._base = base_url.rstrip("/")
        self._client = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=pool_size, keepalive_timeout=KEEP_ALIVE_S),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers=_HEADERS,
            timeout=aiohttp.ClientTimeout(total=ANSWER_TIMEOUT_S, sock_connect=CONNECT_TIMEOUT_S),
        )

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
    ) -> Answer:
        """`path` follows the base URL and is encoded already. Unavailable: no answer; everything else is an answer."""
        given = request_id.get()
        sent = given if given and _VALID_REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
        try:
            async with self._client.request(
                method,
                URL(f"{self._base}{path}", encoded=True),
                data=body,
                headers={"X-Request-ID": sent, **(headers or {})},
                timeout=aiohttp.ClientTimeout(total=timeout_s, sock_connect=CONNECT_TIMEOUT_S),
                allow_redirects=False,
            ) as answer:
                content = await answer.read()
                location = answer.headers.get("Content-Location") or answer.headers.get("Location") or ""
                return Answer(answer.status, content, location, sent)
        except TimeoutError as error:
            raise Unavailable(f"HAPI did not answer within {timeout_s:g} s") from error
        except aiohttp.ClientError as error:
            raise Unavailable(f"HAPI cannot be reached: {type(error).__name__}") from error

    async def close(self) -> None:
        await self._client.close()
