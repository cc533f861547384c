"""Which requests read one data type of the Google Health API over a window: pure, so that a test can check them all
against the published description. https://developers.google.com/health/reference/rest/v4/users.dataTypes.dataPoints
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from fhir_facade.adapters.vendors.calls import Call
from mappers.google_health import DataType

# Documented are 14 days for some types and 90 for others; clients report 14 for all and an inclusive end: 13 fit all.
ROLLUP_DAYS = 13
PAGE_SIZE = 1440
SLEEP_PAGE_SIZE = 25


@dataclass(frozen=True, slots=True)
class Chunk:
    """One request and, for a rollup, the civil days [start, end) its rows must lie in."""

    call: Call
    start: date
    end: date


def chunks(api_base: str, name: str, spec: DataType, start: date, end: date) -> Iterator[Chunk]:
    """The first requests (their later pages are the same with a token) that together cover the window."""
    address = f"{api_base}/v4/users/me/dataTypes/{name}/dataPoints"
    if spec.method != "dailyRollUp":
        suffix = ":reconcile" if spec.method == "reconcile" else ""
        yield Chunk(Call("GET", address + suffix, _query(name, spec, start, end)), start, end)
        return
    while start < end:
        stop = min(start + timedelta(days=ROLLUP_DAYS), end)
        body = {"range": {"start": _civil(start), "end": _civil(stop)}, "windowSizeDays": 1}
        yield Chunk(Call("POST", f"{address}:dailyRollUp", json=body), start, stop)
        start = stop


def _query(name: str, spec: DataType, start: date, end: date) -> dict[str, str]:
    size = SLEEP_PAGE_SIZE if name == "sleep" else PAGE_SIZE
    return {"filter": _filter(spec, start, end), "pageSize": str(size)}


def _filter(spec: DataType, start: date, end: date) -> str:
    if spec.time == "civil-day":
        return f'{spec.filter} >= "{start.isoformat()}" AND {spec.filter} < "{end.isoformat()}"'
    return f'{spec.filter} >= "{start.isoformat()}T00:00:00Z"'


def _civil(on: date) -> dict[str, Any]:
    return {"date": {"year": on.year, "month": on.month, "day": on.day}}


def next_page(call: Call, token: str) -> Call:
    """The same request for the page behind the token: in the query, or in the body of a rollup."""
    if call.json is not None:
        return Call(call.method, call.url, call.query, json={**call.json, "pageToken": token})
    return Call(call.method, call.url, {**call.query, "pageToken": token})


def inside(chunk: Chunk, row: Mapping[str, Any]) -> bool:
    """Whether a row of a rollup begins in the chunk; rows without a readable day are kept for the mapper to report."""
    on = row.get("civilStartTime", {})
    day = on.get("date") if isinstance(on, Mapping) else None
    try:
        return day is None or chunk.start <= date(day["year"], day["month"], day["day"]) < chunk.end
    except (KeyError, TypeError, ValueError):
        return True
