"""The score as one Observation, and the engine that made it as a Device: https://hl7.org/fhir/R4/observation.html

    score_observation(result, patient_id, device_reference, language="en") -> dict
    score_id(patient_id, day) -> str            the same for every run of one day and algorithm version
    engine_device() -> dict                     one Device per version of the algorithm; `ENGINE` refers to it

No clock is read: the same inputs give the same Observation, so a second run changes nothing in the store.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from functools import singledispatch
from typing import Any

from fhir_facade.rules.score.composite import Score, Scored, next_best
from fhir_facade.rules.score.parts import (
    Activity,
    BloodPressure,
    Bmi,
    Diet,
    Glucose,
    Lipids,
    Nicotine,
    Points,
    Sleep,
)
from fhir_facade.rules.score.tables import Sentences, le8, sentences
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


@singledispatch
def _shown(part: object, words: Sentences) -> str:
    """The value of a part as a person reads it."""
    raise TypeError(f"{type(part).__name__} is no part of the score")


@_shown.register
def _(part: Activity, words: Sentences) -> str:
    return f"{_rounded(part.equivalent, '1')} min/wk"


@_shown.register
def _(part: Sleep, words: Sentences) -> str:
    return f"{_rounded(part.hours, '0.1')} h"


@_shown.register
def _(part: Bmi, words: Sentences) -> str:
    return f"{_rounded(part.value, '0.1')} kg/m²"


@_shown.register
def _(part: Lipids, words: Sentences) -> str:
    return f"{_rounded(part.non_hdl, '1')} mg/dL"


@_shown.register
def _(part: Glucose, words: Sentences) -> str:
    if part.hba1c is not None:
        return f"HbA1c {_rounded(part.hba1c, '0.1')} %"
    return f"{_rounded(part.fasting or Decimal(0), '1')} mg/dL"


@_shown.register
def _(part: BloodPressure, words: Sentences) -> str:
    return f"{_rounded(part.systolic, '1')}/{_rounded(part.diastolic, '1')} mmHg"


@_shown.register
def _(part: Nicotine, words: Sentences) -> str:
    if part.current:
        return words.states["current"]
    if part.inhaled_nds:
        return words.states["inhaled-nds"]
    return words.states["never" if part.quit_years is None else "former"]


@_shown.register
def _(part: Diet, words: Sentences) -> str:
    return f"{_rounded(part.mepa, '1')}/16"


def _present_component(part: Scored, reached: Points) -> dict[str, Any]:
    component: dict[str, Any] = {
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
        "code": concept((HEALTH_SCORE, part.code)),
        "dataAbsentReason": {"coding": [coding(DATA_ABSENT_REASON, reason)]},
    }


def _told(part: Scored, reached: Points, words: Sentences) -> str:
    name, value = words.names[part.code], _shown(part.found.part, words)
    name = name[0].upper() + name[1:]
    if part.found.days:
        days, of = part.found.days
        return words.part_estimated.format(name=name, value=value, points=reached.points, days=days, of=of)
    return words.part.format(name=name, value=value, points=reached.points)


def _why_missing(part: Scored, words: Sentences) -> str:
    return f"{words.names[part.code]} ({words.reasons[part.reason or ''].format(**(part.detail or {}))})"


def _coverage(result: Score, words: Sentences) -> str:
    present = len(result.present)
    if not present:
        return words.nothing
    if not result.final:
        return words.preliminary.format(present=present, needed=le8().publish_from)
    return words.complete if present == len(result.parts) else words.partial.format(present=present)


def _explanation(result: Score, words: Sentences) -> Iterator[str]:
    yield _coverage(result, words)
    for part, reached in result.present:
        yield _told(part, reached, words)
        if reached.finding:
            yield words.unconfirmed
    missing = [_why_missing(part, words) for part in result.parts if part.points is None]
    if missing:
        yield words.missing.format(names="; ".join(missing))


def _advice(result: Score, words: Sentences) -> str | None:
    if not result.present:
        return None
    step = next_best(result)
    if step is None:
        return words.done
    aim = words.aims[step.part.code].format(target=step.points.target, unit=step.points.unit)
    gain = _rounded(step.composite_gain, "0.01")
    return words.best.format(name=words.names[step.part.code], aim=aim, gain=step.gain, composite=gain)


def _notes(result: Score, words: Sentences) -> list[dict[str, str]]:
    texts = (" ".join(_explanation(result, words)), _advice(result, words), words.disclaimer)
    return [{"text": text} for text in texts if text]


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


def score_observation(
    result: Score, patient_id: str, device_reference: str | None = None, language: str = "en"
) -> dict[str, Any]:
    """The Observation of a score. `device_reference` None: the engine of this version.

    Fewer parts than needed: status preliminary, no interpretation. Notes: explanation, next best step, disclaimer.
    """
    words = sentences(language)
    observation: dict[str, Any] = {
        "resourceType": "Observation",
        "id": score_id(patient_id, result.day),
        "identifier": [{"system": identifier_system("score"), "value": _key(patient_id, result.day)}],
        "status": "final" if result.final else "preliminary",
        "category": [{"coding": [coding(OBSERVATION_CATEGORY, "survey")]}],
        "code": {**concept((HEALTH_SCORE, "le8-composite")), "text": words.label},
        "subject": {"reference": f"Patient/{patient_id}"},
        "effectivePeriod": {"start": _start(result).isoformat(), "end": result.day.isoformat()},
        **_value(result),
        "note": _notes(result, words),
        "method": concept((SCORE_METHOD, "le8-2022")),
        "device": {"reference": device_reference or f"Device/{engine_id()}"},
        "referenceRange": _reference_ranges(),
        "component": [_component(part) for part in result.parts],
    }
    if result.category is not None:
        observation["interpretation"] = [concept((CVH_CATEGORY, result.category))]
    if evidence := _evidence(result):
        observation["derivedFrom"] = evidence
    return observation
