"""The data points of a wearer, one builder per data type: `list` and `reconcile` answer them, rollups are their sums.

Integers of 64 bits are JSON strings, other numbers are numbers: https://protobuf.dev/programming-guides/json/.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from fhir_facade.simulator.accounts import Account
from fhir_facade.simulator.data_types import DATA_TYPES, DataType
from fhir_facade.simulator.days import Day, Night, day_of
from fhir_facade.simulator.times import civil_date, interval, offset, sample_time, timestamp

_MINUTE = timedelta(minutes=1)
_PROCESSING = timedelta(minutes=20)


@dataclass(frozen=True, slots=True)
class Point:
    """One data point. `start` orders and filters it, `end` is the same for samples; `on` is its civil date.

    `value` is the member of the data type; `anchor` makes the id of identifiable types; `by_hand` is the
    recording method MANUAL.
    """

    start: datetime
    end: datetime
    on: date
    value: Mapping[str, Any]
    anchor: str = ""
    by_hand: bool = False


@dataclass(frozen=True, slots=True)
class Edits:
    """What was changed by hand at the vendor: (data type, civil date) -> factor, 0 means that the record vanished."""

    factors: Mapping[tuple[str, date], float]

    def factor(self, data_type: str, on: date) -> float:
        return self.factors.get((data_type, on), 1.0)


@dataclass(frozen=True, slots=True)
class Wearer:
    """An account as the vendor's servers know it: data up to `synced_at` (aware, UTC)."""

    account: Account
    episode_on: date
    synced_at: datetime
    edits: Edits

    @property
    def today(self) -> date:
        return self.synced_at.astimezone(self.account.time_zone).date()

    def day(self, on: date) -> Day:
        return day_of(self.account, on, self.episode_on)


def _moving(member: str, of: str) -> Callable[[Wearer, Day], Iterator[Point]]:
    def build(wearer: Wearer, day: Day) -> Iterator[Point]:
        for minute in day.minutes:
            amount = getattr(minute, of)
            value: dict[str, Any] = {
                "interval": interval(minute.start, minute.start + _MINUTE, wearer.account.time_zone)
            }
            value[member] = amount if isinstance(amount, float) else str(amount)
            yield Point(minute.start, minute.start + _MINUTE, day.date, value)

    return build


def _active_minutes(wearer: Wearer, day: Day) -> Iterator[Point]:
    for minute in day.minutes:
        level = [{"activityLevel": minute.level, "activeMinutes": "1"}]
        yield Point(minute.start, minute.start + _MINUTE, day.date, {"activeMinutesByActivityLevel": level})


def _heart_rate(wearer: Wearer, day: Day) -> Iterator[Point]:
    for at, beats in day.heart:
        value = {"sampleTime": sample_time(at, wearer.account.time_zone), "beatsPerMinute": str(beats)}
        yield Point(at, at, day.date, value)


def _midnight(wearer: Wearer, on: date) -> datetime:
    return datetime.combine(on, time(), wearer.account.time_zone).astimezone(UTC)


def _floors(wearer: Wearer, day: Day) -> Iterator[Point]:
    if day.minutes:
        start = day.minutes[0].start
        yield Point(start, start + _MINUTE, day.date, {"count": str(day.floors)})


def _total_calories(wearer: Wearer, day: Day) -> Iterator[Point]:
    if not day.worn:
        return
    start = _midnight(wearer, day.date)
    end = min(_midnight(wearer, day.date + timedelta(days=1)), wearer.synced_at)
    basal = wearer.account.basal_kcal * (end - start) / timedelta(days=1)
    yield Point(start, start, day.date, {"kcal": round(basal, 3)})
    for minute in day.minutes:
        yield Point(minute.start, minute.start + _MINUTE, day.date, {"kcal": minute.kcal})


def _daily(values: Callable[[Day], Mapping[str, Any]]) -> Callable[[Wearer, Day], Iterator[Point]]:
    def build(wearer: Wearer, day: Day) -> Iterator[Point]:
        if day.worn:
            start = _midnight(wearer, day.date)
            yield Point(start, start, day.date, {"date": civil_date(day.date), **values(day)})

    return build


def _resting(day: Day) -> Mapping[str, Any]:
    metadata = {"calculationMethod": "WITH_SLEEP"}
    return {"beatsPerMinute": str(day.resting_heart_rate), "dailyRestingHeartRateMetadata": metadata}


def _oxygen(day: Day) -> Mapping[str, Any]:
    middle = day.oxygen_saturation
    low, high = round(middle - 2.4, 1), round(min(100.0, middle + 1.9), 1)
    return {"averagePercentage": middle, "lowerBoundPercentage": low, "upperBoundPercentage": high}


def _respiratory(day: Day) -> Mapping[str, Any]:
    return {"breathsPerMinute": day.respiratory_rate}


def _variability(day: Day) -> Mapping[str, Any]:
    value = day.heart_rate_variability
    return {
        "averageHeartRateVariabilityMilliseconds": value,
        "deepSleepRootMeanSquareOfSuccessiveDifferencesMilliseconds": round(value * 1.12, 1),
    }


def _weighing(member: str, of: str) -> Callable[[Wearer, Day], Iterator[Point]]:
    def build(wearer: Wearer, day: Day) -> Iterator[Point]:
        if day.weighed_at is not None:
            at = day.weighed_at
            value = {"sampleTime": sample_time(at, wearer.account.time_zone), member: getattr(day, of)}
            yield Point(at, at, day.date, value, timestamp(at), day.by_hand)

    return build


def _stages(wearer: Wearer, night: Night) -> list[dict[str, Any]]:
    zone, start, segments = wearer.account.time_zone, night.start, []
    for name, minutes in night.stages:
        end = start + minutes * _MINUTE
        segments.append(
            {
                "startTime": timestamp(start),
                "startUtcOffset": offset(start, zone),
                "endTime": timestamp(end),
                "endUtcOffset": offset(end, zone),
                "type": name,
            }
        )
        start = end
    return segments


def _summary(night: Night) -> dict[str, Any]:
    kinds = dict.fromkeys(name for name, _ in night.stages)
    each = {kind: [minutes for name, minutes in night.stages if name == kind] for kind in kinds}
    asleep = sum(minutes for name, minutes in night.stages if name not in {"AWAKE", "RESTLESS"})
    return {
        "minutesInSleepPeriod": str(sum(minutes for _, minutes in night.stages)),
        "minutesAsleep": str(asleep),
        "minutesAwake": str(sum(each.get("AWAKE", ()))),
        "minutesToFallAsleep": "0",
        "minutesAfterWakeUp": "0",
        "stagesSummary": [
            {"type": kind, "minutes": str(sum(minutes)), "count": str(len(minutes))} for kind, minutes in each.items()
        ],
    }


def _sleep(wearer: Wearer, day: Day) -> Iterator[Point]:
    for night in day.nights:
        done = timestamp(night.end + _PROCESSING)
        status = "REJECTED_NAP" if night.nap else "SUCCEEDED" if night.type == "STAGES" else "REJECTED_COVERAGE"
        value = {
            "interval": interval(night.start, night.end, wearer.account.time_zone),
            "type": night.type,
            "stages": _stages(wearer, night),
            "metadata": {"stagesStatus": status, "processed": True, "mainSleep": not night.nap, "nap": night.nap},
            "summary": _summary(night),
            "createTime": done,
            "updateTime": done,
        }
        yield Point(night.start, night.end, day.date, value, timestamp(night.start))


_BUILDERS: Mapping[str, Callable[[Wearer, Day], Iterator[Point]]] = {
    "steps": _moving("count", "steps"),
    "distance": _moving("millimeters", "millimeters"),
    "active-energy-burned": _moving("kcal", "kcal"),
    "floors": _floors,
    "active-minutes": _active_minutes,
    "total-calories": _total_calories,
    "heart-rate": _heart_rate,
    "weight": _weighing("weightGrams", "weight_grams"),
    "body-fat": _weighing("percentage", "body_fat_percentage"),
    "daily-resting-heart-rate": _daily(_resting),
    "daily-oxygen-saturation": _daily(_oxygen),
    "daily-respiratory-rate": _daily(_respiratory),
    "daily-heart-rate-variability": _daily(_variability),
    "sleep": _sleep,
}
assert _BUILDERS.keys() == DATA_TYPES.keys()


def _scaled(value: Any, numbers: tuple[str, ...], factor: float) -> Any:
    """The same JSON with the named members multiplied; strings stay strings, integers integers."""
    if isinstance(value, list):
        return [_scaled(each, numbers, factor) for each in value]
    if not isinstance(value, Mapping):
        return value
    return {
        name: _times(member, factor)
        if name in numbers and not isinstance(member, list)
        else _scaled(member, numbers, factor)
        for name, member in value.items()
    }


def _times(number: Any, factor: float) -> Any:
    if isinstance(number, str):
        return str(round(int(number) * factor))
    return type(number)(round(number * factor, 3))


def points_of(wearer: Wearer, data_type: DataType, on: date) -> tuple[Point, ...]:
    """The points of one civil day (a sleep belongs to the day it ended on), corrections applied, oldest first."""
    factor = wearer.edits.factor(data_type.name, on)
    if on > wearer.today or factor == 0:
        return ()
    points = tuple(each for each in _BUILDERS[data_type.name](wearer, wearer.day(on)) if each.end <= wearer.synced_at)
    if factor == 1:
        return points
    return tuple(
        Point(each.start, each.end, each.on, _scaled(each.value, data_type.numbers, factor), each.anchor, each.by_hand)
        for each in points
    )


def point_id(wearer: Wearer, data_type: DataType, point: Point) -> str:
    """The stable last segment of a data point's name, digits only."""
    key = f"{wearer.account.email}|{data_type.name}|{point.anchor}"
    return str(uuid5(NAMESPACE_URL, key).int % 10**19)


def data_source(wearer: Wearer, point: Point) -> dict[str, Any]:
    """DataSource of a listed point."""
    device = {"displayName": wearer.account.device, "formFactor": wearer.account.form_factor}
    method = "MANUAL" if point.by_hand else "PASSIVELY_MEASURED"
    return {"recordingMethod": method, "platform": "FITBIT", "device": device}
