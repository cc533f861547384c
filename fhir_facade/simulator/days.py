"""What a wearer did on one civil day, seeded from the account and the date: the same question has the same answer.

Nothing here is measured; the rhythms (week, night, workouts, gaps) only have to be believable.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache

from fhir_facade.simulator.accounts import Account

_STRIDE_MM = 720
_WEEKEND = (5, 6)
_NOT_WORN = 0.05
_CLASSIC_NIGHT = 0.12
_WEEKEND_NAP = 0.3
_WEIGHING_EVERY_DAYS = 3
_HEART_SAMPLE_MINUTES = 10
_CYCLE = ("LIGHT", "DEEP", "LIGHT", "REM")
_CYCLE_MINUTES = {"LIGHT": (22, 34), "DEEP": (12, 26), "REM": (10, 28)}


@dataclass(frozen=True, slots=True)
class Minute:
    """One minute with steps. `start` is aware, UTC."""

    start: datetime
    steps: int
    millimeters: int
    kcal: float
    level: str


@dataclass(frozen=True, slots=True)
class Night:
    """One sleep; `stages` are (type, minutes) in order and cover it without gaps."""

    start: datetime
    end: datetime
    stages: tuple[tuple[str, int], ...]
    type: str
    nap: bool


@dataclass(frozen=True, slots=True)
class Day:
    """All measurements of a day; `weighed_at` is None on days without a weighing. Everything is empty when not worn."""

    date: date
    worn: bool
    minutes: tuple[Minute, ...]
    heart: tuple[tuple[datetime, int], ...]
    floors: int
    resting_heart_rate: int
    oxygen_saturation: float
    respiratory_rate: float
    heart_rate_variability: float
    weighed_at: datetime | None
    by_hand: bool
    weight_grams: int
    body_fat_percentage: float
    nights: tuple[Night, ...]


def _chance(account: Account, on: date, purpose: str) -> random.Random:
    return random.Random(f"{account.email}|{on.isoformat()}|{purpose}")  # noqa: S311 - invented data, not a secret


def _instant(account: Account, on: date, minute: float) -> datetime:
    """The UTC instant of a wall-clock minute of a civil day, right on days of 23 and 25 hours too."""
    wall = datetime.combine(on, time(), account.time_zone) + timedelta(minutes=math.floor(minute))
    return wall.astimezone(UTC)


def _episode(account: Account, on: date, episode_on: date, name: str) -> float | None:
    values = account.episode.get(name, ())
    back = (episode_on - on).days
    return values[len(values) - 1 - back] if 0 <= back < len(values) else None


def _in_episode(account: Account, on: date, episode_on: date) -> bool:
    return any(_episode(account, on, episode_on, name) is not None for name in account.episode)


def _walks(account: Account, on: date) -> Iterator[tuple[int, int, str]]:
    """(minute of the day, steps, activity level), unordered and possibly repeated."""
    chance = _chance(account, on, "walks")
    left = int(account.steps * (0.78 if on.weekday() in _WEEKEND else 1.06) * chance.uniform(0.7, 1.3))
    if on.weekday() in account.workout_weekdays:
        begin = chance.randint(17 * 60, 19 * 60)
        for minute in range(begin, begin + account.workout_minutes):
            yield minute, chance.randint(138, 164), "VIGOROUS"
        left -= 90 * account.workout_minutes
    while left > 0:
        begin, brisk = chance.randint(7 * 60, 22 * 60 - 12), chance.random() < 0.3
        for minute in range(begin, begin + chance.randint(4, 12)):
            count = chance.randint(100, 122) if brisk else chance.randint(24, 88)
            yield minute, count, "MODERATE" if brisk else "LIGHT"
            left -= count


def _minutes(account: Account, on: date) -> tuple[Minute, ...]:
    by_minute: dict[int, tuple[int, str]] = {}
    for minute, steps, level in _walks(account, on):
        by_minute.setdefault(minute, (steps, level))
    factor = {"LIGHT": 0.035, "MODERATE": 0.042, "VIGOROUS": 0.062}
    return tuple(
        Minute(_instant(account, on, minute), steps, steps * _STRIDE_MM, round(steps * factor[level], 3), level)
        for minute, (steps, level) in sorted(by_minute.items())
    )


def _heart(account: Account, on: date, resting: int, minutes: tuple[Minute, ...]) -> tuple[tuple[datetime, int], ...]:
    chance = _chance(account, on, "heart")
    pace = {each.start: each.steps for each in minutes}
    samples = []
    for minute in range(0, 24 * 60, _HEART_SAMPLE_MINUTES):
        at = _instant(account, on, minute)
        rest = resting + (2 if minute < 7 * 60 else 14) + chance.randint(-3, 6)
        samples.append((at, rest + pace.get(at, 0) // 3))
    return tuple(samples)


def _cycles(chance: random.Random, asleep: int) -> tuple[tuple[str, int], ...]:
    stages: list[tuple[str, int]] = [("AWAKE", chance.randint(3, 11))]
    slept = 0
    while slept < asleep:
        for name in _CYCLE:
            minutes = chance.randint(*_CYCLE_MINUTES[name])
            stages.append((name, minutes))
            slept += minutes
        stages.append(("AWAKE", chance.randint(2, 9)))
    return tuple(stages)


def _classic(chance: random.Random, asleep: int) -> tuple[tuple[str, int], ...]:
    half = asleep // 2
    return (
        ("AWAKE", chance.randint(2, 6)),
        ("ASLEEP", half),
        ("RESTLESS", chance.randint(4, 14)),
        ("ASLEEP", asleep - half),
    )


def _night(start: datetime, stages: tuple[tuple[str, int], ...], kind: str, *, nap: bool) -> Night:
    return Night(start, start + timedelta(minutes=sum(minutes for _, minutes in stages)), stages, kind, nap)


def _nights(account: Account, on: date) -> tuple[Night, ...]:
    """The sleeps that ended on this civil day, the night first."""
    chance = _chance(account, on, "nights")
    weekend = on.weekday() in _WEEKEND
    bed = (account.bedtime_hour - 24) * 60 + chance.randint(-35, 45) + (40 if weekend else 0)
    asleep = account.sleep_minutes + chance.randint(-70, 45) + (30 if weekend else 0)
    classic = chance.random() < _CLASSIC_NIGHT
    stages = _classic(chance, asleep) if classic else _cycles(chance, asleep - 60)
    evening = _instant(account, on - timedelta(days=1), bed + 24 * 60)
    night = _night(evening, stages, "CLASSIC" if classic else "STAGES", nap=False)
    if not weekend or chance.random() >= _WEEKEND_NAP:
        return (night,)
    nap = _classic(chance, chance.randint(25, 70))
    return (night, _night(_instant(account, on, 14 * 60 + chance.randint(0, 90)), nap, "CLASSIC", nap=True))


@lru_cache(maxsize=1024)
def day_of(account: Account, on: date, episode_on: date) -> Day:
    """One day of a wearer; `episode_on` is the last day of the account's episode, before and after it all is usual."""
    chance = _chance(account, on, "day")
    worn = _in_episode(account, on, episode_on) or chance.random() >= _NOT_WORN
    wave = math.sin(on.toordinal() / 19)
    resting = int(_episode(account, on, episode_on, "resting_heart_rate") or 0)
    resting = resting or account.resting_heart_rate + round(1.5 * wave) + chance.randint(-2, 2)
    oxygen = _episode(account, on, episode_on, "oxygen_saturation")
    breaths = _episode(account, on, episode_on, "respiratory_rate")
    minutes = _minutes(account, on) if worn else ()
    weighed = on.toordinal() % _WEIGHING_EVERY_DAYS == 0
    return Day(
        date=on,
        worn=worn,
        minutes=minutes,
        heart=_heart(account, on, resting, minutes) if worn else (),
        floors=chance.randint(2, 16),
        resting_heart_rate=resting,
        oxygen_saturation=oxygen or round(account.oxygen_saturation + chance.uniform(-0.7, 0.7), 1),
        respiratory_rate=breaths or round(account.respiratory_rate + chance.uniform(-0.6, 0.6), 1),
        heart_rate_variability=round(account.heart_rate_variability + 5 * wave + chance.uniform(-6, 6), 1),
        weighed_at=_instant(account, on, 7 * 60 + chance.randint(0, 45)) if weighed else None,
        by_hand=on.toordinal() % (4 * _WEIGHING_EVERY_DAYS) == 0,
        weight_grams=account.weight_grams + round(900 * wave) + 50 * chance.randint(-6, 6),
        body_fat_percentage=round(account.body_fat_percentage + 0.6 * wave + chance.uniform(-0.3, 0.3), 1),
        nights=_nights(account, on) if worn else (),
    )
