"""Emitters of date parameters (https://hl7.org/fhir/R4/search.html#date)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fhir_facade.fhir.extract.dates import MAX_US, MIN_US, interval
from fhir_facade.fhir.extract.emitting import Build, Emit, Names, Values, listed
from fhir_facade.fhir.extract.rows import IndexRows, date_row

Span = tuple[int, int]


def _point_span(value: Any) -> Span | None:
    return interval(value) if isinstance(value, str) else None


def period_span(value: Any) -> Span | None:
    if not isinstance(value, dict):
        return None
    start, end = _point_span(value.get("start")), _point_span(value.get("end"))
    if start is None and end is None:
        return None
    return start[0] if start else MIN_US, end[1] if end else MAX_US


def timing_span(value: Any) -> Span | None:
    if not isinstance(value, dict):
        return None
    repeat = value.get("repeat")
    bounds = period_span(repeat.get("boundsPeriod")) if isinstance(repeat, dict) else None
    spans = [span for span in (bounds, *map(_point_span, listed(value.get("event")))) if span is not None]
    return (min(low for low, _ in spans), max(high for _, high in spans)) if spans else None


def span(span_of: Callable[[Any], Span | None]) -> Build:
    def build(names: Names) -> Emit:
        def emit(values: Values, rows: IndexRows) -> None:
            for value in values:
                found = span_of(value)
                if found is not None:
                    for name in names:
                        rows.dates.append(date_row((name, *found)))

        return emit

    return build


date = span(_point_span)
