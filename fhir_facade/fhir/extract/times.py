"""Emitters of date parameters (https://hl7.org/fhir/R4/search.html#date)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fhir_facade.fhir.extract.dates import MAX_US, MIN_US, interval
from fhir_facade.fhir.extract.emitting import Build, Emit, Names, listed
from fhir_facade.fhir.extract.rows import DateRow, IndexRows


def date(names: Names) -> Emit:
    def emit(value: Any, rows: IndexRows) -> None:
        found = interval(value) if isinstance(value, str) else None
        if found is not None:
            rows.dates.extend([DateRow(name, *found) for name in names])

    return emit


def period_span(value: Any) -> tuple[int, int] | None:
    if not isinstance(value, dict):
        return None
    start, end = (interval(text) if isinstance(text := value.get(key), str) else None for key in ("start", "end"))
    if start is None and end is None:
        return None
    return start[0] if start else MIN_US, end[1] if end else MAX_US


def timing_span(value: Any) -> tuple[int, int] | None:
    if not isinstance(value, dict):
        return None
    repeat = value.get("repeat")
    bounds = period_span(repeat.get("boundsPeriod")) if isinstance(repeat, dict) else None
    events = [interval(event) for event in listed(value.get("event")) if isinstance(event, str)]
    spans = [span for span in (bounds, *events) if span is not None]
    return (min(low for low, _ in spans), max(high for _, high in spans)) if spans else None


def span(span_of: Callable[[Any], tuple[int, int] | None]) -> Build:
    def build(names: Names) -> Emit:
        def emit(value: Any, rows: IndexRows) -> None:
            found = span_of(value)
            if found is not None:
                rows.dates.extend([DateRow(name, *found) for name in names])

        return emit

    return build
