"""Google Health API v4 records become FHIR Observations: https://developers.google.com/health/reference/rest

    to_observations(data_type, records, context: MapContext) -> MapResult
    types() -> Mapping[str, DataType]     method, filter field, kind of time and vendor scope of every data type read

A record that cannot be read becomes a `Skipped` with its reason; the others of the page go on. A civil day is a plain
date in `effectiveDateTime`. One sleep is one Observation with its stages as components. Rows come newest first.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Literal

import msgspec

from mappers.observation import (
    Codes,
    MapContext,
    MapResult,
    Skipped,
    absent,
    component,
    device_observation,
    identity_key,
    quantity,
)
from mappers.vendor_values import Unreadable, at, civil_date, instant, local_text, number
from terminology import ucum
from terminology.canonical import MEASURE, SLEEP_KIND
from terminology.codes import concept


class Part(msgspec.Struct, frozen=True):
    """One number of a record: where it lies below the member, what it means, its unit."""

    value: str
    codes: list[tuple[str, str]]
    unit: str


class Measure(Part, frozen=True, kw_only=True):
    """A number that becomes an Observation of its own; see `meaning` in google_health.json."""

    category: str
    name: str = ""
    convert: tuple[str, str] | None = None
    zero: Literal["or-absent", "counts", "not-computed"] = "not-computed"
    how: str | None = None
    components: list[Part] = []


class DataType(msgspec.Struct, frozen=True, kw_only=True):
    """How one data type is asked for and read. `filter` is None for rollups."""

    method: Literal["dailyRollUp", "list", "reconcile"]
    member: str
    time: Literal["civil-day", "sample", "session"]
    scope: str
    measures: list[Measure]
    filter: str | None = None


class _Table(msgspec.Struct, frozen=True):
    source: str
    meaning: str
    types: dict[str, DataType]


@cache
def types() -> Mapping[str, DataType]:
    """Every data type this mapper reads, by the vendor's kebab-case name."""
    raw = (files("mappers") / "google_health.json").read_bytes()
    return msgspec.json.decode(raw, type=_Table).types


class UnknownDataType(ValueError):
    """The mapper has no row for this data type."""


class _NotYet(ValueError):
    """Nothing is wrong with the record, it just has no value (yet)."""


@dataclass(frozen=True, slots=True)
class _Placed:
    """Where a record stands in time: its key and its `effective[x]`."""

    record_key: str
    effective: Mapping[str, Any]


def _civil_day(spec: DataType, record: Mapping[str, Any], context: MapContext) -> _Placed:
    path = "civilStartTime.date" if spec.method == "dailyRollUp" else f"{spec.member}.date"
    day = civil_date(at(record, path), path)
    return _Placed(day, {"effectiveDateTime": day})


def _sample(spec: DataType, record: Mapping[str, Any], context: MapContext) -> _Placed:
    path = f"{spec.member}.sampleTime.physicalTime"
    when = instant(at(record, path), path)
    text = local_text(when, at(record, f"{spec.member}.sampleTime.utcOffset"), context.zone)
    return _Placed(_record_id(record) or f"{when:%Y-%m-%dT%H:%M:%SZ}", {"effectiveDateTime": text})


def _session(spec: DataType, record: Mapping[str, Any], context: MapContext) -> _Placed:
    interval = f"{spec.member}.interval"
    start = instant(at(record, f"{interval}.startTime"), f"{interval}.startTime")
    begun = local_text(start, at(record, f"{interval}.startUtcOffset"), context.zone)
    key = _record_id(record) or f"{start:%Y-%m-%dT%H:%M:%SZ}"
    if at(record, f"{interval}.endTime") is None:
        return _Placed(key, {"effectivePeriod": {"start": begun}})
    end = instant(at(record, f"{interval}.endTime"), f"{interval}.endTime")
    if end < start:
        raise Unreadable(f"{interval} ends before it starts")
    ended = local_text(end, at(record, f"{interval}.endUtcOffset"), context.zone)
    return _Placed(key, {"effectivePeriod": {"start": begun, "end": ended}})


_PLACES = {"civil-day": _civil_day, "sample": _sample, "session": _session}


def _record_id(record: Mapping[str, Any]) -> str | None:
    """The tail of the data point's name; reconciled points carry it under another member."""
    name = record.get("name") or record.get("dataPointName")
    return name.rsplit("/", 1)[-1] if isinstance(name, str) else None


def _value(measure: Measure, data: Mapping[str, Any]) -> dict[str, Any]:
    raw = at(data, measure.value)
    if raw is None and measure.zero != "or-absent":
        raise _NotYet(f"{measure.value} is absent")
    value = number(0 if raw is None else raw, measure.value)
    if value == 0 and measure.zero == "not-computed":
        raise _NotYet(f"{measure.value} was not computed by the vendor")
    if measure.convert is not None:
        value = ucum.convert(value, *measure.convert)
    return {"valueQuantity": quantity(value, measure.unit)}


def _components(measure: Measure, data: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for part in measure.components:
        raw = at(data, part.value)
        if raw is not None:
            yield component(part.codes, {"valueQuantity": quantity(number(raw, part.value), part.unit)})


_METHODS = {
    "MANUAL": "manual",
    "PASSIVELY_MEASURED": "passively-measured",
    "ACTIVELY_MEASURED": "actively-measured",
    "DERIVED": "derived",
}


def _how(measure: Measure, record: Mapping[str, Any]) -> str | None:
    return measure.how or _METHODS.get(at(record, "dataSource.recordingMethod"))


def _sleep_kind(data: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Main sleep, nap or additional sleep; nothing when the vendor says nothing."""
    metadata = data.get("metadata")
    if not isinstance(metadata, Mapping):
        return
    is_main, is_nap = metadata.get("mainSleep") is True, metadata.get("nap") is True
    code = "main-sleep" if is_main else "nap" if is_nap else "additional-sleep"
    kind: Codes = [(MEASURE, "sleep-kind")]
    yield component(kind, {"valueCodeableConcept": concept((SLEEP_KIND, code))})


def _session_observation(
    measure: Measure, record: Mapping[str, Any], data: Mapping[str, Any], placed: _Placed, context: MapContext, key: str
) -> dict[str, Any]:
    if "end" not in placed.effective["effectivePeriod"]:
        raise _NotYet("the sleep is still going on")
    in_work = at(data, "metadata.processed") is False
    waiting = in_work and at(data, measure.value) is None
    return device_observation(
        context,
        key=key,
        codes=measure.codes,
        category_code=measure.category,
        effective=placed.effective,
        value={"dataAbsentReason": absent("temp-unknown")} if waiting else _value(measure, data),
        status="preliminary" if in_work else "final",
        how=_how(measure, record),
        components=[*_components(measure, data), *_sleep_kind(data)],
    )


def _point_observation(
    measure: Measure, record: Mapping[str, Any], data: Mapping[str, Any], placed: _Placed, context: MapContext, key: str
) -> dict[str, Any]:
    return device_observation(
        context,
        key=key,
        codes=measure.codes,
        category_code=measure.category,
        effective=placed.effective,
        value=_value(measure, data),
        how=_how(measure, record),
        components=list(_components(measure, data)),
    )


_BUILDERS = {"civil-day": _point_observation, "sample": _point_observation, "session": _session_observation}


class _Page:
    """Collects what the records of one call become; the later `updateTime` wins among records of one key."""

    def __init__(self) -> None:
        self.observations: dict[str, tuple[str, dict[str, Any]]] = {}
        self.skipped: list[Skipped] = []
        self.keys: dict[str, None] = {}

    def keep(self, key: str, updated: str, observation: dict[str, Any]) -> None:
        known = self.observations.get(key)
        if known is None or updated > known[0]:
            self.observations[key] = (updated, observation)


def _add(page: _Page, data_type: str, spec: DataType, record: Mapping[str, Any], context: MapContext) -> None:
    try:
        placed = _PLACES[spec.time](spec, record, context)
    except Unreadable as problem:
        page.skipped.append(Skipped(data_type, str(problem)))
        return
    data = record.get(spec.member)
    for measure in spec.measures:
        record_key = "|".join(filter(None, (placed.record_key, measure.name)))
        key = identity_key(context.patient_id, context.vendor, context.account, data_type, record_key)
        page.keys[key] = None
        try:
            if not isinstance(data, Mapping):
                raise _NotYet(f"the vendor has no {spec.member} for this time")
            observation = _BUILDERS[spec.time](measure, record, data, placed, context, key)
            page.keep(key, _updated(data), observation)
        except (_NotYet, Unreadable) as problem:
            page.skipped.append(Skipped(data_type, str(problem), key, isinstance(problem, _NotYet)))


def _updated(data: Mapping[str, Any]) -> str:
    """The record's update time in an order that compares as text; empty when it has none."""
    try:
        return instant(data.get("updateTime"), "updateTime").isoformat(timespec="milliseconds")
    except Unreadable:
        return ""


def to_observations(data_type: str, records: Sequence[Mapping[str, Any]], context: MapContext) -> MapResult:
    """Map the records of one data type. `UnknownDataType` when there is no row for it; never raises for a record."""
    spec = types().get(data_type)
    if spec is None:
        raise UnknownDataType(f"No mapping for {data_type}; there is one for {', '.join(sorted(types()))}")
    page = _Page()
    for record in records:
        _add(page, data_type, spec, record, context)
    return MapResult([found for _, found in page.observations.values()], page.skipped, list(page.keys))
