"""What is asked of a resource itself, its id and when it was written: columns of its row, not rows of an index."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fhir_facade.adapters.embedded.compare import interval
from fhir_facade.adapters.embedded.source import Condition
from fhir_facade.adapters.sqlite_lists import one_of
from fhir_facade.errors import NotSupported
from fhir_facade.fhir.extract.dates import to_us
from fhir_facade.values import DateValue, Match, MissingValue, TokenValue


def own_column(type: str, match: Match) -> Condition:
    if match.modifier not in (None, "not", "missing"):
        raise NotSupported(f"{match.name}:{match.modifier} is not available on this store")
    missing = next((value.missing for value in match.values if isinstance(value, MissingValue)), None)
    if missing is not None:
        return Condition("fhir_resource", "type = ?", (type,), negated=missing)
    return OWN_COLUMNS[match.name](type, match)


def _id(type: str, match: Match) -> Condition:
    """With the type, because the index of ids begins with it."""
    ids = [v.code for v in match.values if isinstance(v, TokenValue) and not v.system]
    among, wanted = one_of(ids)
    return Condition("fhir_resource", f"type = ? AND id {among}", (type, *wanted), negated=match.modifier == "not")


def _last_updated(type: str, match: Match) -> Condition:
    clauses: list[str] = []
    args: list[Any] = [type]
    for value in match.values:
        assert isinstance(value, DateValue)
        low, high = to_us(value.low), to_us(value.high)
        sql, values = interval(value.prefix, low, high)
        clauses.append(f"({sql})")
        args.extend(-(-v // 1000) for v in values)
    where = " OR ".join(clauses).replace("high", "updated + 1").replace("low", "updated")
    return Condition("fhir_resource", f"type = ? AND ({where})", tuple(args))


OWN_COLUMNS: dict[str, Callable[[str, Match], Condition]] = {"_id": _id, "_lastUpdated": _last_updated}
