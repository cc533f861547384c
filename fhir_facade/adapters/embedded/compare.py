"""Prefixes as SQL: a stored range against the asked one (https://hl7.org/fhir/R4/search.html#prefix)."""

from __future__ import annotations

from typing import Any

from fhir_facade.adapters.embedded.source import Sql
from fhir_facade.fhir.comparisons import RELATIVE_SLACK
from fhir_facade.values import NumberValue, QuantityValue

_EQUAL = "low >= ? AND low < ? AND high <= ?"
_INTERVALS: dict[str, tuple[str, str]] = {
    "eq": (_EQUAL, "lhh"),
    "ne": (f"NOT ({_EQUAL})", "lhh"),
    "gt": ("high > ?", "h"),
    "lt": ("low < ?", "l"),
    "ge": ("high > ? AND (high > ? OR low >= ?)", "lhl"),
    "le": ("low < ? AND (low < ? OR high <= ?)", "hlh"),
    "sa": ("low >= ?", "h"),
    "eb": ("high <= ?", "l"),
    "ap": ("low < ? AND high > ?", "hl"),
}
"""Conditions on stored columns, and which end of the asked interval stands at each mark."""


def interval(prefix: str, low: Any, high: Any) -> Sql:
    """Stored [low, high) against the asked one, as R4 has it: `ge` is what `gt` or `eq` finds."""
    sql, ends = _INTERVALS[prefix]
    return sql, tuple([low if end == "l" else high for end in ends])


def point(value: NumberValue | QuantityValue) -> Sql:
    """A stored number (or range) against the asked one.

    Comparisons use the number itself, equality the range its digits imply. The slack absorbs what binary floats
    cannot hold, far below any digit a client can mean.
    """
    number, low, high = float(value.number), float(value.low), float(value.high)
    slack = abs(number) * RELATIVE_SLACK
    within = ("low >= ? AND low < ? AND high < ?", (low - slack, high - slack, high - slack))
    table: dict[str, Sql] = {
        "eq": within,
        "ne": (f"NOT ({within[0]})", within[1]),
        "ap": ("low <= ? AND high >= ?", (high + slack, low - slack)),
        "gt": ("high > ?", (number + slack,)),
        "ge": ("high >= ?", (number - slack,)),
        "lt": ("low < ?", (number - slack,)),
        "le": ("low <= ?", (number + slack,)),
        "sa": ("low > ?", (number + slack,)),
        "eb": ("high < ?", (number - slack,)),
    }
    return table[value.prefix]
