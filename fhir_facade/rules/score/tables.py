"""The tables of Life's Essential 8 and the sentences of a score, as data: https://doi.org/10.1161/CIR.0000000000001078"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from functools import cache
from importlib.resources import files

import msgspec

Bands = list[tuple[Decimal, int]]


class Category(msgspec.Struct, frozen=True, rename={"lower": "from"}):
    lower: Decimal
    code: str


class ActivityTable(msgspec.Struct, frozen=True):
    source: str
    vigorous_weight: int
    bands: Bands
    target: str
    unit: str
    window_source: str
    days: int
    least_days: int


class SleepTable(msgspec.Struct, frozen=True):
    source: str
    bands: Bands
    apnoea_deduction: int
    target: str
    unit: str
    window_source: str
    days: int
    least_days: int


class BmiTable(msgspec.Struct, frozen=True):
    source: str
    general: Bands
    asian_pacific: Bands
    least: Decimal
    target: str
    unit: str
    window_source: str
    days: int
    height_days: int


class LipidsTable(msgspec.Struct, frozen=True):
    source: str
    bands: Bands
    treated_deduction: int
    target: str
    unit: str
    window_source: str
    days: int


class GlucoseTable(msgspec.Struct, frozen=True):
    source: str
    fasting: Bands
    fasting_undefined_from: Decimal
    hba1c: Bands
    hba1c_diabetes_from: Decimal
    diabetes: Bands
    prevention_deduction: int
    target: str
    diabetes_target: str
    fasting_target: str
    unit: str
    fasting_unit: str
    ifcc_factor: Decimal
    ifcc_offset: Decimal
    ifcc_source: str
    window_source: str
    days: int
    history_days: int


class BloodPressureTable(msgspec.Struct, frozen=True):
    source: str
    systolic: Bands
    diastolic: Bands
    treated_deduction: int
    target: str
    unit: str
    window_source: str
    days: int
    least_readings: int


class NicotineTable(msgspec.Struct, frozen=True):
    source: str
    never: int
    quit_years: Bands
    inhaled_nds: int
    current: int
    secondhand_deduction: int
    reachable: int
    days: int
    years: dict[str, Decimal]


class DietTable(msgspec.Struct, frozen=True):
    source: str
    bands: Bands
    target: str
    unit: str
    days: int


class Le8(msgspec.Struct, frozen=True):
    """Every number of the score; each table names its source."""

    version: str
    minimum_age: int
    publish_from: int
    source: str
    category_source: str
    categories: list[Category]
    activity: ActivityTable
    sleep: SleepTable
    bmi: BmiTable
    lipids: LipidsTable
    glucose: GlucoseTable
    blood_pressure: BloodPressureTable
    nicotine: NicotineTable
    diet: DietTable


class Sentences(msgspec.Struct, frozen=True):
    """The sentences of one language; `point` stands before decimals."""

    label: str
    point: str
    part: str
    part_estimated: str
    missing: str
    partial: str
    complete: str
    preliminary: str
    nothing: str
    best: str
    done: str
    unconfirmed: str
    disclaimer: str
    names: dict[str, str]
    states: dict[str, str]
    aims: dict[str, str]
    reasons: dict[str, str]

    def number(self, value: object) -> str:
        """A number, or numbers in a text such as 120/80, as this language writes them."""
        return str(value).replace(".", self.point)


@cache
def le8() -> Le8:
    """The tables, read once."""
    return msgspec.toml.decode((files(__package__) / "le8.toml").read_bytes(), type=Le8)


@cache
def _languages() -> Mapping[str, Sentences]:
    return msgspec.toml.decode((files(__package__) / "messages.toml").read_bytes(), type=dict[str, Sentences])


def sentences(language: str) -> Sentences:
    """The sentences of a language (`de-CH` finds `de`); English when there are none."""
    return _languages().get(language.split("-", maxsplit=1)[0].lower(), _languages()["en"])


def written_in(disclaimer: str) -> str:
    """The language of the notes of a score, known by the sentence that every score ends with."""
    return next((name for name, words in _languages().items() if words.disclaimer == disclaimer), "en")


def points(bands: Bands, value: Decimal) -> int:
    """The points of the first band whose lower bound the value reaches."""
    return next(band_points for lower, band_points in bands if value >= lower)
