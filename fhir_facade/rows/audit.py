"""The audit record: one row per read, write, refusal, sign-in and delivery, durable before the answer leaves.

AuditEvent resources (IHE BALP) are read from these rows. https://profiles.ihe.net/ITI/BALP/
"""

from __future__ import annotations

from datetime import datetime

from fhir_facade.rows.table import Row, table


@table("audit", ("id",), serial=True, indexes=(("patient", "at"), ("user", "at")))
class AuditLine(Row, frozen=True, kw_only=True):
    """`action` is an interaction code of FHIR, or one of `login`, `logout`, `token`, `consent`, `connect`, `admin`,
    `notify`. `outcome`: `success`, `refused`, `failed`. `entity` is what was touched as `Type/id` or a type; `query`
    the search as asked; `detail` a reason, never a value out of a record.
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
