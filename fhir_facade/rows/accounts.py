"""Who can sign in, where they are signed in, and who is being slowed down.

https://github.com/OWASP/ASVS/tree/master/5.0 chapters 6 and 7
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from fhir_facade.rows.table import Row, table

NO_ZONE: Final = "UTC"
"""The zone of an account for which nobody chose one, or UTC was chosen."""


@table(
    "account",
    ("id",),
    unique=(("username_key",),),
    indexes=(("patient_id",), ("practitioner_id",), ("related_person_id",), ("organization_id",)),
)
class Account(Row, frozen=True, kw_only=True):
    """A person's login. `username_key` is the case-folded name; `role` is `patient`, `proxy`, `practitioner`, `staff`
    or `admin`.

    `patient_id`, `practitioner_id` or `related_person_id` is the FHIR resource of this very person; `organization_id`
    the institution whose staff the person belongs to. `zone` is an IANA time zone. `email` is where notices about the
    account go, written in `language`; nobody checked that it is the person's.
    """

    id: str
    username: str
    username_key: str
    role: str
    password_hash: str
    created_at: datetime
    patient_id: str | None = None
    practitioner_id: str | None = None
    zone: str = NO_ZONE
    disabled: bool = False
    related_person_id: str | None = None
    organization_id: str | None = None
    email: str | None = None
    language: str = "en"


@table("password_link", ("hash",), indexes=(("account_id",), ("expires_at",)))
class PasswordLink(Row, frozen=True, kw_only=True):
    """Whoever holds it may choose a new password for an account, once. `hash` is the SHA-256 of the secret in it."""

    hash: str
    account_id: str
    created_at: datetime
    expires_at: datetime


@table("session", ("hash",), indexes=(("account_id",), ("expires_at",)))
class Session(Row, frozen=True, kw_only=True):
    """A browser that signed in. `hash` is the SHA-256 of the cookie; `seen_at` moves about once a minute.

    `id` names it to people and in addresses; `device` is the hash of the device it belongs to.
    """

    hash: str
    account_id: str
    created_at: datetime
    seen_at: datetime
    expires_at: datetime
    address: str | None = None
    id: str = ""
    device: str | None = None


@table("known_device", ("account_id", "hash"), indexes=(("last_at",),))
class KnownDevice(Row, frozen=True, kw_only=True):
    """A browser from which an account signed in before. `hash` is the SHA-256 of its lasting cookie; `name` is what
    the browser says it is. `announced` False: the person has not been told of it yet."""

    account_id: str
    hash: str
    name: str
    first_at: datetime
    last_at: datetime
    address: str | None = None
    announced: bool = False


@table("login_throttle", ("subject",), indexes=(("last_at",),))
class LoginThrottle(Row, frozen=True, kw_only=True):
    """Failures of one `account:<folded name>` or `address:<ip>`; no attempt is looked at before `blocked_until`."""

    subject: str
    failures: int
    last_at: datetime
    blocked_until: datetime
