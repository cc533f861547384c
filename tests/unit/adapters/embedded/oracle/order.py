"""The order that is asked for: https://hl7.org/fhir/R4/search.html#sort"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from hypothesis import strategies as st

from tests.unit.adapters.embedded.oracle.criteria import FOLDED, amount, codings, ends, spans
from tests.unit.adapters.embedded.oracle.world import Resource


def families_of(resource: Resource) -> list[str]:
    return [name["family"].lower().translate(FOLDED) for name in resource.get("name", ())]


def moments_of(resource: Resource) -> list[datetime]:
    return [own[0] for own in spans(resource)]


SORTS: dict[str, dict[str, Callable[[Resource], list[Any]]]] = {
    "Patient": {
        "gender": lambda r: [r["gender"]] if "gender" in r else [],
        "family": families_of,
        "birthdate": moments_of,
        "_id": lambda r: [r["id"]],
    },
    "Observation": {
        "status": lambda r: [r["status"]],
        "date": moments_of,
        "code": lambda r: [(one.get("system"), one["code"]) for one in codings(r, "code")],
        "value-quantity": lambda r: [[*end] for end in ends(r)] if amount(r) else [],
        "subject": lambda r: [r["subject"]["reference"]] if "subject" in r else [],
    },
    "Encounter": {"date": moments_of, "_id": lambda r: [r["id"]]},
    "Questionnaire": {"status": lambda r: [r["status"]], "_id": lambda r: [r["id"]]},
    "QuestionnaireResponse": {"status": lambda r: [r["status"]], "_id": lambda r: [r["id"]]},
}


def ordered(resources: list[Resource], kind: str, sort: list[str]) -> list[str]:
    """Ascending by the least value, descending by the greatest (of dates the beginning counts, of codes the system
    first), missing ones last, equal ones by id."""
    found = sorted(resources, key=lambda r: r["id"])
    for key in reversed(sort):
        values_of, rank = SORTS[kind][key.removeprefix("-")], _Rank(descending=key.startswith("-"))
        there = [r for r in found if values_of(r)]
        there.sort(key=lambda r: rank.first(values_of(r)), reverse=rank.descending)
        found = there + [r for r in found if not values_of(r)]
    return [r["id"] for r in found]


@dataclass(frozen=True)
class _Rank:
    descending: bool

    def first(self, values: list[Any]) -> Any:
        """Of what has parts each part by itself."""
        decisive = max if self.descending else min
        if not isinstance(values[0], tuple):
            return decisive(values)
        return [decisive(self._part(part) for part in parts) for parts in zip(*values, strict=True)]

    def _part(self, part: str | None) -> tuple[bool, str]:
        """One that is missing comes last."""
        return (part is not None) is self.descending, part or ""


@st.composite
def sorts(draw: st.DrawFn, kind: str) -> list[str]:
    names = draw(st.lists(st.sampled_from(sorted(SORTS[kind])), max_size=3, unique=True))
    return [draw(st.sampled_from(["", "-"])) + name for name in names]
