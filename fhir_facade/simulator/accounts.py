"""The invented people of `accounts.toml`: who can be chosen at the account page, and what their days look like."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from typing import Any
from zoneinfo import ZoneInfo


@dataclass(frozen=True, slots=True)
class Account:
    """One person. `linked` False: a Google account without a health profile. Means of a day; grams, minutes, kcal."""

    email: str
    name: str
    health_user_id: str
    legacy_user_id: str
    zone: str
    locale: str
    age: int
    linked: bool = True
    device: str = ""
    form_factor: str = "FORM_FACTOR_UNSPECIFIED"
    steps: int = 0
    workout_weekdays: tuple[int, ...] = ()
    workout_minutes: int = 0
    basal_kcal: float = 0.0
    resting_heart_rate: int = 0
    oxygen_saturation: float = 0.0
    respiratory_rate: float = 0.0
    heart_rate_variability: float = 0.0
    weight_grams: int = 0
    body_fat_percentage: float = 0.0
    bedtime_hour: float = 23.0
    sleep_minutes: int = 0
    episode: Mapping[str, tuple[float, ...]] = field(default_factory=dict, hash=False)

    @property
    def time_zone(self) -> ZoneInfo:
        return ZoneInfo(self.zone)


def _frozen(row: Mapping[str, Any]) -> dict[str, Any]:
    values = {key: tuple(value) if isinstance(value, list) else value for key, value in row.items()}
    values["episode"] = {name: tuple(days) for name, days in row.get("episode", {}).items()}
    return values


@cache
def accounts() -> Mapping[str, Account]:
    """All accounts by e-mail address, in the order of the file."""
    text = resources.files(__package__).joinpath("accounts.toml").read_text(encoding="utf-8")
    return {row["email"]: Account(**_frozen(row)) for row in tomllib.loads(text)["accounts"]}
