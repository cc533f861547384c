"""The score as one Observation, and the engine that made it as a Device: https://hl7.org/fhir/R4/observation.html

    score_observation(result, patient_id, language="en") -> dict
    score_id(patient_id, day) -> str            the same for every run of one day and algorithm version
    engine_device() -> dict                     one Device per version of the algorithm; `ENGINE` refers to it

No clock is read: the same inputs give the same Observation, so a second run changes nothing in the store.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from fhir_facade.rules.score.composite import Score, Scored
from fhir_facade.rules.score.parts import Points
from fhir_facade.rules.score.tables import le8, sentences
from fhir_facade.rules.score.telling import detail, told
from terminology import ucum
from terminology.canonical import (
    CVH_CATEGORY,
    DATA_ABSENT_REASON,
    HEALTH_SCORE,
    OBSERVATION_CATEGORY,
    SCORE_METHOD,
    SCORE_NOTE,
    UCUM,
    deterministic_id,
    identifier_system,
)
from terminology.codes import coding, concept

_ABSENT = {"no-data": "not-performed", "too-few": "temp-unknown", "not-asked": "not-asked"}
_UNIT = "{score}"


def _key(patient_id: str, day: date) -> str:
    return f"le8|{patient_id}|{day.isoformat()}|{le8().version}"


def score_id(patient_id: str, day: date) -> str:
    """The id of the score Observation of one patient, day and algorithm version."""
    return deterministic_id(_key(patient_id, day))


def engine_id() -> str:
    """The id of the Device that stands for this version of the algorithm."""
    return f"le8-engine-{le8().version}"


def engine_device() -> dict[str, Any]:
    """The Device named as `Observation.device` of a score."""
    return {
        "resourceType": "Device",
        "id": engine_id(),
        "status": "active",
        "deviceName": [{"name": "Life's Essential 8 scoring engine", "type": "user-friendly-name"}],
        "version": [{"value": le8().version}],
    }


def _rounded(value: Decimal, places: str) -> Decimal:
    return ucum.plain(value.quantize(Decimal(places), rounding=ROUND_HALF_UP))


def _points(value: Decimal) -> dict[str, Any]:
    return {"value": value, "unit": ucum.printed(_UNIT), "system": UCUM, "code": _UNIT}


def _present_component(part: Scored, reached: Points) -> dict[str, Any]:
    component: dict[str, Any] = {
        "extension": [detail(part)],
        "code": concept((HEALTH_SCORE, part.code)),
        "valueQuantity": _points(Decimal(reached.points)),
    }
    findings = [reached.finding] if reached.finding else []
    findings += ["estimated"] if part.found.days else []
    if findings:
        component["interpretation"] = [concept((SCORE_NOTE, finding)) for finding in findings]
    return component


def _component(part: Scored) -> dict[str, Any]:
    if part.points is not None:
        return _present_component(part, part.points)
    reason = _ABSENT.get(part.reason or "", "unsupported")
    return {
        "extension": [detail(part)],
        "code": concept((HEALTH_SCORE, part.code)),
        "dataAbsentReason": {"coding": [coding(DATA_ABSENT_REASON, reason)]},
    }


def _reference_ranges() -> list[dict[str, Any]]:
    """One range per category; the upper end is the last thousandth below the next."""
    ranges: list[dict[str, Any]] = []
    above: Decimal | None = None
    for category in le8().categories:
        found: dict[str, Any] = {"low": _points(category.lower), "text": category.code}
        if above is not None:
            found["high"] = _points(above - Decimal("0.001"))
        ranges.append(found)
        above = category.lower
    return ranges


def _value(result: Score) -> Mapping[str, Any]:
    if result.composite is None:
        return {"dataAbsentReason": {"coding": [coding(DATA_ABSENT_REASON, "not-performed")]}}
    return {"valueQuantity": _points(_rounded(result.composite, "0.001"))}


def _evidence(result: Score) -> list[dict[str, str]]:
    references = dict.fromkeys(reference for part, _ in result.present for reference in part.found.evidence)
    return [{"reference": reference} for reference in references]


def _start(result: Score) -> date:
    return min((part.found.first_day for part, _ in result.present if part.found.first_day), default=result.day)


def score_observation(result: Score, patient_id: str, language: str = "en") -> dict[str, Any]:
    """The Observation of a score; its device is the engine of this version.

    Fewer parts than needed: status preliminary, no interpretation. Notes: explanation, next best step, disclaimer.
    """
    components = [_component(part) for part in result.parts]
    said = told(components, language)
    observation: dict[str, Any] = {
        "resourceType": "Observation",
        "id": score_id(patient_id, result.day),
        "identifier": [{"system": identifier_system("score"), "value": _key(patient_id, result.day)}],
        "status": "final" if result.final else "preliminary",
        "category": [{"coding": [coding(OBSERVATION_CATEGORY, "survey")]}],
        "code": {**concept((HEALTH_SCORE, "le8-composite")), "text": sentences(language).label},
        "subject": {"reference": f"Patient/{patient_id}"},
        "effectivePeriod": {"start": _start(result).isoformat(), "end": result.day.isoformat()},
        **_value(result),
        "note": [] if said is None else said.notes,
        "method": concept((SCORE_METHOD, "le8-2022")),
        "device": {"reference": f"Device/{engine_id()}"},
        "referenceRange": _reference_ranges(),
        "component": components,
    }
    if result.category is not None:
        observation["interpretation"] = [concept((CVH_CATEGORY, result.category))]
    if evidence := _evidence(result):
        observation["derivedFrom"] = evidence
    return observation
