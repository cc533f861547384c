"""Elements of a resource read with care: periods, references and lists as they should be, and nothing for others.

https://hl7.org/fhir/R4/datatypes.html#Period
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from fhir_facade.fhir.extract.dates import MAX_US, MIN_US, interval, to_us
from fhir_facade.values import JsonObject


def names(reference: Any, target: str) -> bool:
    """Whether a Reference is to `Type/id`, in whatever version."""
    text = reference.get("reference") if isinstance(reference, dict) else None
    return isinstance(text, str) and text.partition("/_history/")[0] == target


def listed(node: JsonObject, name: str) -> Iterator[dict[str, Any]]:
    """The objects of a list; nothing of what is no list."""
    items = node.get(name)
    return (item for item in items if isinstance(item, dict)) if isinstance(items, list) else iter(())


def covers(node: Mapping[str, Any], now: datetime, *, unreadable: bool = False) -> bool:
    """Whether `node.period` covers the moment: open ends always do, one that cannot be read as `unreadable` says, a
    date means all of it."""
    period = node.get("period")
    if period is None:
        return True
    if not isinstance(period, dict):
        return unreadable
    start, end = (_microseconds(period.get(name)) for name in ("start", "end"))
    if start is None or end is None:
        return unreadable
    return start[0] <= to_us(now) < end[1]


def _microseconds(text: Any) -> tuple[int, int] | None:
    if text is None:
        return (MIN_US, MAX_US)
    return interval(text) if isinstance(text, str) else None
