"""Real time and real chance behind `Clock` and `Ids`. https://docs.python.org/3/library/secrets.html"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

ID_BYTES: Final = 16
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
        """A random UUID (version 4), which is a valid FHIR id."""
        drawn = next(self._bytes, None)
        while drawn is None:
            pool = os.urandom(ID_BYTES * IDS_AT_ONCE)
            self._bytes = iter([pool[at : at + ID_BYTES] for at in range(0, len(pool), ID_BYTES)])
            drawn = next(self._bytes, None)
        text = drawn.hex()
        return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-{_VARIANT[drawn[8] & 3]}{text[17:20]}-{text[20:]}"

    def secret(self) -> str:
        """256 random bits in 43 URL-safe characters."""
        return secrets.token_urlsafe(32)
