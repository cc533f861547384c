"""How many connections one process holds open: in all, and from one address, so that no address takes them all.

https://cwe.mitre.org/data/definitions/770.html. Each process counts its own: the kernel spreads connections over the
workers, so each takes its share of a limit, and one that is killed leaves no count behind.
"""

from __future__ import annotations

import logging
import resource
from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv6Address
from typing import Final

from fhir_facade.api.address import Network, client_address, is_trusted, parse_networks
from fhir_facade.settings import Settings

BESIDES: Final = 256
"""Descriptors of a process that are no connections of callers: files, the database, HAPI."""
FEWEST: Final = 16
"""However many processes share a limit: a browser opens six."""
_ADDRESSES_KEPT: Final = 8192
_LOG = logging.getLogger("fhir_facade.connections")


class Connections:
    """Places for connections. A trusted proxy stands for everybody behind it and has no limit but that of all.

    `refused` counts those that were not let in since it was told last; the log has their number and no address.
    """

    def __init__(self, in_all: int, of_one: int, trusted: Sequence[Network] = ()) -> None:
        self._in_all = in_all
        self._of_one = of_one
        self._open = 0
        self._by_address: dict[str, int] = {}
        self._place = lru_cache(_ADDRESSES_KEPT)(lambda peer: _place(peer, trusted))
        self.refused = 0

    def take(self, peer: str) -> bool:
        """Whether there is room for one more; then `leave` gives the place back."""
        place = self._place(peer)
        held = self._by_address.get(place, 0)
        if self._open >= self._in_all or (held >= self._of_one and place):
            self.refused += 1
            return False
        self._open += 1
        self._by_address[place] = held + 1
        return True

    def leave(self, peer: str) -> None:
        place = self._place(peer)
        self._open -= 1
        held = self._by_address.pop(place) - 1
        if held:
            self._by_address[place] = held

    def tell(self) -> None:
        """Say how many were refused meanwhile, if any."""
        if self.refused:
            hint = "raise FHIR_FACADE_MAX_CONNECTIONS(_PER_ADDRESS), or name your proxy in FHIR_FACADE_TRUSTED_PROXIES"
            _LOG.warning("connections.refused", extra={"count": self.refused, "open": self._open, "hint": hint})
            self.refused = 0


def shared_by_workers(settings: Settings) -> Connections:
    """What one of the worker processes may hold: its share of the limits, rounded up, as far as descriptors go."""
    in_all, of_one = (
        max(FEWEST, -(-limit // settings.worker_count))
        for limit in (settings.max_connections, settings.max_connections_per_address)
    )
    return Connections(_with_descriptors(in_all), of_one, parse_networks(settings.trusted_proxies))


def _with_descriptors(wanted: int) -> int:
    """Raises the soft limit of open files where the hard one lets it; fewer connections where that is too low."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = wanted + BESIDES
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return wanted
    reached = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, reached), hard))
    return max(FEWEST, min(wanted, reached - BESIDES))


def _place(peer: str, trusted: Sequence[Network]) -> str:
    """What counts as one address: an IPv4 address, or the first 64 bits of an IPv6 one, which one subscriber has.
    Empty for a trusted proxy."""
    address = client_address(peer, (), ())
    if address is None or is_trusted(address, trusted):
        return ""
    if ":" not in address:
        return address
    return str(IPv6Address(int(IPv6Address(address)) >> 64 << 64))
