"""Life's Essential 8 from Observations, pure: https://doi.org/10.1161/CIR.0000000000001078

from fhir_facade.rules.score import NEEDED, compute, engine_device, own_day, Refused

NEEDED: tuple[Need(codes, lookback_days, limit), ...]         what to search for
own_day(now, zone) -> date                                    the person's own day
compute(observations, *, patient_id, birth_date, zone, day, language="en")
    -> dict (one Observation) | Refused(reason, text)
engine_device() -> dict                                       the Device to store beside it
score_id(patient_id, day) -> str
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any

from fhir_facade.rules.score.composite import Refused, Score, own_day, refusal, score
from fhir_facade.rules.score.inputs import NEEDED, Inputs, Need, inputs_from
from fhir_facade.rules.score.resource import engine_device, engine_id, score_id, score_observation


def compute(
    observations: Iterable[Mapping[str, Any]],
    *,
    patient_id: str,
    birth_date: str | None,
    zone: str | None,
    day: date,
    language: str = "en",
) -> dict[str, Any] | Refused:
    """The score Observation of one person and day, or why there is none. Pure and repeatable."""
    refused = refusal(birth_date, day)
    if refused is not None:
        return refused
    result = score(inputs_from(observations, zone, day))
    return score_observation(result, patient_id, language)
