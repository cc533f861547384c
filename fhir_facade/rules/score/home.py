"""The parts that devices at home know: activity, sleep, body mass index, blood pressure.

How many days and readings each needs is in le8.toml, with why.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta
from decimal import Decimal

from fhir_facade.rules.observations import coded_answer, has_code
from fhir_facade.rules.score.answers import PRESSURE_TREATED, flag
from fhir_facade.rules.score.chart import Chart, Found, Reading, amount, first, largest_per_day, loinc, mean, missing
from fhir_facade.rules.score.parts import Activity, BloodPressure, Bmi, Sleep
from fhir_facade.rules.score.tables import le8
from terminology.canonical import MEASURE, SLEEP_KIND

MODERATE, VIGOROUS = loinc("77592-4"), loinc("77593-2")
SLEEP = loinc("93832-4")
BMI, WEIGHT, HEIGHT = loinc("39156-5"), loinc("29463-7"), loinc("8302-2")
PRESSURE, SYSTOLIC, DIASTOLIC = loinc("85354-9"), loinc("8480-6"), loinc("8462-4")


def _is_whole_day(reading: Reading) -> bool:
    return len(reading.resource.get("effectiveDateTime", "")) == len("2026-01-01")


def activity(chart: Chart) -> Found:
    """A day counts when both its moderate and its vigorous minutes are known; today is not complete."""
    table = le8().activity
    yesterday = chart.day - timedelta(days=1)
    moderate, vigorous = (
        largest_per_day(filter(_is_whole_day, chart.within(codes, table.days, last=yesterday)), "min")
        for codes in (MODERATE, VIGOROUS)
    )
    days = sorted(moderate.keys() & vigorous.keys())
    if not days:
        return missing("no-data", days=table.days)
    if len(days) < table.least_days:
        return missing("too-few", found=len(days), needed=table.least_days, days=table.days)
    weekly = [
        sum((values[day][0] for day in days), Decimal(0)) * table.days / len(days) for values in (moderate, vigorous)
    ]
    return Found(
        Activity(*weekly),
        tuple(values[day][1] for day in days for values in (moderate, vigorous)),
        days=(len(days), table.days) if len(days) < table.days else None,
        first_day=yesterday - timedelta(days=table.days - 1),
    )


def _sleep_kind(reading: Reading) -> str | None:
    for part in reading.resource.get("component", ()):
        if has_code(part, (MEASURE, "sleep-kind")):
            return coded_answer(part, SLEEP_KIND)
    return None


def _main_sleeps(readings: Iterable[Reading]) -> dict[date, tuple[Decimal, str]]:
    """One sleep per day it ended: the main sleep, else the longest that is no nap."""
    by_kind: dict[bool, list[Reading]] = {True: [], False: []}
    for reading in readings:
        kind = _sleep_kind(reading)
        if kind != "nap":
            by_kind[kind == "main-sleep"].append(reading)
    return {**largest_per_day(by_kind[False], "h"), **largest_per_day(by_kind[True], "h")}


def sleep(chart: Chart) -> Found:
    table = le8().sleep
    nights = _main_sleeps(chart.within(SLEEP, table.days))
    if not nights:
        return missing("no-data", days=table.days)
    if len(nights) < table.least_days:
        return missing("too-few", found=len(nights), needed=table.least_days, days=table.days)
    return Found(
        Sleep(mean([hours for hours, _ in nights.values()])),
        tuple(nights[night][1] for night in sorted(nights)),
        first_day=chart.day - timedelta(days=table.days - 1),
    )


def _measured_bmi(chart: Chart) -> Found | None:
    found = first(chart.within(BMI, le8().bmi.days), "kg/m2")
    return None if found is None else Found(Bmi(found[1]), (found[0].reference,), first_day=found[0].day)


def bmi(chart: Chart) -> Found:
    """From weight and height; a BMI Observation counts when it is newer than the weight or there is no height."""
    table = le8().bmi
    measured = _measured_bmi(chart)
    weight, height = (
        first(chart.within(WEIGHT, table.days), "kg"),
        first(chart.within(HEIGHT, table.height_days), "m"),
    )
    if weight is None or height is None or height[1] <= 0:
        return measured or missing("no-data", days=table.days)
    if measured and measured.first_day and measured.first_day > weight[0].day:
        return measured
    value = weight[1] / (height[1] * height[1])
    return Found(Bmi(value), (weight[0].reference, height[0].reference), first_day=weight[0].day)


def _pressures(reading: Reading) -> tuple[Decimal, Decimal] | None:
    halves = [
        next((amount(part, "mm[Hg]") for part in reading.resource.get("component", ()) if has_code(part, *codes)), None)
        for codes in (SYSTOLIC, DIASTOLIC)
    ]
    systolic, diastolic = halves
    return None if systolic is None or diastolic is None else (systolic, diastolic)


def blood_pressure(chart: Chart) -> Found:
    table = le8().blood_pressure
    pairs = [(reading, pair) for reading in chart.within(PRESSURE, table.days) if (pair := _pressures(reading))]
    if not pairs:
        return missing("no-data", days=table.days)
    if len(pairs) < table.least_readings:
        return missing("too-few", found=len(pairs), needed=table.least_readings, days=table.days)
    treated, said = flag(chart, PRESSURE_TREATED)
    systolic, diastolic = (mean([pair[half] for _, pair in pairs]) for half in (0, 1))
    return Found(
        BloodPressure(systolic, diastolic, treated),
        tuple(reading.reference for reading, _ in pairs) + said,
        first_day=chart.day - timedelta(days=table.days - 1),
    )
