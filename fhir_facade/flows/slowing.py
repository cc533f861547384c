"""How guesses are slowed down: some are free, each further one waits twice as long, and in time they are forgotten.

https://github.com/OWASP/ASVS/blob/v5.0.0/5.0/en/0x15-V6-Authentication.md (6.3.1)
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from fhir_facade.rows.accounts import LoginThrottle

LONGEST_WAIT: Final = timedelta(minutes=15)
FORGET: Final = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Slowdown:
    """So many failures are free; each further one doubles the wait, from one second up to `LONGEST_WAIT`. `forgives`:
    how long it takes to forget one, where there are always some; else all are, after `FORGET` without any."""

    free: int
    forgives: timedelta | None = None

    def wait(self, failures: int) -> timedelta:
        beyond = failures - self.free
        return timedelta(0) if beyond < 0 else min(timedelta(seconds=2 ** min(beyond, 20)), LONGEST_WAIT)

    def remembered(self, row: LoginThrottle, now: datetime) -> tuple[int, datetime]:
        """How many failures still count, and up to when others were forgotten."""
        if now - row.last_at > FORGET:
            return 0, now
        if self.forgives is None:
            return row.failures, now
        forgotten = (now - row.last_at) // self.forgives
        left = row.failures - forgotten
        return (left, row.last_at + forgotten * self.forgives) if left > 0 else (0, now)


def counted(subject: str, slow: Slowdown, row: LoginThrottle | None, now: datetime) -> LoginThrottle:
    """The row after one more attempt; what is older than `FORGET` counts no more."""
    before, since = (0, now) if row is None else slow.remembered(row, now)
    failures = before + 1
    return LoginThrottle(subject=subject, failures=failures, last_at=since, blocked_until=now + slow.wait(failures))
