"""One HTTP call to a vendor: bounded in time, size and attempts, with jitter between them.

https://www.rfc-editor.org/rfc/rfc9110#field.retry-after; what an answer means is the vendor file's business.
"""

from __future__ import annotations

import asyncio
import random
import ssl
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from email.utils import parsedate_to_datetime
from functools import cache
from typing import Any

import httpx
import msgspec

from fhir_facade.errors import VendorError, VendorThrottled

CONNECT_TIMEOUT_S = 10.0
READ_TIMEOUT_S = 30.0
CALL_DEADLINE_S = 60.0
ATTEMPTS = 3
BACKOFF_S = 0.5
RETRY_AFTER_LIMIT_S = 20.0
RETRY_AFTER_DEFAULT_S = 60.0
MAX_ANSWER_BYTES = 32 * 1024 * 1024
POOL = httpx.Limits(max_connections=20, max_keepalive_connections=10)

_DECODER = msgspec.json.Decoder(float_hook=Decimal)


@dataclass(frozen=True, slots=True)
class Call:
    """A request. `form` and `json` are bodies; `again` False: a second attempt could do harm."""

    method: str
    url: str
    query: Mapping[str, str] = field(default_factory=dict)
    form: Mapping[str, str] | None = None
    json: Mapping[str, Any] | None = None
    token: str | None = None
    again: bool = True


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. `document` is None when the body is no JSON object."""

    status: int
    document: Mapping[str, Any] | None
    retry_after_s: float | None


Refusing = Callable[[Answer], Exception | None]


class _Again(Exception):
    """This attempt failed in a way that another one may cure; `error` is what to say if not."""

    def __init__(self, error: VendorError, wait_s: float | None = None) -> None:
        super().__init__(str(error))
        self.error = error
        self.wait_s = wait_s


@cache
def _trusted() -> ssl.SSLContext:
    """What httpx trusts by itself, read once for all vendors: the certificates of all authorities take 20 ms."""
    return httpx.create_ssl_context()


class VendorCalls:
    """Sends calls. `vendor` names the vendor in errors; `pause` and `chance` are the waiting and the jitter."""

    def __init__(
        self,
        vendor: str,
        *,
        now: Callable[[], datetime],
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
        chance: Callable[[], float] = random.random,
        read_timeout_s: float = READ_TIMEOUT_S,
    ) -> None:
        self._vendor = vendor
        self._now = now
        self._pause = pause
        self._chance = chance
        timeout = httpx.Timeout(read_timeout_s, connect=CONNECT_TIMEOUT_S)
        self._http = httpx.AsyncClient(verify=_trusted(), timeout=timeout, limits=POOL, follow_redirects=False)

    async def close(self) -> None:
        await self._http.aclose()

    async def send(self, call: Call, refusing: Refusing) -> Mapping[str, Any]:
        """The JSON object of a good answer. `refusing` says what a bad one means; None leaves it to the rules here:
        429 and 5xx and unreadable answers are tried again, the rest is a VendorError."""
        attempts = ATTEMPTS if call.again else 1
        for attempt in range(1, attempts + 1):
            try:
                return await self._attempt(call, refusing)
            except _Again as failure:
                wait_s = self._wait(failure, attempt)
                if attempt == attempts or wait_s > RETRY_AFTER_LIMIT_S:
                    raise failure.error from failure.__cause__
                await self._pause(wait_s)
        raise AssertionError("unreachable: the last attempt returns or raises")

    def _wait(self, failure: _Again, attempt: int) -> float:
        if failure.wait_s is not None:
            return failure.wait_s
        return BACKOFF_S * 2.0 ** (attempt - 1) * (0.5 + self._chance())

    async def _attempt(self, call: Call, refusing: Refusing) -> Mapping[str, Any]:
        answer = await self._answer(call)
        if answer.status < 300 and answer.document is not None:
            return answer.document
        refused = refusing(answer)
        if refused is not None:
            raise refused
        raise self._failure(answer)

    def _failure(self, answer: Answer) -> Exception:
        if answer.status == 429:
            seconds = answer.retry_after_s
            text = f"{self._vendor} asks us to slow down; the next synchronisation goes on."
            known = RETRY_AFTER_DEFAULT_S if seconds is None else seconds
            return _Again(VendorThrottled(text, retry_after_s=known), seconds)
        if answer.status < 300:
            return _Again(VendorError(f"{self._vendor} answered something that is no JSON object; try again later."))
        error = VendorError(f"{self._vendor} answered with HTTP status {answer.status}; try again later.")
        return _Again(error, answer.retry_after_s) if answer.status >= 500 else error

    async def _answer(self, call: Call) -> Answer:
        try:
            async with asyncio.timeout(CALL_DEADLINE_S):
                return await self._exchange(call)
        except (TimeoutError, httpx.TimeoutException) as cause:
            raise _Again(VendorError(f"{self._vendor} did not answer in time; try again later.")) from cause
        except (httpx.HTTPError, httpx.InvalidURL) as cause:
            raise _Again(VendorError(f"{self._vendor} could not be reached; try again later.")) from cause

    async def _exchange(self, call: Call) -> Answer:
        headers = {"Accept": "application/json"}
        if call.token is not None:
            headers["Authorization"] = f"Bearer {call.token}"
        content = None if call.json is None else msgspec.json.encode(call.json)
        if content is not None:
            headers["Content-Type"] = "application/json"
        request = self._http.build_request(
            call.method, call.url, params=call.query or None, data=call.form, content=content, headers=headers
        )
        response = await self._http.send(request, stream=True)
        try:
            body = await self._body(response)
        finally:
            await response.aclose()
        return Answer(response.status_code, _document(body), self._retry_after(response.headers.get("Retry-After")))

    async def _body(self, response: httpx.Response) -> bytes:
        body = bytearray()
        async for piece in response.aiter_bytes():
            body += piece
            if len(body) > MAX_ANSWER_BYTES:
                raise VendorError(f"{self._vendor} answered more than {MAX_ANSWER_BYTES} bytes; nothing was read.")
        return bytes(body)

    def _retry_after(self, text: str | None) -> float | None:
        """Seconds from either form of the header; None when absent or unreadable."""
        if not text:
            return None
        if text.isascii() and text.isdigit():
            return float(text[:9])
        try:
            at = parsedate_to_datetime(text)
        except ValueError:
            return None
        return max(0.0, (at.replace(tzinfo=at.tzinfo or UTC) - self._now()).total_seconds())


def _document(body: bytes) -> Mapping[str, Any] | None:
    try:
        found = _DECODER.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
