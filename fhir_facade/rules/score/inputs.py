"""From Observations to the inputs of the score.

    NEEDED: tuple[Need, ...]                              what to search for
    inputs_from(observations, zone, day) -> Inputs        `day` is the person's own day the score is for

Nothing is imputed. Observations that are not final (or amended, corrected) and those after the day take no part.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from types import MappingProxyType
from typing import Any

from fhir_facade.rules.observations import Code, zone_of
from fhir_facade.rules.score import answers, home, laboratory
from fhir_facade.rules.score.chart import Chart, Found
from fhir_facade.rules.score.tables import le8


@dataclass(frozen=True, slots=True)
class Need:
    """One search: Observations with one of the codes, at most so many days back, newest first, at most so many."""

    codes: tuple[Code, ...]
    lookback_days: int
    limit: int


_NEWEST = 5
"""So many of what counts once: the newest may have no number, or none in a unit that converts."""

NEEDED: tuple[Need, ...] = (
    Need((*home.MODERATE, *home.VIGOROUS), le8().activity.days + 1, 100),
    Need(home.SLEEP, le8().sleep.days + 1, 100),
    Need(home.PRESSURE, le8().blood_pressure.days + 1, 500),
    Need(home.BMI, le8().bmi.days + 1, _NEWEST),
    Need(home.WEIGHT, le8().bmi.days + 1, _NEWEST),
    Need(home.HEIGHT, le8().bmi.height_days, _NEWEST),
    Need(laboratory.NON_HDL, le8().lipids.days + 1, _NEWEST),
    Need((*laboratory.CHOLESTEROL, *laboratory.HDL), le8().lipids.days + 1, 60),
    Need((*laboratory.HBA1C, *laboratory.HBA1C_IFCC), le8().glucose.days + 1, _NEWEST),
    Need(laboratory.FASTING, le8().glucose.days + 1, _NEWEST),
    Need(answers.MEPA, le8().diet.days + 1, _NEWEST),
    Need(answers.NICOTINE, le8().nicotine.days + 1, _NEWEST),
    Need(answers.SECONDHAND, le8().glucose.history_days, _NEWEST),
    Need(answers.DIABETES, le8().glucose.history_days, _NEWEST),
    Need(answers.LIPID_TREATED, le8().glucose.history_days, _NEWEST),
    Need(answers.PRESSURE_TREATED, le8().glucose.history_days, _NEWEST),
)
"""What is asked often has a search of its own: it would push what is asked seldom out of one they share."""


@dataclass(frozen=True, slots=True)
class Inputs:
    """The parts in the order they are told, by their code in health-score."""

    day: date
    parts: Mapping[str, Found]


_READERS: Mapping[str, Callable[[Chart], Found]] = MappingProxyType(
    {
        "le8-activity": home.activity,
        "le8-sleep": home.sleep,
        "le8-bmi": home.bmi,
        "le8-blood-pressure": home.blood_pressure,
        "le8-glucose": laboratory.glucose,
        "le8-lipids": laboratory.lipids,
        "le8-nicotine": answers.nicotine,
        "le8-diet": answers.diet,
    }
)


def inputs_from(observations: Iterable[Mapping[str, Any]], zone: str | None, day: date) -> Inputs:
    """The inputs of the score on `day`, the person's own. The order of the Observations does not matter."""
    chart = Chart(observations, zone_of(zone), day)
    return Inputs(day, {code: read(chart) for code, read in _READERS.items()})
