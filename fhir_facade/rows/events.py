"""What happened, in commit order, for those who listen: the source of the live stream and its replay."""

from __future__ import annotations

from datetime import datetime

from fhir_facade.rows.table import Row, table


@table("event", ("id",), serial=True, indexes=(("patient", "id"),))
class Event(Row, frozen=True, kw_only=True):
    """`id` rises with every commit (it is the SSE event id). `topic`: `alert`, `sync`, `score`; `kind` what happened
    to it; `data` JSON without names or values, made of references, codes and counts."""

    at: datetime
    topic: str
    kind: str
    patient: str
    data: str
    id: int = 0
