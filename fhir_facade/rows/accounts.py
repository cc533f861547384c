"""Who can sign in, where they are signed in, and who is being slowed down.

https://github.com/OWASP/ASVS/tree/master/5.0 chapters 6 and 7
"""

from __future__ import annotations

from datetime import datetime

from fhir_facade.rows.table import Row, table


@table("account", ("id",), unique=(("username_key",),), indexes=(("patient_id",), ("practitioner_id",)))
class Account(Row, frozen=True, kw_only=True):
    """A person's login. `username_key` is the case-folded name; `role` is `patient`, `practitioner` or `admin`.

    `patient_id` or `practitioner_id` is the FHIR resource of this very person. `zone` is an IANA time zone.
    """

    id: str
    username: str
    username_key: str
    role: str
    password_hash: str
    created_at: datetime
    patient_id: str | None = None
    practitioner_id: str | None = None
    zone: str = "UTC"
    disabled: bool = False


@table("session", ("hash",), indexes=(("account_id",), ("expires_at",)))
class Session(Row, frozen=True, kw_only=True):
    """A browser that signed in. `hash` is the SHA-256 of the cookie; `seen_at` moves about once a minute."""

    hash: str
    account_id: str
    created_at: datetime
    seen_at: datetime
    expires_at: datetime
    address: str | None = None


@table("login_throttle", ("subject",), indexes=(("last_at",),))
class LoginThrottle(Row, frozen=True, kw_only=True):
    """Failures of one `account:<folded name>` or `address:<ip>`; no attempt is looked at before `blocked_until`."""

    subject: str
    failures: int
    last_at: datetime
    blocked_until: datetime
