"""Notices that are on their way by e-mail. https://www.rfc-editor.org/rfc/rfc5321#section-4.5.4"""

from __future__ import annotations

from datetime import datetime

from fhir_facade.rows.table import Row, table


@table("due_mail", ("id",), indexes=(("due_at",), ("account_id",)))
class DueMail(Row, frozen=True, kw_only=True):
    """One notice to one address, written in the transaction of what it tells of, gone once it is delivered.

    `kind` names its sentences; `address`, `language` and `zone` are those the account had then. `attempts` that failed;
    a process that delivers it holds it until `leased_until`.
    """

    id: str
    account_id: str
    kind: str
    address: str
    language: str
    zone: str
    happened_at: datetime
    due_at: datetime
    attempts: int = 0
    leased_until: datetime | None = None
