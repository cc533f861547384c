"""`dailyRollUp`: points of civil days summed or averaged, newest first, days without data left out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from typing import Any

from fhir_facade.simulator.data_types import DataType
from fhir_facade.simulator.points import Point, Wearer, points_of
from fhir_facade.simulator.refusals import Refusal
from fhir_facade.simulator.times import civil_date

_LEVELS = ("LIGHT", "MODERATE", "VIGOROUS")
_MEMBERS = {"range", "windowSizeDays", "pageSize", "pageToken", "dataSourceFamily"}


def _count(member: str, of: str) -> Callable[[Sequence[Point]], Mapping[str, Any]]:
    return lambda points: {member: str(sum(int(each.value[of]) for each in points))}


def _sum(member: str, of: str) -> Callable[[Sequence[Point]], Mapping[str, Any]]:
    return lambda points: {member: round(sum(each.value[of] for each in points), 3)}


def _average(member: str, of: str) -> Callable[[Sequence[Point]], Mapping[str, Any]]:
    return lambda points: {member: round(sum(each.value[of] for each in points) / len(points), 3)}


def _heart_rate(points: Sequence[Point]) -> Mapping[str, Any]:
    beats = [int(each.value["beatsPerMinute"]) for each in points]
    average = round(sum(beats) / len(beats), 2)
    return {"beatsPerMinuteAvg": average, "beatsPerMinuteMin": min(beats), "beatsPerMinuteMax": max(beats)}


def _active_minutes(points: Sequence[Point]) -> Mapping[str, Any]:
    sums = dict.fromkeys(_LEVELS, 0)
    for point in points:
        for row in point.value["activeMinutesByActivityLevel"]:
            sums[row["activityLevel"]] += int(row["activeMinutes"])
    rows = [{"activityLevel": level, "activeMinutesSum": str(minutes)} for level, minutes in sums.items() if minutes]
    return {"activeMinutesRollupByActivityLevel": rows}


_SUMMARIES: Mapping[str, Callable[[Sequence[Point]], Mapping[str, Any]]] = {
    "steps": _count("countSum", "count"),
    "distance": _count("millimetersSum", "millimeters"),
    "floors": _count("countSum", "count"),
    "active-energy-burned": _sum("kcalSum", "kcal"),
    "total-calories": _sum("kcalSum", "kcal"),
    "active-minutes": _active_minutes,
    "heart-rate": _heart_rate,
    "weight": _average("weightGramsAvg", "weightGrams"),
    "body-fat": _average("bodyFatPercentageAvg", "percentage"),
}


def _day(body: Mapping[str, Any], end: str) -> date:
    civil = body.get("range", {}).get(end, {})
    try:
        on = civil["date"]
        return date(on["year"], on["month"], on["day"])
    except (KeyError, TypeError, ValueError) as error:
        raise Refusal(400, f"range.{end}.date is required and must be a date.") from error


def _window(body: Mapping[str, Any], data_type: DataType, start: date, end: date) -> int:
    """The window size, after the documented limits: the range, and windowSizeDays x pageSize."""
    size, page = body.get("windowSizeDays", 1), body.get("pageSize", 0)
    if not isinstance(size, int) or not isinstance(page, int) or size < 1 or page < 0 or end <= start:
        raise Refusal(400, "range must not be empty, windowSizeDays and pageSize must be positive.")
    limit = data_type.rollup_days
    if (end - start).days > limit or size * page > limit:
        text = f"The rollup query duration must not exceed {limit} days for data type {data_type.name}."
        raise Refusal(400, text, reason="INVALID_ROLLUP_QUERY_DURATION")
    return size


def _windows(start: date, end: date, size: int) -> Iterator[tuple[date, date]]:
    while start < end:
        stop = min(start + timedelta(days=size), end)
        yield start, stop
        start = stop


def daily_rollup(wearer: Wearer, data_type: DataType, body: Any) -> list[dict[str, Any]]:
    """All rows of a DailyRollUpDataPointsRequest. The end of the range is exclusive."""
    if not isinstance(body, Mapping) or not isinstance(body.get("range"), Mapping):
        raise Refusal(400, "range is required.")
    if unknown := sorted(body.keys() - _MEMBERS):
        raise Refusal(400, f'Invalid JSON payload received. Unknown name "{unknown[0]}": Cannot find field.')
    start, end = _day(body, "start"), _day(body, "end")
    size = _window(body, data_type, start, end)
    rows = []
    for first, stop in _windows(start, end, size):
        days = [first + timedelta(days=back) for back in range((stop - first).days)]
        points = [point for on in days for point in points_of(wearer, data_type, on)]
        if points:
            rows.append(
                {
                    "civilStartTime": {"date": civil_date(first)},
                    "civilEndTime": {"date": civil_date(stop)},
                    data_type.member: _SUMMARIES[data_type.name](points),
                }
            )
    return rows[::-1]
