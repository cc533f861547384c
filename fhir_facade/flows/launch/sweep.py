"""Takes away rows that can no longer matter: spent, expired, forgotten. Run now and then by any process.

https://github.com/OWASP/ASVS/blob/v5.0.0/5.0/en/0x23-V14-Data-Protection.md
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from fhir_facade.flows.launch.keys import rotate_when_old
from fhir_facade.flows.sessions import IDLE
from fhir_facade.flows.sign_ins import FORGOTTEN
from fhir_facade.flows.slowing import FORGET
from fhir_facade.ports import Ports, StateTransaction
from fhir_facade.rows import Remove, Row, spec_of
from fhir_facade.rows.accounts import KnownDevice, LoginThrottle, PasswordLink, Session
from fhir_facade.rows.mail import DueMail
from fhir_facade.rows.oauth import (
    AccessToken,
    AuthorizationCode,
    Grant,
    InitialAccessToken,
    Launch,
    OpenAuthorization,
    RefreshToken,
    SigningKey,
    UsedAssertion,
)

AT_ONCE: Final = 500
"""Rows of one table in one transaction: a sweep never holds up the writers for long."""

LATE: Final = timedelta(days=1)
"""Codes and tokens stay recognisable this long after their end, so that a late second use still ends their grant."""

STALE: Final = timedelta(days=7)
"""A notice that waited so long tells nothing new: mail was switched off meanwhile."""

_RULES: Final[tuple[tuple[type[Row], str, timedelta], ...]] = (
    (OpenAuthorization, "expires_at", timedelta(0)),
    (Launch, "expires_at", timedelta(0)),
    (InitialAccessToken, "expires_at", LATE),
    (KnownDevice, "last_at", FORGOTTEN),
    (PasswordLink, "expires_at", timedelta(0)),
    (DueMail, "happened_at", STALE),
    (AuthorizationCode, "expires_at", LATE),
    (AccessToken, "expires_at", LATE),
    (RefreshToken, "expires_at", LATE),
    (RefreshToken, "used_at", timedelta(0)),  # its family's row still knows it
    (Grant, "expires_at", LATE),
    (UsedAssertion, "expires_at", timedelta(0)),
    (Session, "expires_at", timedelta(0)),
    (Session, "seen_at", IDLE),
    (LoginThrottle, "last_at", FORGET),
    (SigningKey, "retired_at", timedelta(0)),
)


async def sweep(ports: Ports) -> int:
    """Remove what is over; how many rows went. A signing key that is old is replaced."""
    now = ports.clock.now()
    await rotate_when_old(ports)
    gone = 0
    for row, field, after in _RULES:
        while swept := await _sweep_some(ports, row, field, now - after):
            gone += swept
    return gone


async def _sweep_some(ports: Ports, row: type[Row], field: str, before: datetime) -> int:
    key = spec_of(row).key

    def work(tx: StateTransaction) -> int:
        rows = tx.find(row, (field, "<=", before), limit=AT_ONCE)
        tx.apply(*(Remove(row, tuple(getattr(one, name) for name in key)) for one in rows))
        return len(rows)

    return await ports.state.write(work)
