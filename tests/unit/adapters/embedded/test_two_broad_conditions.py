"""Two conditions that many satisfy and few both: what is found, and that it costs what the smaller of the two has."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import replace

import pytest

from fhir_facade.adapters.embedded.catalogue import insert_systems
from fhir_facade.adapters.embedded.rarest import BEARABLE
from fhir_facade.adapters.embedded.schema import migrate
from fhir_facade.adapters.embedded.search import search
from fhir_facade.fhir.query import parse_query
from fhir_facade.values import Page, SearchQuery
from tests.unit.adapters.embedded.corner import NOW, Corner
from tests.unit.adapters.embedded.steps import Counting

SMALLER, BOTH = 2 * BEARABLE, 10

_COUNTING = "WITH RECURSIVE up(n) AS (SELECT ?1 UNION ALL SELECT n + 1 FROM up WHERE n < ?2)"
_STORED = f"""{_COUNTING} INSERT INTO fhir_resource (pk, type, id, version, updated, deleted, body)
  SELECT n, 'Observation', 'o' || n, 1, n, 0, CAST('{{"resourceType":"Observation","code":{{"text":"of ' || (n % 2)
    || '"}}}}' AS BLOB) FROM up"""
_TOLD = f"{_COUNTING} INSERT INTO idx_token (param, code, system, pk) SELECT ?3, ?4, ?5, n FROM up"


def corner_with(larger: int) -> Corner:
    """So many Observations have the code; SMALLER have the category, BOTH of them the code too."""
    connection = sqlite3.connect(":memory:", isolation_level=None, factory=Counting)
    migrate(connection)
    corner = Corner(connection)
    ((_, system),) = insert_systems(connection, ["urn:s"])
    corner.catalogue.load(connection)
    first, last = larger - BOTH + 1, larger - BOTH + SMALLER
    connection.execute(_STORED, (1, last))
    connection.execute(_TOLD, (1, larger, corner.catalogue.param("Observation", "code"), "a", system))
    connection.execute(_TOLD, (first, last, corner.catalogue.param("Observation", "category"), "b", system))
    return corner


@pytest.fixture(scope="module")
def corners() -> Iterator[tuple[Corner, Corner]]:
    ten, forty = corner_with(10 * SMALLER), corner_with(40 * SMALLER)
    yield ten, forty
    ten.connection.close()
    forty.connection.close()


def query_of(asked: str) -> SearchQuery:
    params = [(name, value) for name, _, value in (part.partition("=") for part in asked.split("&"))]
    return parse_query("Observation", params, now=NOW).query


def found(corner: Corner, asked: str) -> Page:
    return search(corner.connection, corner.catalogue, query_of(asked))


def steps_of(corner: Corner, asked: str) -> int:
    connection = corner.connection
    assert isinstance(connection, Counting)
    connection.steps = 0
    found(corner, asked)
    return connection.steps


@pytest.mark.parametrize("asked", ["code=a&category=b", "category=b&code=a", "code=a&category=b&_sort=_lastUpdated"])
def test_the_larger_one_costs_nothing(corners: tuple[Corner, Corner], asked: str) -> None:
    beside_ten_times, beside_forty_times = (steps_of(corner, asked) for corner in corners)

    assert beside_ten_times < 200 * SMALLER
    assert beside_forty_times < 1.1 * beside_ten_times, (beside_ten_times, beside_forty_times)


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        pytest.param("code=a&category=b", range(1, 11), id="both"),
        pytest.param("code=a&category=b&_sort=-_lastUpdated", range(10, 0, -1), id="the newest first"),
        pytest.param("code=a&category=b&code:text=of 1", range(1, 11, 2), id="and what is read in the resource"),
        pytest.param("code=a&category=b&code:not=a", [], id="and not one of them"),
        pytest.param("category=b&code:not=a&_count=2", [11, 12], id="one and not the other"),
    ],
)
def test_what_is_found(corners: tuple[Corner, Corner], asked: str, expected: list[int]) -> None:
    for corner, larger in zip(corners, (10 * SMALLER, 40 * SMALLER), strict=True):
        page = found(corner, asked)

        assert [entry.id for entry in page.entries] == [f"o{larger - BOTH + number}" for number in expected]


def test_they_are_counted_each_once_and_paged(corners: tuple[Corner, Corner]) -> None:
    corner, pages, cursor = corners[0], list[Page](), None
    while not pages or cursor is not None:
        query = query_of("code=a&category=b&_count=4&_total=accurate")
        pages.append(search(corner.connection, corner.catalogue, replace(query, cursor=cursor)))
        cursor = pages[-1].cursor

    assert [page.total for page in pages] == [BOTH] * 3
    assert [len(page.entries) for page in pages] == [4, 4, 2]
    assert len({entry.id for page in pages for entry in page.entries}) == BOTH
