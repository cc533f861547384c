"""Which guards of alert rules there may be in the FHIR store, so that a calm reading need not ask for them."""

from __future__ import annotations

from datetime import datetime

from fhir_facade.rows.table import Row, table


@table("alert_guard", ("id",))
class GuardMark(Row, frozen=True, kw_only=True):
    """Committed before the guard with this id (a `Basic`) is written for the first time, and kept as long as it:
    without its mark there is no guard. The mark `*` says up to when the guards in the store were compared with the
    marks; `Observation/…` is what an alert rests or rested on."""

    id: str
    at: datetime
