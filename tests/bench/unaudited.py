"""`serve` as it must not be: lines of the audit are written nowhere. Only to measure what they cost.

python -m tests.bench.unaudited serve
"""

from __future__ import annotations

from collections.abc import Sequence

from fhir_facade import stores
from fhir_facade.__main__ import main
from fhir_facade.adapters.state.sqlite import SqliteState
from fhir_facade.rows import Row
from fhir_facade.rows.audit import AuditLine


class Unaudited(SqliteState):
    """Other rows are kept: without them nothing is found again after a crash."""

    async def append(self, rows: Sequence[Row]) -> None:
        await super().append([row for row in rows if not isinstance(row, AuditLine)])


if __name__ == "__main__":
    stores.SqliteState = Unaudited  # type: ignore[misc]
    main()
