"""What a rule reads from an Observation: one number in the rule's unit at one time.

    reading(rule, observation, zone=None) -> Reading | Ignored

A civil day is its whole day in the person's zone. Units that do not compare are ignored with the reason; a molar
concentration is read through its analyte. https://hl7.org/fhir/R4/observation.html
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from fhir_facade.rules.alerts.rules import Rule
from fhir_facade.rules.observations import FINAL, codings, effective, has_code, quantity, zone_of
from terminology import analytes, ucum
from terminology.canonical import LOINC


@dataclass(frozen=True, slots=True)
class Reading:
    """A number at a time. `value` is in the unit of the rule; None when the Observation was withdrawn.

    `start` equals `end` for a point in time; both are UTC.
    """

    observation_id: str
    start: datetime
    end: datetime
    value: Decimal | None
    status: str

    @property
    def counts(self) -> bool:
        """Whether it takes part in an evaluation."""
        return self.value is not None


@dataclass(frozen=True, slots=True)
class Ignored:
    """An Observation that a rule cannot read, and why; the text holds no value."""

    observation_id: str
    reason: str


def _in_unit(rule: Rule, value: Decimal, unit: str, codes: Mapping[str, str]) -> Decimal | None:
    if rule.aggregation == "count":
        return value
    if ucum.comparable(unit, rule.unit):
        return ucum.convert(value, unit, rule.unit)
    for code in codes:
        mass = analytes.to_mass(value, code, unit)
        if mass is not None and ucum.comparable(mass[1], rule.unit):
            return ucum.convert(*mass, rule.unit)
    return None


def _measured(rule: Rule, observation: Mapping[str, Any]) -> Mapping[str, Any] | None:
    if rule.component is None:
        return observation
    parts = observation.get("component", ())
    return next((part for part in parts if has_code(part, (LOINC, rule.component))), None)


def reading(rule: Rule, observation: Mapping[str, Any], zone: str | None = None) -> Reading | Ignored:
    """What the rule reads. Withdrawn Observations keep their time and lose their value."""
    identity, status = str(observation.get("id", "")), str(observation.get("status", ""))
    span = effective(observation, zone_of(zone))
    if span is None:
        return Ignored(identity, "it does not say when")
    if status not in FINAL:
        return Reading(identity, *span, None, status)
    measured = _measured(rule, observation)
    found = None if measured is None else quantity(measured)
    if found is None:
        return Ignored(identity, "it has no number")
    codes = {code: system for system, code in codings(observation.get("code")) if system == LOINC}
    value = _in_unit(rule, *found, codes)
    if value is None:
        return Ignored(identity, f"its unit does not compare with {rule.unit}")
    return Reading(identity, *span, value, status)
