"""A search of one type: up to three criteria with what they mean, and an order."""

from __future__ import annotations

from hypothesis import strategies as st

from tests.unit.adapters.embedded.oracle.hops import ALL_OF
from tests.unit.adapters.embedded.oracle.order import ordered, sorts
from tests.unit.adapters.embedded.oracle.world import Asked, World

Search = tuple[str, list[Asked], list[str]]


@st.composite
def searches(draw: st.DrawFn) -> Search:
    kind = draw(st.sampled_from(sorted(ALL_OF)))
    return kind, draw(st.lists(ALL_OF[kind], max_size=3)), draw(sorts(kind))


def params_of(search: Search) -> list[tuple[str, str]]:
    _, criteria, sort = search
    return [(own.name, own.text) for own in criteria] + ([("_sort", ",".join(sort))] if sort else [])


def expected(search: Search, world: World) -> list[str]:
    """The ids of what is meant, in the order that is asked for."""
    kind, criteria, sort = search
    meant = [r for r in world if r["resourceType"] == kind and all(own.means(r, world) for own in criteria)]
    return ordered(meant, kind, sort)
