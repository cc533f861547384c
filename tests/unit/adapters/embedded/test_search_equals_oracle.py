"""Whatever is searched in whatever world, and sorted however: the store finds what the oracle finds, in its order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fhir_facade.fhir.query import parse_query
from tests.unit.adapters.embedded.corner import NOW, Corner, empty_corner
from tests.unit.adapters.embedded.oracle.hops import ALL_OF
from tests.unit.adapters.embedded.oracle.order import ordered, sorts
from tests.unit.adapters.embedded.oracle.world import Asked, World, worlds


@pytest.fixture(scope="module")
def emptied() -> Iterator[Corner]:
    corner = empty_corner()
    yield corner
    corner.connection.close()


@st.composite
def searches(draw: st.DrawFn) -> tuple[str, list[Asked], list[str]]:
    kind = draw(st.sampled_from(sorted(ALL_OF)))
    return kind, draw(st.lists(ALL_OF[kind], max_size=3)), draw(sorts(kind))


@settings(max_examples=50, deadline=None)
@given(worlds(), st.lists(searches(), min_size=10, max_size=20))
def test_a_search_finds_what_the_oracle_finds(
    emptied: Corner, world: World, asked: list[tuple[str, list[Asked], list[str]]]
) -> None:
    emptied.clear()
    for resource in world:
        emptied.add(resource, resource["id"])

    for kind, parameters, sort in asked:
        params = [(own.name, own.text) for own in parameters] + ([("_sort", ",".join(sort))] if sort else [])
        expected = [r for r in world if r["resourceType"] == kind and all(own.means(r, world) for own in parameters)]
        found = emptied.find(replace(parse_query(kind, params, now=NOW).query, count=50))
        assert found == ordered(expected, kind, sort), (kind, params)
