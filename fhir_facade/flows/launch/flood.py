"""How many mistakes one address may have written down in a while: a flood of them fills no table.

https://github.com/OWASP/ASVS/blob/v5.0.0/5.0/en/0x11-V2-Validation-and-Business-Logic.md
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from fhir_facade.errors import TooManyRequests
from fhir_facade.interactions.audit_refusals import source_of

AT_ONCE: Final = 60
EVERY_S: Final = 2.0
"""So many at once, and one more every so many seconds, in each process."""

MOST_ADDRESSES: Final = 10_000


class Flood:
    """A bucket of tokens per address. What is kept per process only makes the bound a multiple of their number."""

    def __init__(self) -> None:
        self._buckets: dict[str, tuple[float, datetime]] = {}

    def refuse(self, address: str | None, now: datetime) -> None:
        """Count one mistake from this address. TooManyRequests when it made too many."""
        key = source_of(address)
        left = self._left(key, now)
        if left < 1:
            raise TooManyRequests("Too many requests that cannot be answered.", retry_after_s=int(EVERY_S))
        if len(self._buckets) >= MOST_ADDRESSES and key not in self._buckets:
            self._buckets.clear()
        self._buckets[key] = (left - 1, now)

    def _left(self, key: str, now: datetime) -> float:
        left, since = self._buckets.get(key, (float(AT_ONCE), now))
        return min(float(AT_ONCE), left + max(0.0, (now - since).total_seconds()) / EVERY_S)
