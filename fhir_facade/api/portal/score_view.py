"""A score Observation as a page shows it: the value on a ring, the parts as bars, what is missing, what helps.

https://doi.org/10.1161/CIR.0000000000001078
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from fhir_facade.api.portal.wording import Wording
from fhir_facade.rules.observations import codings, quantity
from fhir_facade.rules.score.tables import le8, sentences, written_in
from fhir_facade.rules.score.telling import Told, told
from terminology.canonical import CVH_CATEGORY, HEALTH_SCORE

RADIUS: Final = 54
CIRCUMFERENCE: Final = round(2 * math.pi * RADIUS, 1)


@dataclass(frozen=True, slots=True)
class Part:
    """One of the eight. `points` is None when it is missing; `level` is the category its points fall in."""

    name: str
    points: int | None
    level: str


@dataclass(frozen=True, slots=True)
class ScoreView:
    """`arc` is the length of the ring that is filled. `explanation`, `advice` and `disclaimer` are in `language`: the
    reader's, but for a score from before its sentences could be made anew."""

    value: str
    level: str
    arc: float
    heading: str
    parts: tuple[Part, ...]
    explanation: str
    advice: str
    disclaimer: str
    language: str
    when: str


def score_view(observation: Mapping[str, Any], words: Wording, language: str) -> ScoreView:
    """All a template needs of one score."""
    names = sentences(language).names
    parts = tuple(_part(component, names) for component in observation.get("component", ()))
    found = quantity(observation)
    value = None if found is None else found[0]
    present = sum(part.points is not None for part in parts)
    category = next((code for system, code in codings_of(observation) if system == CVH_CATEGORY), None)
    said = told(observation.get("component", ()), language)
    notes = _stored(observation) if said is None else said
    heading = words.t(f"score.category.{category}") if category else words.t("score.preliminary", present=present)
    return ScoreView(
        value="–" if value is None else words.number(value),
        level=category or "none",
        arc=0.0 if value is None else round(float(value) / 100 * CIRCUMFERENCE, 1),
        heading=heading,
        parts=parts,
        explanation=notes.explanation,
        advice=notes.advice or "",
        disclaimer=notes.disclaimer,
        language=language if said else written_in(notes.disclaimer),
        when=words.moment_of(observation.get("effectivePeriod", {}).get("end")),
    )


def _stored(observation: Mapping[str, Any]) -> Told:
    """The notes as they are, in the language of the patient when the score was made."""
    notes = [str(note["text"]) for note in observation.get("note", ())] or [""]
    return Told(notes[0], " ".join(notes[1:-1]) or None, notes[-1])


def codings_of(observation: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The codes of its interpretations."""
    return [code for concept in observation.get("interpretation", ()) for code in codings(concept)]


def _part(component: Mapping[str, Any], names: Mapping[str, str]) -> Part:
    code = next((code for system, code in codings(component.get("code")) if system == HEALTH_SCORE), "")
    found = quantity(component)
    name = names.get(code, code)
    points = None if found is None else int(found[0])
    return Part(name[:1].upper() + name[1:], points, "none" if found is None else _level(found[0]))


def _level(points: Decimal) -> str:
    """The category its points would be; the lowest for what no score says."""
    categories = le8().categories
    return next((category.code for category in categories if points >= category.lower), categories[-1].code)
