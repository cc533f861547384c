"""Who is on the other end: the peer, or what proxies we trust say about it.

https://www.rfc-editor.org/rfc/rfc7239#section-8.1 says why a forwarded address is only as good as who forwarded it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

FORWARDED: Final = frozenset(
    ("forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-forwarded-server", "x-real-ip")
)
"""Headers that proxies add, whatever they say."""


def parse_networks(text: str) -> tuple[Network, ...]:
    """Addresses or networks with commas between, as in `FHIR_FACADE_TRUSTED_PROXIES`. ValueError names a wrong one."""
    return tuple(ip_network(part.strip(), strict=False) for part in text.split(",") if part.strip())


def client_address(peer: str | None, forwarded_for: Sequence[str], trusted: Sequence[Network]) -> str | None:
    """The nearest address that is not a trusted proxy.

    `forwarded_for` are the values of all X-Forwarded-For headers, in order. The chain is read from the right, and only
    as long as the hop that wrote an entry is trusted; what is no address ends it.
    """
    current = _parse(peer)
    for entry in reversed([part for header in forwarded_for for part in header.split(",")]):
        if current is None or not _trusted(current, trusted):
            break
        claimed = _parse(entry)
        if claimed is None:
            break
        current = claimed
    return None if current is None else str(current)


def is_local(peer: str | None, headers: Collection[str], host: str) -> bool:
    """Whether a request comes from a program of this machine itself: from a loopback address, with none of the headers
    that proxies add, and asking for a loopback name. `headers` are their names in lower case, `host` is what one of
    them says: behind a proxy that adds none, and from a page that was led here by a name of its own, it is another."""
    address = _parse(peer)
    if address is None or not address.is_loopback or not FORWARDED.isdisjoint(headers):
        return False
    named = _parse(host)
    return host.partition(":")[0].lower() == "localhost" if named is None else named.is_loopback


def is_trusted(address: str, trusted: Sequence[Network]) -> bool:
    """Whether an address as `client_address` gives it is one of our proxies."""
    return _trusted(ip_address(address), trusted)


def _trusted(address: Address, trusted: Sequence[Network]) -> bool:
    return any(address.version == network.version and address in network for network in trusted)


def _parse(text: str | None) -> Address | None:
    """An address with or without port; IPv4 in IPv6 counts as IPv4, a zone is dropped."""
    plain = (text or "").strip()
    if plain.startswith("["):
        plain = plain[1:].partition("]")[0]
    elif plain.count(":") == 1:
        plain = plain.partition(":")[0]
    try:
        address = ip_address(plain.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address
