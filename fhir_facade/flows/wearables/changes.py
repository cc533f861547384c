"""What a read of one data type changes in the store: created or corrected, unchanged, vanished. Pure.

Deletion is inferred only inside a window that was read completely: https://hl7.org/fhir/R4/observation.html#status
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final

from fhir_facade.fhir.document import decimal_dumps, decimal_loads, equal_values
from fhir_facade.flows.wearables.records import Resource, erroneous
from mappers.observation import MapResult
from terminology.canonical import identifier_system

TRAILING: Final = timedelta(days=7)
"""Trackers deliver late and vendors re-process: so much is read again every time."""

ERRONEOUS: Final = "entered-in-error"


@dataclass(frozen=True, slots=True)
class Window:
    """Civil days [start, end). Records with a time: from midnight UTC of `start` on."""

    start: date
    end: date

    def holds(self, observation: Resource) -> bool:
        """Whether the record behind a stored Observation would have been read."""
        text = observation.get("effectivePeriod", {}).get("end") or observation.get("effectiveDateTime")
        if text is None:
            return False
        if len(text) == len("2026-11-21"):
            return self.start <= date.fromisoformat(text) < self.end
        return datetime.fromisoformat(text) >= datetime.combine(self.start, time(), UTC)


def window_of(today: date, through: date | None, *, lookback_days: int, full: bool) -> Window:
    """The days to read: the whole look-back the first time or when `full`, otherwise from a week before the cursor."""
    first = today - timedelta(days=lookback_days - 1)
    if through is not None:
        first = min(first, through - TRAILING) if full else through - TRAILING
    return Window(first, today + timedelta(days=1))


@dataclass(frozen=True, slots=True)
class Changes:
    """`puts` in the order of their times, `gone` likewise; `unchanged` counts what needs no write."""

    puts: Sequence[Resource]
    gone: Sequence[Resource]
    unchanged: int


def changes(result: MapResult, stored: Mapping[str, bytes], window: Window, *, vendor: str, complete: bool) -> Changes:
    """Compare what was mapped with what is stored, by identity key.

    `stored` are the Observations of this connection and data type that may lie in the window, as JSON.
    """
    puts, unchanged = [], 0
    for observation in result.observations:
        known = stored.get(key_of(observation, vendor) or "")
        if known is not None and equal_values(known, decimal_dumps(observation)):
            unchanged += 1
        else:
            puts.append(observation)
    certain = complete and all(skipped.key is not None for skipped in result.skipped)
    gone = _vanished(stored, frozenset(result.keys), window) if certain else []
    return Changes(sorted(puts, key=_moment), sorted(gone, key=_moment), unchanged)


def _vanished(stored: Mapping[str, bytes], seen: frozenset[str], window: Window) -> list[Resource]:
    missing = [decimal_loads(body) for key, body in stored.items() if key not in seen]
    return [erroneous(each) for each in missing if each["status"] != ERRONEOUS and window.holds(each)]


def key_of(observation: Resource, vendor: str) -> str | None:
    """The identity key a device Observation carries as identifier."""
    system = identifier_system(vendor)
    found = (each.get("value") for each in observation.get("identifier", ()) if each.get("system") == system)
    return next(found, None)


def _moment(observation: Resource) -> str:
    """Orders times of one data type; instants are compared in UTC."""
    text: Any = observation.get("effectivePeriod", {}).get("start") or observation.get("effectiveDateTime", "")
    return text if len(text) <= len("2026-11-21") else datetime.fromisoformat(text).astimezone(UTC).isoformat()
