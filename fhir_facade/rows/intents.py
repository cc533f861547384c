"""FHIR writes over HAPI that belong together with rows of the facade, and have not been settled yet."""

from __future__ import annotations

from datetime import datetime

from fhir_facade.rows.table import Row, table


@table("intent", ("id",), indexes=(("due_at",), ("created_at",)))
class Intent(Row, frozen=True, kw_only=True):
    """Committed before the write it names. `id` is sent with the write as its request id.

    `puts` and `deletes` (`Type/id`) are those of its resources that tell whether it happened: by a version it wrote, or
    by being there before and gone now. `changes` are the rows to apply when the write happened, encoded; `before` a
    digest of each row they replace, empty for none.
    From `due_at` on another process may settle it; `looks` counts those who found no trace of the write.
    `refused` says why the rows could not be applied: a person has to look.
    """

    id: str
    puts: tuple[str, ...]
    deletes: tuple[str, ...]
    changes: bytes
    before: tuple[str, ...]
    created_at: datetime
    due_at: datetime
    looks: int = 0
    refused: str | None = None


@table("intent_key", ("digest",), indexes=(("intent_id",),))
class IntentKey(Row, frozen=True, kw_only=True):
    """A key or unique value that the rows of an open intent will take: until then nobody else's intent may."""

    digest: str
    intent_id: str
