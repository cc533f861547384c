"""Whatever is searched in whatever world: HAPI, as it is asked here, finds what the oracle of the embedded store finds.

The same worlds in each run, because a server is asked, and few of them: each search is a request.
"""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fhir_facade.adapters.hapi import open_store
from fhir_facade.fhir.query import parse_query
from fhir_facade.values import Ref, Write
from tests.contract.case import NOW
from tests.unit.adapters.embedded.oracle.searches import Search, expected, params_of, searches
from tests.unit.adapters.embedded.oracle.world import World, worlds


@pytest.mark.hapi
@settings(
    max_examples=8,
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(worlds(), st.lists(searches(), min_size=15, max_size=15))
async def test_a_search_over_hapi_finds_what_the_oracle_finds(
    empty_hapi_url: str, world: World, asked: list[Search]
) -> None:
    async with open_store(empty_hapi_url) as store:
        await store.write(
            [Write("put", Ref(one["resourceType"], one["id"]), json.dumps(one).encode(), one) for one in world]
        )
        for search in asked:
            kind, params = search[0], params_of(search)
            page = await store.search(replace(parse_query(kind, params, now=NOW).query, count=50))
            found, meant = [entry.id for entry in page.entries], expected(search, world)
            in_order = bool(search[2])
            assert (found if in_order else sorted(found)) == (meant if in_order else sorted(meant)), (kind, params)
