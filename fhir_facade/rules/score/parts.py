"""The eight parts of the score as typed values, and the points each is worth:
https://doi.org/10.1161/CIR.0000000000001078

Every function is total on its input type: it answers `Points` or `Undefined` with the reason the paper gives no points.
`ceiling` is what the same person can reach now (a former smoker cannot become a never smoker).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from types import MappingProxyType
from typing import Any

from fhir_facade.rules.score.tables import Bands, le8, points


@dataclass(frozen=True, slots=True)
class Points:
    """0 to 100. `target` is what reaches `ceiling`, as the person reads it; `finding` a code of score-note."""

    points: int
    ceiling: int = 100
    target: str = ""
    unit: str = ""
    finding: str | None = None


@dataclass(frozen=True, slots=True)
class Undefined:
    """The paper defines no points. `reason` is a key of the sentences, `detail` fills it."""

    reason: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Activity:
    """Minutes per week."""

    moderate: Decimal
    vigorous: Decimal = Decimal(0)

    @property
    def equivalent(self) -> Decimal:
        """Minutes of moderate or greater intensity, vigorous ones weighted."""
        return self.moderate + self.vigorous * le8().activity.vigorous_weight


@dataclass(frozen=True, slots=True)
class Sleep:
    """Mean hours per night."""

    hours: Decimal
    untreated_apnoea: bool = False


@dataclass(frozen=True, slots=True)
class Bmi:
    """kg/m2. `asian_pacific` only when a clinician chose that profile, never from ethnicity."""

    value: Decimal
    asian_pacific: bool = False


@dataclass(frozen=True, slots=True)
class Lipids:
    """Non-HDL cholesterol in mg/dL."""

    non_hdl: Decimal
    treated: bool = False


@dataclass(frozen=True, slots=True)
class Glucose:
    """HbA1c in % (NGSP) and fasting glucose in mg/dL; at least one. `prevention`: metformin without diabetes."""

    hba1c: Decimal | None = None
    fasting: Decimal | None = None
    diabetes: bool = False
    prevention: bool = False


@dataclass(frozen=True, slots=True)
class BloodPressure:
    """mm[Hg]."""

    systolic: Decimal
    diastolic: Decimal
    treated: bool = False


@dataclass(frozen=True, slots=True)
class Nicotine:
    """`quit_years` None: never smoked. `current`: smokes combustible tobacco."""

    current: bool = False
    quit_years: Decimal | None = None
    inhaled_nds: bool = False
    secondhand: bool = False


@dataclass(frozen=True, slots=True)
class Diet:
    """Points of the 16-item MEPA screener."""

    mepa: Decimal


Part = Activity | Sleep | Bmi | Lipids | Glucose | BloodPressure | Nicotine | Diet


def _less(full: int, deduction: int, applies: bool) -> int:
    return max(0, full - deduction) if applies else full


def score_activity(part: Activity) -> Points:
    table = le8().activity
    return Points(points(table.bands, part.equivalent), target=table.target, unit=table.unit)


def score_sleep(part: Sleep) -> Points:
    table = le8().sleep
    reached = _less(points(table.bands, part.hours), table.apnoea_deduction, part.untreated_apnoea)
    return Points(reached, target=table.target, unit=table.unit)


def score_bmi(part: Bmi) -> Points | Undefined:
    table = le8().bmi
    if part.value < table.least:
        return Undefined("underweight", str(table.least))
    bands: Bands = table.asian_pacific if part.asian_pacific else table.general
    best = next(str(lower) for lower, worth in reversed(bands) if worth < 100)
    return Points(points(bands, part.value), target=best, unit=table.unit)


def score_lipids(part: Lipids) -> Points:
    table = le8().lipids
    reached = _less(points(table.bands, part.non_hdl), table.treated_deduction, part.treated)
    ceiling = _less(100, table.treated_deduction, part.treated)
    return Points(reached, ceiling, table.target, table.unit)


def _diabetes_rows(hba1c: Decimal, finding: str | None) -> Points:
    table = le8().glucose
    best = max(worth for _, worth in table.diabetes)
    return Points(points(table.diabetes, hba1c), best, table.diabetes_target, table.unit, finding)


def _by_hba1c(part: Glucose, hba1c: Decimal) -> Points:
    table = le8().glucose
    if part.diabetes:
        return _diabetes_rows(hba1c, None)
    if hba1c >= table.hba1c_diabetes_from:
        return _diabetes_rows(hba1c, "unconfirmed-diabetes-range")
    reached = _less(points(table.hba1c, hba1c), table.prevention_deduction, part.prevention)
    return Points(reached, _less(100, table.prevention_deduction, part.prevention), table.target, table.unit)


def score_glucose(part: Glucose) -> Points | Undefined:
    """HbA1c decides when both are there. An HbA1c in the diabetes range without a diagnosis is scored on the diabetes
    rows and marked as unconfirmed."""
    table = le8().glucose
    if part.hba1c is not None:
        return _by_hba1c(part, part.hba1c)
    if part.fasting is None:
        raise ValueError("Glucose needs an HbA1c or a fasting glucose")
    if part.diabetes:
        return Undefined("fasting-only-diabetes")
    if part.fasting >= table.fasting_undefined_from:
        return Undefined("fasting-undefined", str(part.fasting))
    reached = _less(points(table.fasting, part.fasting), table.prevention_deduction, part.prevention)
    ceiling = _less(100, table.prevention_deduction, part.prevention)
    return Points(reached, ceiling, table.fasting_target, table.fasting_unit)


def score_blood_pressure(part: BloodPressure) -> Points:
    table = le8().blood_pressure
    worse = min(points(table.systolic, part.systolic), points(table.diastolic, part.diastolic))
    reached = _less(worse, table.treated_deduction, part.treated)
    return Points(reached, _less(100, table.treated_deduction, part.treated), table.target, table.unit)


def _nicotine_state(part: Nicotine) -> tuple[int, int]:
    """Points of the state alone, and what the state can become."""
    table = le8().nicotine
    if part.current:
        return table.current, table.reachable
    if part.inhaled_nds:
        return table.inhaled_nds, table.reachable
    if part.quit_years is None:
        return table.never, table.never
    reached = points(table.quit_years, part.quit_years)
    return reached, reached


def score_nicotine(part: Nicotine) -> Points:
    reached, ceiling = _nicotine_state(part)
    return Points(_less(reached, le8().nicotine.secondhand_deduction, part.secondhand), ceiling)


def score_diet(part: Diet) -> Points:
    table = le8().diet
    return Points(points(table.bands, part.mepa), target=table.target, unit=table.unit)


_SCORERS: Mapping[type[Part], Callable[[Any], Points | Undefined]] = MappingProxyType(
    {
        Activity: score_activity,
        Sleep: score_sleep,
        Bmi: score_bmi,
        Lipids: score_lipids,
        Glucose: score_glucose,
        BloodPressure: score_blood_pressure,
        Nicotine: score_nicotine,
        Diet: score_diet,
    }
)


def score_part(part: Part) -> Points | Undefined:
    """The points of any part."""
    return _SCORERS[type(part)](part)
