"""Real time and real chance behind `Clock` and `Ids`. https://docs.python.org/3/library/secrets.html"""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

ID_BYTES: Final = 10
NS_PER_MS: Final = 1_000_000
IDS_AT_ONCE: Final = 256
_VARIANT: Final = "89ab"  # https://www.rfc-editor.org/rfc/rfc9562#name-variant-field


class SystemClock:
    """The machine's clock in UTC."""

    def now(self) -> datetime:
        return datetime.now(UTC)


class RandomIds:
    """Ids and secrets out of the operating system's random source, which is asked for many ids at once."""

    def __init__(self) -> None:
        self._forget()
        os.register_at_fork(after_in_child=self._forget)

    def _forget(self) -> None:
        """Two processes that drew from the same bytes would hand out the same ids."""
        self._bytes: Iterator[bytes] = iter(())

    def new(self) -> str:
        """A UUID (version 7), which is a valid FHIR id: it begins with the time, so that what is made together lies
        together in an index, and ends with 74 random bits. https://www.rfc-editor.org/rfc/rfc9562#name-uuid-version-7
        """
        drawn = next(self._bytes, None)
        while drawn is None:
            pool = os.urandom(ID_BYTES * IDS_AT_ONCE)
            self._bytes = iter([pool[at : at + ID_BYTES] for at in range(0, len(pool), ID_BYTES)])
            drawn = next(self._bytes, None)
        since, text = f"{time.time_ns() // NS_PER_MS:012x}", drawn.hex()
        return f"{since[:8]}-{since[8:]}-7{text[:3]}-{_VARIANT[drawn[-1] & 3]}{text[3:6]}-{text[6:18]}"

    def secret(self) -> str:
        """256 random bits in 43 URL-safe characters."""
        return secrets.token_urlsafe(32)
