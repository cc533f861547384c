"""Wearable accounts linked to patients: their state, sealed tokens, pending consents and how far each was read.

https://developers.google.com/identity/protocols/oauth2/web-server
"""

from __future__ import annotations

from datetime import datetime

from fhir_facade.rows.table import Row, table


@table("connection", ("id",), indexes=(("due_at",),), unique=(("patient", "vendor"), ("vendor", "account")))
class Connection(Row, frozen=True, kw_only=True):
    """One patient at one vendor. `state`: `pending active reconsent-needed missing-scopes not-linked retired error`.

    `account` is the vendor's user id, known after consent; `scopes` what was granted; `zone` the person's current IANA
    zone as the vendor tells it. `device` and `consent` are ids of resources. A job may start at `due_at`, and
    `leased_until` belongs to the process that works on it; `failures` counts the syncs in a row that read nothing.
    """

    id: str
    patient: str
    vendor: str
    state: str
    created_at: datetime
    account: str | None = None
    scopes: tuple[str, ...] = ()
    zone: str | None = None
    device: str | None = None
    consent: str | None = None
    last_sync_at: datetime | None = None
    last_error: str | None = None
    due_at: datetime | None = None
    leased_until: datetime | None = None
    failures: int = 0


@table("connection_tokens", ("connection",))
class ConnectionTokens(Row, frozen=True, kw_only=True):
    """The vendor's tokens as sealed JSON (context `vendor-tokens|<connection>`): access, refresh, expires_at."""

    connection: str
    sealed: bytes
    changed_at: datetime


@table("pending_connection", ("hash",), indexes=(("expires_at",), ("connection",)))
class PendingConnection(Row, frozen=True, kw_only=True):
    """A browser on its way to the vendor and back. `hash` is the SHA-256 of the OAuth state, `sealed_verifier` the PKCE
    verifier (context `vendor-verifier|<hash>`). `session` is the portal session that has to come back; None: begun with
    a bearer token, the state alone is enough while the `app_grant` of that token is not withdrawn. `user` began it.
    `used_at` is set by the one callback that may go on."""

    hash: str
    connection: str
    sealed_verifier: bytes
    redirect_uri: str
    expires_at: datetime
    session: str | None = None
    user: str | None = None
    used_at: datetime | None = None
    app_grant: str | None = None


@table("sync_cursor", ("connection", "data_type"))
class Cursor(Row, frozen=True, kw_only=True):
    """One data type was read completely up to and including the civil day `through` (YYYY-MM-DD)."""

    connection: str
    data_type: str
    through: str
    read_at: datetime


@table("sync_run", ("connection",))
class SyncRun(Row, frozen=True, kw_only=True):
    """A synchronisation that has not written its Provenance yet, perhaps because the process died: the next one goes
    on with it. `targets` is what was written so far as `Type/id`."""

    connection: str
    started_at: datetime
    targets: tuple[str, ...] = ()
