"""Fetches the JSON Web Key Sets of registered apps, with narrow limits, and keeps them as long as they allow.

https://hl7.org/fhir/smart-app-launch/STU2.2/client-confidential-asymmetric.html#registering-a-client-communicating-public-keys
"""

from __future__ import annotations

import asyncio
import re
import socket
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from functools import cached_property
from ipaddress import IPv6Address, IPv6Network, ip_address
from typing import Final

import httpx

from fhir_facade.errors import UpstreamError

TIMEOUT_S: Final = 5.0
LARGEST: Final = 64 * 1024
KEPT_AT_LEAST_S: Final = 60.0
"""Also how long an unknown `kid` has to wait before the address is asked again."""
PAUSE_S: Final = 5.0
"""After a failure: anybody may send assertions, and an address must not be asked for each of them."""
KEPT_AT_MOST_S: Final = 3600.0
KEPT_BY_DEFAULT_S: Final = 300.0
MOST_KEPT: Final = 1000
MOST_ADDRESSES: Final = 4
"""Of one name: they are tried one after another, all within `TIMEOUT_S`."""

_MAX_AGE: Final = re.compile(r"(?:^|[,\s])max-age=(\d{1,9})")


_TRANSLATED: Final = (IPv6Network("2002::/16"), IPv6Network("64:ff9b::/96"), IPv6Network("64:ff9b:1::/48"))
"""IPv6 that a gateway turns into IPv4: what stands for a private address looks public there."""

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]


async def addresses_of(host: str, port: int) -> Sequence[str]:
    """What a name stands for now, in the order to try. OSError for a name that is not known."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


def is_public(text: str) -> bool:
    """Whether an address is one of the internet: not of this machine, its network, its cloud or a group."""
    address = ip_address(text)
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return is_public(str(address.ipv4_mapped))
        if any(address in network for network in _TRANSLATED):
            return False
    return address.is_global and not address.is_multicast


@dataclass(frozen=True, slots=True)
class _Kept:
    document: bytes
    fetched: float
    until: float


class HttpKeySets:
    """`KeySets` over HTTP: no redirects, five seconds, 64 kB, nothing sent along. One request per address at a time.

    A name is looked up once, and exactly what was looked at is connected to: it cannot become another address between.
    """

    def __init__(
        self,
        monotonic: Callable[[], float] = time.monotonic,
        transport: httpx.AsyncBaseTransport | None = None,
        resolve: Resolve = addresses_of,
    ) -> None:
        self._monotonic = monotonic
        self._transport = transport
        self._resolve = resolve
        self._kept: dict[tuple[str, bool], _Kept] = {}
        self._failing: dict[tuple[str, bool], float] = {}
        self._turns: dict[tuple[str, bool], asyncio.Lock] = {}

    async def fetch(self, url: str, *, fresh: bool = False, public: bool = False) -> bytes:
        key = (url, public)
        async with self._turns.setdefault(key, asyncio.Lock()):
            kept, now = self._kept.get(key), self._monotonic()
            if kept is not None and now < (kept.fetched + KEPT_AT_LEAST_S if fresh else kept.until):
                return kept.document
            if now < self._failing.get(key, now):
                raise UpstreamError("The key set of a client could not be fetched a moment ago.")
            self._failing[key] = now + PAUSE_S
            document, lifetime = await self._ask(url, public)
            del self._failing[key]
            if len(self._kept) >= MOST_KEPT:
                self._kept.clear()
            self._kept[key] = _Kept(document, now, now + lifetime)
            return document

    async def close(self) -> None:
        if "_client" in vars(self):
            await self._client.aclose()

    @cached_property
    def _client(self) -> httpx.AsyncClient:
        """Made when an app first has its keys at an address: reading the certificates of all authorities takes long."""
        return httpx.AsyncClient(timeout=TIMEOUT_S, follow_redirects=False, trust_env=False, transport=self._transport)

    async def _ask(self, url: str, public: bool) -> tuple[bytes, float]:
        """The document and for how many seconds it may be kept. UpstreamError."""
        try:
            async with asyncio.timeout(TIMEOUT_S):
                return await self._ask_any(httpx.URL(url), public)
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError, OSError, ValueError):
            raise UpstreamError("The key set of a client cannot be fetched.") from None

    async def _ask_any(self, url: httpx.URL, public: bool) -> tuple[bytes, float]:
        """From the first address that can be connected to."""
        addresses = await self._resolve(url.host, url.port or (443 if url.scheme == "https" else 80))
        if public and not all(is_public(address) for address in addresses):
            raise UpstreamError("The key set of a client that registered itself is not on the internet.")
        for address in addresses[:MOST_ADDRESSES]:
            try:
                async with self._asked(url, address) as response:
                    return await _read(response)
            except httpx.ConnectError:
                continue
        raise UpstreamError("The key set of a client cannot be fetched.")

    def _asked(self, url: httpx.URL, address: str) -> AbstractAsyncContextManager[httpx.Response]:
        """The certificate is still that of the name."""
        host = url.netloc.decode("ascii")
        pinned = url.copy_with(host=address)
        headers = {"Host": host, "Accept-Encoding": "identity"}
        return self._client.stream("GET", pinned, headers=headers, extensions={"sni_hostname": url.host})


async def _read(response: httpx.Response) -> tuple[bytes, float]:
    """Nothing packed: it could be a thousand times as large unpacked."""
    if response.status_code != 200 or "content-encoding" in response.headers:
        raise UpstreamError(f"The key set of a client answers {response.status_code}, or packed.")
    document = await _limited(response)
    return document, _lifetime(response.headers.get("cache-control", ""))


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
