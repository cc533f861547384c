"""Real time and real chance behind `Clock` and `Ids`. https://docs.python.org/3/library/secrets.html"""

from __future__ import annotations

import secrets
import uuid
from datetime import UTC, datetime


class SystemClock:
    """The machine's clock in UTC."""

    def now(self) -> datetime:
        return datetime.now(UTC)


class RandomIds:
    """Ids and secrets out of the operating system's random source."""

    def new(self) -> str:
        """A random UUID (version 4), which is a valid FHIR id."""
        return str(uuid.uuid4())

    def secret(self) -> str:
        """256 random bits in 43 URL-safe characters."""
        return secrets.token_urlsafe(32)
