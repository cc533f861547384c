"""Times as the Google Health API writes them: RFC 3339 in UTC, an offset as a duration, and civil time beside them.

Members that are zero are left out, as proto3 JSON does.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo


def timestamp(instant: datetime) -> str:
    """`2026-08-07T14:46:22Z`."""
    return instant.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def offset(instant: datetime, zone: ZoneInfo) -> str:
    """The zone's offset at that instant: `7200s`."""
    return f"{int((instant.astimezone(zone).utcoffset() or timedelta()).total_seconds())}s"


def civil_date(on: date) -> dict[str, int]:
    return {"year": on.year, "month": on.month, "day": on.day}


def civil(instant: datetime, zone: ZoneInfo) -> dict[str, Any]:
    wall = instant.astimezone(zone)
    time = {"hours": wall.hour, "minutes": wall.minute, "seconds": wall.second}
    return {"date": civil_date(wall.date()), "time": {name: value for name, value in time.items() if value}}


def sample_time(instant: datetime, zone: ZoneInfo) -> dict[str, Any]:
    """ObservationSampleTime."""
    return {
        "physicalTime": timestamp(instant),
        "utcOffset": offset(instant, zone),
        "civilTime": civil(instant, zone),
    }


def interval(start: datetime, end: datetime, zone: ZoneInfo) -> dict[str, Any]:
    """ObservationTimeInterval and SessionTimeInterval."""
    return {
        "startTime": timestamp(start),
        "startUtcOffset": offset(start, zone),
        "endTime": timestamp(end),
        "endUtcOffset": offset(end, zone),
        "civilStartTime": civil(start, zone),
        "civilEndTime": civil(end, zone),
    }
