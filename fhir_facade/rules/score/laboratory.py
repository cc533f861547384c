"""The parts a laboratory knows: blood lipids and blood glucose, from either code of an analyte."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from fhir_facade.rules.observations import codings, quantity
from fhir_facade.rules.score.answers import DIABETES, LIPID_TREATED, flag
from fhir_facade.rules.score.chart import Chart, Found, Reading, first, loinc, missing
from fhir_facade.rules.score.parts import Glucose, Lipids
from fhir_facade.rules.score.tables import le8
from terminology import analytes
from terminology.canonical import LOINC

NON_HDL, CHOLESTEROL, HDL = loinc("43396-1"), loinc("2093-3", "14647-2"), loinc("2085-9", "14646-4")
HBA1C, HBA1C_IFCC, FASTING = loinc("4548-4"), loinc("59261-8"), loinc("1558-6", "14771-0")


def _mass(reading: Reading) -> Decimal | None:
    """A concentration in mg/dL, from either code of the analyte."""
    found = quantity(reading.resource)
    for system, code in codings(reading.resource.get("code")):
        mass = analytes.to_mass(found[0], code, found[1]) if found and system == LOINC else None
        if mass is not None:
            return mass[0]
    return reading.amount("mg/dL")


def _masses(readings: Iterable[Reading]) -> list[tuple[Reading, Decimal]]:
    """Newest first, those that have a concentration."""
    ordered = sorted(readings, key=lambda found: found.at, reverse=True)
    return [(found, value) for found in ordered if (value := _mass(found)) is not None]


def _subtracted(chart: Chart) -> tuple[Decimal, tuple[Reading, ...]] | None:
    """Total minus HDL of the newest day that has both."""
    days = le8().lipids.days
    totals, hdls = _masses(chart.within(CHOLESTEROL, days)), _masses(chart.within(HDL, days))
    pairs = ((total, hdl) for total in totals for hdl in hdls if total[0].day == hdl[0].day)
    pair = next(pairs, None)
    return None if pair is None else (pair[0][1] - pair[1][1], (pair[0][0], pair[1][0]))


def _non_hdl(chart: Chart) -> tuple[Decimal, tuple[Reading, ...]] | None:
    """As measured, or total minus HDL of the same day; the newer of the two."""
    direct, subtracted = next(iter(_masses(chart.within(NON_HDL, le8().lipids.days))), None), _subtracted(chart)
    if direct and (subtracted is None or direct[0].day > subtracted[1][0].day):
        return direct[1], (direct[0],)
    return subtracted


def lipids(chart: Chart) -> Found:
    found = _non_hdl(chart)
    if found is None or found[0] < 0:
        return missing("no-data", days=le8().lipids.days)
    treated, said = flag(chart, LIPID_TREATED)
    references = tuple(reading.reference for reading in found[1])
    return Found(Lipids(found[0], treated), references + said, first_day=found[1][0].day)


def _newest_hba1c(chart: Chart) -> tuple[Reading, Decimal] | None:
    table = le8().glucose
    ngsp = first(chart.within(HBA1C, table.days), "%")
    ifcc = first(chart.within(HBA1C_IFCC, table.days), "mmol/mol")
    if ifcc is None or (ngsp is not None and ngsp[0].at >= ifcc[0].at):
        return ngsp
    return ifcc[0], ifcc[1] * table.ifcc_factor + table.ifcc_offset


def glucose(chart: Chart) -> Found:
    table = le8().glucose
    hba1c, fasting = _newest_hba1c(chart), next(iter(_masses(chart.within(FASTING, table.days))), None)
    taken = hba1c or fasting
    if taken is None:
        return missing("no-data", days=table.days)
    diabetes, said = flag(chart, DIABETES)
    part = Glucose(taken[1], None, diabetes) if hba1c else Glucose(None, taken[1], diabetes)
    return Found(part, (taken[0].reference, *said), first_day=taken[0].day)
