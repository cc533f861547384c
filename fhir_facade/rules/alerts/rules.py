"""Alert rules as data, and which of them an Observation concerns: https://hl7.org/fhir/R4/plandefinition.html

    rules() -> tuple[Rule, ...]                          what ships with the project
    rules_for(observation) -> tuple[Rule, ...]           one look-up per code; empty for almost every Observation
    Book(rules).rules_for(observation)                   the same for rules of one's own

A rule with `lookback` needs recent readings of the same patient; without it the written reading is enough.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from functools import cache
from importlib.resources import files
from operator import ge, gt, le, lt
from types import MappingProxyType
from typing import Any, Literal

import msgspec

from terminology.canonical import BASE, LOINC

Comparator = Literal[">", ">=", "<", "<="]
Aggregation = Literal["last", "mean", "min", "max", "count", "delta"]
Severity = Literal["high", "moderate", "low"]

_COMPARE: Mapping[str, Callable[[Decimal, Decimal], bool]] = MappingProxyType({">": gt, ">=": ge, "<": lt, "<=": le})
_DURATION = re.compile(r"P(?:(?P<days>\d+)D)?(?:T(?:(?P<hours>\d+)H)?(?:(?P<minutes>\d+)M)?)?")
_NONE = timedelta()


@dataclass(frozen=True, slots=True)
class Rule:
    """What is watched and when it is an alert. `unit` is that of `threshold` and `clear`; `count` counts readings.

    `duration` is how long the condition must hold (`for` in the data).
    """

    id: str
    version: str
    title: Mapping[str, str] = field(hash=False)
    codes: tuple[str, ...]
    comparator: Comparator
    threshold: Decimal
    unit: str
    severity: Severity
    source: str
    clear: Decimal | None = None
    component: str | None = None
    exclude: tuple[str, ...] = ()
    aggregation: Aggregation = "last"
    window: timedelta = _NONE
    duration: timedelta = _NONE
    min_samples: int = 1
    staleness: timedelta = timedelta(hours=24)

    @property
    def url(self) -> str:
        """The canonical address of its PlanDefinition, without the version."""
        return f"{BASE}/PlanDefinition/{self.id}"

    @property
    def lookback(self) -> timedelta:
        """How far back readings are needed to evaluate one; zero when the reading itself is enough."""
        return self.window + self.duration

    def violated_by(self, value: Decimal) -> bool:
        """Whether a value is beyond the threshold."""
        return _COMPARE[self.comparator](value, self.threshold)

    def cleared_by(self, value: Decimal) -> bool:
        """Whether a value ends an open alert: at or beyond `clear` on the good side."""
        if self.clear is None:
            return not self.violated_by(value)
        return value <= self.clear if self.comparator.startswith(">") else value >= self.clear

    def name(self, language: str) -> str:
        """The title in a language, English when there is none."""
        return self.title.get(language.split("-", maxsplit=1)[0].lower(), self.title["en"])


class _Row(msgspec.Struct, frozen=True, rename={"duration": "for"}, forbid_unknown_fields=True):
    id: str
    version: str
    title: dict[str, str]
    codes: list[str]
    comparator: Comparator
    threshold: Decimal
    unit: str
    severity: Severity
    source: str
    clear: Decimal | None = None
    component: str | None = None
    exclude: list[str] = []
    aggregation: Aggregation = "last"
    window: str = "PT0M"
    duration: str = "PT0M"
    min_samples: int = 1
    staleness: str = "PT24H"


class _File(msgspec.Struct, frozen=True):
    engine_version: str
    priority: dict[Severity, str]
    rules: list[_Row]


def parse_duration(text: str) -> timedelta:
    """Days, hours and minutes of an ISO 8601 duration. ValueError for anything else."""
    match = _DURATION.fullmatch(text)
    if match is None or not any(match.groups()):
        raise ValueError(f"{text!r} is not a duration of days, hours and minutes such as P7D or PT30M")
    return timedelta(**{unit: int(number or 0) for unit, number in match.groupdict().items()})


@cache
def _file() -> _File:
    return msgspec.toml.decode((files(__package__) / "alerts.toml").read_bytes(), type=_File)


def _rule(row: _Row) -> Rule:
    fields = {name: getattr(row, name) for name in row.__struct_fields__}
    for name in ("window", "duration", "staleness"):
        fields[name] = parse_duration(fields[name])
    return Rule(**{**fields, "codes": tuple(row.codes), "exclude": tuple(row.exclude)})


@cache
def rules() -> tuple[Rule, ...]:
    """Every rule that ships with the project."""
    return tuple(_rule(row) for row in _file().rules)


def engine_version() -> str:
    """The version of the alert engine, part of its Device."""
    return _file().engine_version


def priority(severity: Severity) -> str:
    """The Task.priority of a severity."""
    return _file().priority[severity]


class Book:
    """Rules by LOINC code, so that an Observation without rules costs one look-up per code."""

    def __init__(self, all_rules: Iterable[Rule]) -> None:
        by_code: dict[str, tuple[Rule, ...]] = {}
        for rule in all_rules:
            for code in rule.codes:
                by_code[code] = (*by_code.get(code, ()), rule)
        self._by_code = by_code

    def rules_for(self, observation: Mapping[str, Any]) -> tuple[Rule, ...]:
        """The rules an Observation concerns, each once, in the order of the book."""
        concept = observation.get("code")
        if not concept:
            return ()
        by_code = self._by_code
        for coding in concept.get("coding", ()):
            if coding.get("code") in by_code and coding.get("system") == LOINC:
                return self._applicable(concept["coding"])
        return ()

    def _applicable(self, codings: Iterable[Mapping[str, Any]]) -> tuple[Rule, ...]:
        present = {coding.get("code") for coding in codings if coding.get("system") == LOINC}
        found = dict.fromkeys(rule for code in present for rule in self._by_code.get(code or "", ()))
        return tuple(sorted((rule for rule in found if present.isdisjoint(rule.exclude)), key=lambda rule: rule.id))


@cache
def _shipped() -> Book:
    return Book(rules())


def rules_for(observation: Mapping[str, Any]) -> tuple[Rule, ...]:
    """The shipped rules an Observation concerns."""
    return _shipped().rules_for(observation)
