"""The data types the simulator serves: which scope opens them, which methods they have, how far a rollup may reach.

https://developers.google.com/health/data-types and the method descriptions of the discovery document.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

SCOPE_PREFIX = "https://www.googleapis.com/auth/googlehealth."
ACTIVITY = f"{SCOPE_PREFIX}activity_and_fitness.readonly"
MEASUREMENTS = f"{SCOPE_PREFIX}health_metrics_and_measurements.readonly"
SLEEP = f"{SCOPE_PREFIX}sleep.readonly"
SETTINGS = f"{SCOPE_PREFIX}settings.readonly"
PROFILE = f"{SCOPE_PREFIX}profile.readonly"

SCOPES: Mapping[str, str] = {
    ACTIVITY: "See your Google Health activity and fitness data",
    MEASUREMENTS: "See your Google Health health metrics and measurement data",
    SLEEP: "See your Google Health sleep data",
    SETTINGS: "See your Google Health settings",
    PROFILE: "See your Google Health profile data",
}

Kind = Literal["interval", "sample", "daily", "session"]
Method = Literal["list", "reconcile", "dailyRollUp"]

_READ: frozenset[Method] = frozenset({"list", "reconcile"})
_ALL: frozenset[Method] = frozenset({"list", "reconcile", "dailyRollUp"})
_ROLLUP: frozenset[Method] = frozenset({"dailyRollUp"})


@dataclass(frozen=True, slots=True)
class DataType:
    """`name` as in the address, `member` as in JSON, `snake` as in filters. `numbers` are the members that a
    correction changes; `rollup_days` bounds the range of a dailyRollUp, `page_size` and `page_limit` a page."""

    name: str
    kind: Kind
    scope: str
    methods: frozenset[Method]
    numbers: tuple[str, ...] = ()
    rollup_days: int = 90
    page_size: int = 1440
    page_limit: int = 10_000

    @property
    def member(self) -> str:
        first, *rest = self.name.split("-")
        return first + "".join(word.capitalize() for word in rest)

    @property
    def snake(self) -> str:
        return self.name.replace("-", "_")

    @property
    def identifiable(self) -> bool:
        return self.name in {"weight", "body-fat", "sleep"}


_ROWS = (
    DataType("steps", "interval", ACTIVITY, _ALL, ("count",)),
    DataType("distance", "interval", ACTIVITY, _ALL, ("millimeters",)),
    DataType("active-energy-burned", "interval", ACTIVITY, _ALL, ("kcal",)),
    DataType("floors", "interval", ACTIVITY, _ROLLUP, ("count",)),
    DataType("active-minutes", "interval", ACTIVITY, _ROLLUP, ("activeMinutes",), rollup_days=14),
    DataType("total-calories", "interval", ACTIVITY, _ROLLUP, ("kcal",), rollup_days=14),
    DataType("heart-rate", "sample", MEASUREMENTS, _ALL, ("beatsPerMinute",), rollup_days=14),
    DataType("weight", "sample", MEASUREMENTS, _ALL, ("weightGrams",)),
    DataType("body-fat", "sample", MEASUREMENTS, _ALL, ("percentage",)),
    DataType("daily-resting-heart-rate", "daily", MEASUREMENTS, _READ, ("beatsPerMinute",)),
    DataType(
        "daily-oxygen-saturation",
        "daily",
        MEASUREMENTS,
        _READ,
        ("averagePercentage", "lowerBoundPercentage", "upperBoundPercentage"),
    ),
    DataType("daily-respiratory-rate", "daily", MEASUREMENTS, _READ, ("breathsPerMinute",)),
    DataType(
        "daily-heart-rate-variability", "daily", MEASUREMENTS, _READ, ("averageHeartRateVariabilityMilliseconds",)
    ),
    DataType("sleep", "session", SLEEP, _READ, ("minutesAsleep",), page_size=25, page_limit=25),
)

DATA_TYPES: Mapping[str, DataType] = {row.name: row for row in _ROWS}
