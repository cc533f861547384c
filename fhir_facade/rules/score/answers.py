"""What only the person can tell: nicotine, diet, diagnoses and treatments, as Observations with codes of health-score.

| code | value |
|---|---|
| nicotine-exposure | valueCodeableConcept, a code of nicotine-exposure |
| mepa-score | valueQuantity in {score}, 0 to 16 |
| secondhand-smoke, diabetes, lipid-treatment, blood-pressure-treatment | valueBoolean |
"""

from __future__ import annotations

from collections.abc import Sequence

from fhir_facade.rules.observations import Code, coded_answer
from fhir_facade.rules.score.chart import Chart, Found, first, missing, own
from fhir_facade.rules.score.parts import Diet, Nicotine
from fhir_facade.rules.score.tables import le8
from terminology.canonical import NICOTINE_EXPOSURE

MEPA, NICOTINE, SECONDHAND = own("mepa-score"), own("nicotine-exposure"), own("secondhand-smoke")
DIABETES, LIPID_TREATED = own("diabetes"), own("lipid-treatment")
PRESSURE_TREATED = own("blood-pressure-treatment")


def flag(chart: Chart, codes: Sequence[Code]) -> tuple[bool, tuple[str, ...]]:
    """The newest true-or-false answer, and what it was read from; false when nobody said so."""
    for reading in chart.within(codes, le8().glucose.history_days):
        answer = reading.resource.get("valueBoolean")
        if isinstance(answer, bool):
            return answer, (reading.reference,)
    return False, ()


def _exposure(state: str, secondhand: bool) -> Nicotine:
    if state in {"current", "inhaled-nds"}:
        return Nicotine(current=state == "current", inhaled_nds=state == "inhaled-nds", secondhand=secondhand)
    return Nicotine(quit_years=le8().nicotine.years.get(state), secondhand=secondhand)


def nicotine(chart: Chart) -> Found:
    for reading in chart.within(NICOTINE, le8().nicotine.days):
        state = coded_answer(reading.resource, NICOTINE_EXPOSURE)
        if state is not None and (state in {"never", "current", "inhaled-nds"} or state in le8().nicotine.years):
            secondhand, said = flag(chart, SECONDHAND)
            return Found(_exposure(state, secondhand), (reading.reference, *said), first_day=reading.day)
    return missing("not-asked")


def diet(chart: Chart) -> Found:
    found = first(chart.within(MEPA, le8().diet.days), "{score}")
    if found is None or found[1] < 0:
        return missing("not-asked")
    return Found(Diet(found[1]), (found[0].reference,), first_day=found[0].day)
