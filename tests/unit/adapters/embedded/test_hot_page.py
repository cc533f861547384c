"""The hot search with a statement known by heart: for which queries, and that its pages are those of the general way."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from fhir_facade.adapters.embedded import EmbeddedStore
from fhir_facade.adapters.embedded.at_once import hot_page
from fhir_facade.adapters.embedded.search import search
from fhir_facade.adapters.sqlite_file import SqliteFile
from fhir_facade.adapters.system_clock import SystemClock
from fhir_facade.fhir.query import parse_query
from fhir_facade.values import Page, Ref, SearchQuery, Write
from tests.unit.adapters.embedded.corner import NOW, Corner, empty_corner

CODE = {"coding": [{"system": "urn:a", "code": "c"}]}
ASKED = (("patient", "p"), ("code", "urn:a|c"), ("_sort", "-date"))


def reading(day: int, **members: Any) -> dict[str, Any]:
    at = {"effectiveDateTime": f"2026-01-{day:02}"}
    return {"resourceType": "Observation", "subject": {"reference": "Patient/p"}, "code": CODE, **at, **members}


def query(*more: tuple[str, str]) -> SearchQuery:
    return parse_query("Observation", [*ASKED, *more], now=NOW).query


@pytest.fixture
def corner() -> Iterator[Corner]:
    corner = empty_corner()
    for number in range(12):  # three at the same time each
        corner.add(reading(1 + number // 3), f"o{number:02}")
    corner.add({**reading(1), "subject": {"reference": "Patient/q"}}, "foreign")
    corner.add({**reading(1), "effectiveDateTime": None}, "undated")
    yield corner
    corner.connection.close()


@pytest.mark.parametrize("count", [1, 2, 5, 12, 13, 20])
def test_the_first_page_is_that_of_the_general_way_and_the_next_follows_it(corner: Corner, count: int) -> None:
    asked = query(("_count", str(count)))
    newest_first = [f"o{number:02}" for start in (9, 6, 3, 0) for number in range(start, start + 3)]

    page = hot_page(corner.connection, corner.catalogue, asked)

    assert page is not None
    assert page == search(corner.connection, corner.catalogue, asked)
    found = [entry.id for entry in page.entries]
    while page.cursor is not None:
        page = search(corner.connection, corner.catalogue, replace(asked, cursor=page.cursor))
        found += [entry.id for entry in page.entries]
    assert found == [*newest_first, "undated"]


@pytest.mark.parametrize(
    "more",
    [
        (("status", "final"),),
        (("date", "ne2026-01-01"),),
        (("subject", "q"),),
        (("code", "d"),),
        (("_total", "accurate"),),
        (("_count", "0"),),
        (("_id", "o01"),),
        (("_has:Provenance:target:_id", "x"),),
    ],
    ids=lambda more: more[0][0],
)
def test_any_other_query_goes_the_general_way(corner: Corner, more: tuple[tuple[str, str], ...]) -> None:
    assert hot_page(corner.connection, corner.catalogue, query(*more)) is None


@pytest.mark.parametrize("sort", ["date", "-status", "-date,status", "_id"])
def test_another_order_goes_the_general_way(corner: Corner, sort: str) -> None:
    asked = parse_query("Observation", [*ASKED[:2], ("_sort", sort)], now=NOW).query

    assert hot_page(corner.connection, corner.catalogue, asked) is None


def test_what_says_the_same_of_the_patient_twice_is_still_plain(corner: Corner) -> None:
    assert hot_page(corner.connection, corner.catalogue, query(("subject", "Patient/p"))) is not None


def test_a_code_system_not_known_yet_is_looked_for_by_a_reader(corner: Corner) -> None:
    asked = parse_query("Observation", [ASKED[0], ("code", "urn:new|c"), ASKED[2]], now=NOW).query

    assert hot_page(corner.connection, corner.catalogue, asked) is None
    assert search(corner.connection, corner.catalogue, asked).entries == []


def test_a_page_that_continues_goes_the_general_way(corner: Corner) -> None:
    assert hot_page(corner.connection, corner.catalogue, replace(query(), cursor='[[1,"a"],0]')) is None


async def test_a_search_that_turns_out_to_be_long_is_answered_too(tmp_path: Path) -> None:
    file = SqliteFile(tmp_path / "facade.sqlite")
    file.open()
    store = EmbeddedStore(file, SystemClock())
    store.start()
    patient = {"resourceType": "Patient", "id": "p"}
    bodies = [patient, *(reading(1 + number % 28, id=f"o{number:04}") for number in range(3000))]
    await store.write(
        [Write("put", Ref(body["resourceType"], body["id"]), msgspec.json.encode(body), body) for body in bodies]
    )

    found: Page = await store.search(query(("_count", "3"), ("date", "ge2026-01-28")))  # rows behind the last match
    none = await store.search(query(("date", "gt2026-03-01")))
    file.close()

    assert [entry.id for entry in found.entries] == ["o0027", "o0055", "o0083"]
    assert none.entries == []
