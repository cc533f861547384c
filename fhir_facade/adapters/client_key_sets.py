"""Fetches the JSON Web Key Sets of registered apps, with narrow limits, and keeps them as long as they allow.

https://hl7.org/fhir/smart-app-launch/STU2.2/client-confidential-asymmetric.html#registering-a-client-communicating-public-keys
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import httpx

from fhir_facade.errors import UpstreamError

TIMEOUT_S: Final = 5.0
LARGEST: Final = 64 * 1024
KEPT_AT_LEAST_S: Final = 60.0
"""Also how long an unknown `kid` has to wait before the address is asked again."""
KEPT_AT_MOST_S: Final = 3600.0
KEPT_BY_DEFAULT_S: Final = 300.0
MOST_KEPT: Final = 1000

_MAX_AGE: Final = re.compile(r"(?:^|[,\s])max-age=(\d{1,9})")


@dataclass(frozen=True, slots=True)
class _Kept:
    document: bytes
    fetched: float
    until: float


class HttpKeySets:
    """`KeySets` over HTTP: no redirects, five seconds, 64 kB, nothing sent along. One request per address at a time."""

    def __init__(
        self, monotonic: Callable[[], float] = time.monotonic, transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        self._monotonic = monotonic
        self._transport = transport
        self._kept: dict[str, _Kept] = {}
        self._turns: dict[str, asyncio.Lock] = {}

    async def fetch(self, url: str, *, fresh: bool = False) -> bytes:
        async with self._turns.setdefault(url, asyncio.Lock()):
            kept, now = self._kept.get(url), self._monotonic()
            if kept is not None and now < (kept.fetched + KEPT_AT_LEAST_S if fresh else kept.until):
                return kept.document
            document, lifetime = await self._ask(url)
            if len(self._kept) >= MOST_KEPT:
                self._kept.clear()
            self._kept[url] = _Kept(document, now, now + lifetime)
            return document

    async def close(self) -> None:
        if "_client" in vars(self):
            await self._client.aclose()

    @cached_property
    def _client(self) -> httpx.AsyncClient:
        """Made when an app first has its keys at an address: reading the certificates of all authorities takes long."""
        return httpx.AsyncClient(timeout=TIMEOUT_S, follow_redirects=False, trust_env=False, transport=self._transport)

    async def _ask(self, url: str) -> tuple[bytes, float]:
        """The document and for how many seconds it may be kept. UpstreamError."""
        try:
            async with asyncio.timeout(TIMEOUT_S), self._client.stream("GET", url) as response:
                if response.status_code != 200:
                    raise UpstreamError(f"The key set of a client answers {response.status_code}.")
                document = await _limited(response)
                return document, _lifetime(response.headers.get("cache-control", ""))
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError, OSError):
            raise UpstreamError("The key set of a client cannot be fetched.") from None


async def _limited(response: httpx.Response) -> bytes:
    document = bytearray()
    async for chunk in response.aiter_bytes():
        document += chunk
        if len(document) > LARGEST:
            raise UpstreamError("The key set of a client is larger than 64 kB.")
    return bytes(document)


def _lifetime(cache_control: str) -> float:
    """As the answer allows, between a floor that protects the other side and a ceiling that protects us."""
    rules = cache_control.lower()
    if "no-store" in rules or "no-cache" in rules:
        return KEPT_AT_LEAST_S
    found = _MAX_AGE.search(rules)
    seconds = float(found[1]) if found else KEPT_BY_DEFAULT_S
    return min(max(seconds, KEPT_AT_LEAST_S), KEPT_AT_MOST_S)
