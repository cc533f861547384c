"""The parameters of a history: one table checks them and describes them. https://hl7.org/fhir/R4/http.html#history"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, get_args

from fhir_facade.fhir.query import DEFAULT_COUNT, MAX_COUNT, Summary
from fhir_facade.values import Interaction

HISTORIES: Final = frozenset(
    (Interaction.HISTORY_INSTANCE, Interaction.HISTORY_TYPE, Interaction.HISTORY_SYSTEM),
)
UNDERSTOOD_ELSEWHERE: Final = frozenset(("_total", "_format", "_pretty"))
"""Taken too: the total is given whenever it is known, and how an answer is written does not depend on what it is."""


@dataclass(frozen=True, slots=True)
class HistoryParameter:
    """`schema` is that of one value; `many` may be given several times. `of` are the histories that take it."""

    name: str
    meaning: str
    schema: Mapping[str, Any]
    many: bool = False
    of: frozenset[Interaction] = HISTORIES


_TEXT: Final[Mapping[str, Any]] = {"type": "string"}
HISTORY_PARAMETERS: Final = (
    HistoryParameter(
        "_count",
        f"How many versions a page has, {DEFAULT_COUNT} unless said otherwise; 0 asks for none",
        {"type": "integer", "minimum": 0, "maximum": MAX_COUNT},
    ),
    HistoryParameter("_since", "Only versions written at or after this instant", _TEXT),
    HistoryParameter(
        "_at",
        "Only versions that were current at some time in this date or instant, also with gt, ge, lt, le, sa or eb",
        _TEXT,
        many=True,
    ),
    HistoryParameter("_list", "Only versions of what this List holds: its id", _TEXT, many=True),
    HistoryParameter("_elements", "Only these elements of each version, separated by commas", _TEXT),
    HistoryParameter("_summary", "How much of each version", {"type": "string", "enum": list(get_args(Summary))}),
    HistoryParameter(
        "_type",
        "Only versions of these types, separated by commas",
        _TEXT,
        many=True,
        of=frozenset((Interaction.HISTORY_SYSTEM,)),
    ),
)
