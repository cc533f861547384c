"""A count looks at the index alone: a look at each match costs a page of the file, and twenty thousand are many.

https://hl7.org/fhir/R4/search.html#total
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from fhir_facade.adapters.embedded.search import search
from fhir_facade.fhir.query import parse_query
from tests.unit.adapters.embedded.corner import NOW, Corner, empty_corner

CODES = ("a", "b")


@pytest.fixture
def corner() -> Iterator[Corner]:
    """Readings of days 1 to 6, half of them with two codes, and one of another type."""
    corner = empty_corner()
    for day in range(1, 7):
        coding = [{"system": "urn:s", "code": code} for code in CODES[: 1 + day % 2]]
        about = {"status": "final", "subject": {"reference": f"Patient/{day % 3}"}, "code": {"coding": coding}}
        corner.add({"resourceType": "Observation", "effectiveDateTime": f"2025-01-0{day}", **about}, f"o{day}")
    corner.add({"resourceType": "Procedure", "performedDateTime": "2025-01-01"}, "other")
    yield corner
    corner.connection.close()


@pytest.mark.parametrize(
    ("asked", "matches"),
    [
        pytest.param("date=ge2025-01-03", 4, id="one condition"),
        pytest.param("code=a,b", 6, id="a match by two values counts once"),
        pytest.param("date=ge2025-01-03&code=b", 2, id="two conditions"),
        pytest.param("date=ge2025-01-03&code:not=b", 2, id="one of them denied"),
        pytest.param("date=ge2025-01-03&_lastUpdated=lt2000", 4, id="one of the resource itself"),
        pytest.param("code:not=b", 3, id="only denied"),
        pytest.param("_id=o1,o2", 2, id="by id"),
        pytest.param("_filter=code eq b or date ge 2025-01-05", 4, id="either of two"),
        pytest.param("code=none", 0, id="nothing"),
    ],
)
def test_the_total_is_how_many_there_are(corner: Corner, asked: str, matches: int) -> None:
    params = [(name, value) for name, _, value in (part.partition("=") for part in asked.split("&"))]
    query = parse_query("Observation", params, now=NOW).query

    page = search(corner.connection, corner.catalogue, replace(query, total=True))

    assert (page.total, len(page.entries)) == (matches, matches)


@pytest.mark.parametrize("asked", ["date=ge2025-01-03", "code=a,b", "date=ge2025-01-03&code=b", "date:missing=false"])
def test_what_the_index_knows_is_counted_without_a_look_at_the_resources(corner: Corner, asked: str) -> None:
    params = [(name, value) for name, _, value in (part.partition("=") for part in asked.split("&"))]
    query = parse_query("Observation", params, now=NOW).query
    statements: list[str] = []
    corner.connection.set_trace_callback(statements.append)

    page = search(corner.connection, corner.catalogue, replace(query, count=0, total=True))

    assert page.total
    assert not any("fhir_resource" in statement for statement in statements)
