"""Whatever is searched in whatever world, and sorted however: the store finds what the oracle finds, in its order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fhir_facade.adapters.embedded.criteria import condition
from fhir_facade.fhir.query import parse_query
from tests.unit.adapters.embedded.corner import NOW, Corner, empty_corner
from tests.unit.adapters.embedded.oracle.searches import Search, expected, params_of, searches
from tests.unit.adapters.embedded.oracle.world import World, worlds


@pytest.fixture(scope="module")
def emptied() -> Iterator[Corner]:
    corner = empty_corner()
    yield corner
    corner.connection.close()


@settings(max_examples=50, deadline=None)
@given(worlds(), st.lists(searches(), min_size=10, max_size=20))
def test_a_search_finds_what_the_oracle_finds(emptied: Corner, world: World, asked: list[Search]) -> None:
    emptied.clear()
    for resource in world:
        emptied.add(resource, resource["id"])

    for search in asked:
        kind, params = search[0], params_of(search)
        found = emptied.find(replace(parse_query(kind, params, now=NOW).query, count=50))
        assert found == expected(search, world), (kind, params)


@settings(max_examples=50, deadline=None)
@given(worlds(), st.lists(searches(), min_size=10, max_size=20))
def test_what_is_asked_of_one_resource_alone_is_what_is_found_among_all(
    emptied: Corner, world: World, asked: list[Search]
) -> None:
    emptied.clear()
    for resource in world:
        emptied.add(resource, resource["id"])
    connection = emptied.connection

    for search in asked:
        kind, params = search[0], params_of(search)
        pks = [pk for (pk,) in connection.execute("SELECT pk FROM fhir_resource WHERE type = ?", (kind,))]
        for criterion in parse_query(kind, params, now=NOW).query.criteria:
            own = condition(emptied.catalogue, kind, criterion)
            for pk in pks:
                (together, args), (alone, more) = own.holds_for(str(pk)), own.holds_for(str(pk), alone=True)
                found = connection.execute(f"SELECT {together}, {alone}", (*args, *more)).fetchone()
                assert found[0] == found[1], (kind, params)
