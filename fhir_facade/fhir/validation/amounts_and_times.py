"""Invariants of data types that hold amounts and times: Ratio and Timing.

https://hl7.org/fhir/R4/datatypes.html#Ratio, https://hl7.org/fhir/R4/datatypes.html#Timing
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from fhir_facade.fhir.validation.invariants import Node, Rule

_MEALS = frozenset(("C", "CM", "CD", "CV"))


def _rule(key: str, text: str, holds: Callable[[Node], bool]) -> Rule:
    return Rule(key, text, lambda node: () if holds(node) else ("",))


def _needs(name: str, other: str) -> Callable[[Node], bool]:
    return lambda node: name not in node or other in node or "_" + other in node


def _not_negative(name: str) -> Callable[[Node], bool]:
    return lambda node: node.get(name, 0) >= 0


def _whole_ratio(node: Node) -> bool:
    parts = [name for name in ("numerator", "denominator") if name in node]
    return len(parts) == 2 or (not parts and "extension" in node)


def _offset_from_an_event(node: Node) -> bool:
    when = node.get("when", ())
    return "offset" not in node or (len(when) > 0 and not _MEALS.intersection(when))


TYPE_INVARIANTS: Mapping[str, tuple[Rule, ...]] = {
    "Ratio": (_rule("rat-1", "numerator and denominator belong together", _whole_ratio),),
    "Timing_Repeat": (
        _rule("tim-1", "a duration needs a durationUnit", _needs("duration", "durationUnit")),
        _rule("tim-2", "a period needs a periodUnit", _needs("period", "periodUnit")),
        _rule("tim-4", "duration must not be negative", _not_negative("duration")),
        _rule("tim-5", "period must not be negative", _not_negative("period")),
        _rule("tim-6", "a periodMax needs a period", _needs("periodMax", "period")),
        _rule("tim-7", "a durationMax needs a duration", _needs("durationMax", "duration")),
        _rule("tim-8", "a countMax needs a count", _needs("countMax", "count")),
        _rule("tim-9", "an offset needs a when that is an event, not a meal", _offset_from_an_event),
        _rule("tim-10", "timeOfDay and when exclude each other", lambda node: not {"timeOfDay", "when"} <= set(node)),
    ),
}
