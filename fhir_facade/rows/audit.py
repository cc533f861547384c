"""The audit record: one row per read, write, refusal, sign-in and delivery, durable before the answer leaves.

AuditEvent resources (IHE BALP) are read from these rows. https://profiles.ihe.net/ITI/BALP/
"""

from __future__ import annotations

from datetime import datetime

from fhir_facade.rows.table import Row, table


@table("audit", ("id",), serial=True, indexes=(("at",), ("patient", "at"), ("user", "at")))
class AuditLine(Row, frozen=True, kw_only=True):
    """`action` is an interaction code of FHIR, the name of an operation, or a word of `interactions/audit_codes.json`.
    `outcome`: `success`, `refused`, `failed`. `entity` is what was touched as `Type/id` or a type; `query` the search
    as asked; `detail` a reason, never a value out of a record. An interaction about several patients has a line each.
    """

    at: datetime
    action: str
    outcome: str
    id: int = 0
    actor: str = ""
    user: str | None = None
    client: str | None = None
    token: str | None = None
    patient: str | None = None
    entity: str | None = None
    version: str | None = None
    query: str | None = None
    detail: str | None = None
    address: str | None = None
    request_id: str = ""


@table("audit_seal", ("number",), indexes=(("last",),))
class AuditSeal(Row, frozen=True, kw_only=True):
    """A link of the chain: the lines from `first` to `last`, of which there were `count` when it was made.

    `hash` (hex) covers them and the link before. `salts` holds two of 16 bytes for each line in order: for whom it
    concerns and for who did it. `sealed` is what the vault made of the hash and of whether the lines are `dropped`.
    """

    number: int
    first: int
    last: int
    count: int
    salts: bytes
    hash: str
    sealed: bytes
    at: datetime
    dropped: bool = False


@table("audit_erasure", ("line",))
class AuditErasure(Row, frozen=True, kw_only=True):
    """What stands for the erased part of a line: its salted hash (hex), made before the salt was thrown away.

    `subject` is for whom the line concerned, `actor` for who did it; None: that part is still there.
    """

    line: int
    subject: str | None = None
    actor: str | None = None


@table("refusal_count", ("key",), indexes=(("since",), ("user",)))
class RefusalCount(Row, frozen=True, kw_only=True):
    """How often a refusal came again after the line of its first: `more` times since `since`, at `last` the last time.

    `key` is a hash of its kind. The other fields are those of the line that will tell the count; `address` is None for
    what came from too many addresses to count each.
    """

    key: str
    since: datetime
    last: datetime
    more: int
    action: str
    outcome: str
    actor: str
    user: str | None = None
    client: str | None = None
    detail: str | None = None
    address: str | None = None


@table("audit_copy", ("target",))
class AuditCopy(Row, frozen=True, kw_only=True):
    """How far the audit is copied into a store as AuditEvents: every line up to `last`."""

    target: str
    last: int
    at: datetime


@table("audit_name_key", ("name",))
class AuditNameKey(Row, frozen=True, kw_only=True):
    """The secret that makes ids of AuditEvents out of the numbers of lines, sealed by the vault."""

    name: str
    sealed: bytes


@table("emergency_access", ("id",), indexes=(("practitioner", "ends_at"), ("patient", "ends_at")))
class EmergencyAccess(Row, frozen=True, kw_only=True):
    """A practitioner opened the record of a patient out of care for a while, and said why."""

    id: str
    practitioner: str
    patient: str
    reason: str
    begun_at: datetime
    ends_at: datetime
    user: str | None = None
