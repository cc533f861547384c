"""What a score says in words, made from the codes and numbers that are stored with it, in any language.

Each component of the stored Observation carries what the sentences need (`score-detail`): what was measured, from how
many days, what can be reached; or why it is missing. https://hl7.org/fhir/R4/extensibility.html

    detail(part) -> dict                                the extension of one component
    told(components, language) -> Told | None           the sentences; None for a score from before there were details
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from functools import singledispatch
from typing import Any, Final

from fhir_facade.rules.observations import codings, quantity
from fhir_facade.rules.score.composite import Scored
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
from terminology.canonical import HEALTH_SCORE, SCORE_NOTE, UCUM, extension

DETAIL: Final = extension("score-detail")
UNCONFIRMED: Final = "unconfirmed-diabetes-range"
_SHOWN: Final[Mapping[str, str]] = {
    "le8-blood-pressure": "{0}/{1} {unit}",
    "le8-diet": "{0}/16",
}
"""How the numbers of a part stand together, where it is not one number with its unit."""

Inputs = tuple[tuple[Decimal, str], ...]
"""Rounded numbers with their units in UCUM."""


@dataclass(frozen=True, slots=True)
class Part:
    """One component as it is stored. `points` None: it is missing, for `reason`; `texts` fill the sentences."""

    code: str
    points: int | None
    unconfirmed: bool
    inputs: Inputs
    texts: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Told:
    """The notes of a score in one language; `advice` is None when there is nothing to go by."""

    explanation: str
    advice: str | None
    disclaimer: str

    @property
    def notes(self) -> list[dict[str, str]]:
        """As FHIR keeps them: explanation, next best step, disclaimer."""
        return [{"text": text} for text in (self.explanation, self.advice, self.disclaimer) if text]


# --- what is stored -------------------------------------------------------------------------------------------


def detail(part: Scored) -> dict[str, Any]:
    """The extension that keeps what the sentences about this part need."""
    if part.points is None:
        texts = {"reason": part.reason or "", **(part.detail or {})}
        return {"url": DETAIL, "extension": [_text(name, value) for name, value in texts.items() if value]}
    inputs = [_input(value, unit) for value, unit in inputs_of(part.found.part)]
    texts = {**_state(part.found.part), **_reachable(part.points)}
    if part.found.days:
        texts |= {"days": str(part.found.days[0]), "of": str(part.found.days[1])}
    return {"url": DETAIL, "extension": [*inputs, *(_text(name, value) for name, value in texts.items() if value)]}


def _reachable(reached: Points) -> dict[str, str]:
    return {"ceiling": str(reached.ceiling), "target": reached.target, "unit": reached.unit}


def _input(value: Decimal, unit: str) -> dict[str, Any]:
    amount = {"value": value, "unit": ucum.printed(unit), "system": UCUM, "code": unit}
    return {"url": "input", "valueQuantity": amount}


def _text(name: str, value: str) -> dict[str, str]:
    return {"url": name, "valueString": value}


def _rounded(value: Decimal, places: str) -> Decimal:
    return ucum.plain(value.quantize(Decimal(places), rounding=ROUND_HALF_UP))


@singledispatch
def inputs_of(part: object) -> Inputs:
    """The numbers that gave the points, rounded as a person reads them."""
    raise TypeError(f"{type(part).__name__} is no part of the score")


@inputs_of.register
def _(part: Activity) -> Inputs:
    return ((_rounded(part.equivalent, "1"), "min/wk"),)


@inputs_of.register
def _(part: Sleep) -> Inputs:
    return ((_rounded(part.hours, "0.1"), "h"),)


@inputs_of.register
def _(part: Bmi) -> Inputs:
    return ((_rounded(part.value, "0.1"), "kg/m2"),)


@inputs_of.register
def _(part: Lipids) -> Inputs:
    return ((_rounded(part.non_hdl, "1"), "mg/dL"),)


@inputs_of.register
def _(part: Glucose) -> Inputs:
    if part.hba1c is not None:
        return ((_rounded(part.hba1c, "0.1"), "%"),)
    return ((_rounded(part.fasting or Decimal(0), "1"), "mg/dL"),)


@inputs_of.register
def _(part: BloodPressure) -> Inputs:
    return tuple((_rounded(half, "1"), "mm[Hg]") for half in (part.systolic, part.diastolic))


@inputs_of.register
def _(part: Nicotine) -> Inputs:
    return ()


@inputs_of.register
def _(part: Diet) -> Inputs:
    return ((_rounded(part.mepa, "1"), "{score}"),)


def _state(part: object) -> dict[str, str]:
    """Nicotine is no number."""
    if not isinstance(part, Nicotine):
        return {}
    if part.current or part.inhaled_nds:
        return {"state": "current" if part.current else "inhaled-nds"}
    return {"state": "never" if part.quit_years is None else "former"}


# --- what is said ---------------------------------------------------------------------------------------------


def told(components: Iterable[Mapping[str, Any]], language: str) -> Told | None:
    """The sentences of a score in a language; None when its components do not carry what they need."""
    parts = [_part(component) for component in components]
    known = [part for part in parts if part is not None]
    if not known or len(known) < len(parts):
        return None
    words = sentences(language)
    return Told(" ".join(_explanation(known, words)), _advice(known, words), words.disclaimer)


def _part(component: Mapping[str, Any]) -> Part | None:
    found = next((each for each in component.get("extension", ()) if each["url"] == DETAIL), None)
    if found is None:
        return None
    points = quantity(component)
    notes = [code for concept in component.get("interpretation", ()) for code in codings(concept)]
    amounts = [each["valueQuantity"] for each in found["extension"] if "valueQuantity" in each]
    return Part(
        code=next((code for system, code in codings(component["code"]) if system == HEALTH_SCORE), ""),
        points=None if points is None else int(points[0]),
        unconfirmed=(SCORE_NOTE, UNCONFIRMED) in notes,
        inputs=tuple((Decimal(amount["value"]), amount["code"]) for amount in amounts),
        texts={each["url"]: each["valueString"] for each in found["extension"] if "valueString" in each},
    )


def _explanation(parts: Sequence[Part], words: Sentences) -> Iterator[str]:
    yield _coverage(parts, words)
    for part in parts:
        if part.points is not None:
            yield _points(part, words)
        if part.unconfirmed:
            yield words.unconfirmed
    missing = [_why_missing(part, words) for part in parts if part.points is None]
    if missing:
        yield words.missing.format(names="; ".join(missing))


def _coverage(parts: Sequence[Part], words: Sentences) -> str:
    present = sum(part.points is not None for part in parts)
    if not present:
        return words.nothing
    if present < le8().publish_from:
        return words.preliminary.format(present=present, needed=le8().publish_from)
    return words.complete if present == len(parts) else words.partial.format(present=present)


def _points(part: Part, words: Sentences) -> str:
    name = words.names[part.code]
    sentence = words.part_estimated if "days" in part.texts else words.part
    return sentence.format(
        name=name[0].upper() + name[1:],
        value=shown(part, words),
        points=part.points,
        days=part.texts.get("days"),
        of=part.texts.get("of"),
    )


def shown(part: Part, words: Sentences) -> str:
    """The value of a part as a person reads it."""
    if not part.inputs:
        return words.states[part.texts["state"]]
    numbers, unit = [words.number(value) for value, _ in part.inputs], part.inputs[0][1]
    label = "HbA1c " if unit == "%" else ""
    return label + _SHOWN.get(part.code, "{0} {unit}").format(*numbers, unit=ucum.printed(unit))


def _why_missing(part: Part, words: Sentences) -> str:
    texts = {name: words.number(text) for name, text in part.texts.items()}
    reason = words.reasons[part.texts["reason"]].format(**texts)
    return f"{words.names[part.code]} ({reason})"


def _advice(parts: Sequence[Part], words: Sentences) -> str | None:
    """The part with the most points to win, the first of equals."""
    present = [(part, int(part.texts["ceiling"]) - part.points) for part in parts if part.points is not None]
    if not present:
        return None
    best, gain = max(present, key=lambda each: each[1])
    if gain <= 0:
        return words.done
    texts = {"target": words.number(best.texts.get("target", "")), "unit": best.texts.get("unit", "")}
    aim = words.aims[best.code].format(**texts)
    composite = words.number(_rounded(Decimal(gain) / len(present), "0.01"))
    return words.best.format(name=words.names[best.code], aim=aim, gain=gain, composite=composite)
