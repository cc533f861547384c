"""The full-text index follows the data when it is asked, and holds nothing of what was erased."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from fhir_facade.adapters.embedded.erase import erase
from fhir_facade.adapters.embedded.fulltext import CHUNK, catch_up, types_read
from fhir_facade.fhir.query import parse_query
from fhir_facade.values import Ref
from tests.unit.adapters.embedded.corner import NOW, Corner, empty_corner


@pytest.fixture
def corner() -> Iterator[Corner]:
    corner = empty_corner()
    yield corner
    corner.connection.close()


def note(text: str) -> dict[str, object]:
    return {"resourceType": "Observation", "valueString": text}


def tables(corner: Corner) -> set[str]:
    rows = corner.connection.execute("SELECT name FROM sqlite_master WHERE name LIKE 'fhir_text%'")
    return {name for (name,) in rows}


def test_a_type_that_nobody_asks_has_no_index(corner: Corner) -> None:
    corner.add(note("secret"))

    assert types_read(parse_query("Observation", [("value-string", "secret")], now=NOW).query) == frozenset()
    assert tables(corner) == set()


def test_the_types_that_are_asked_are_found_at_any_depth() -> None:
    asked = [
        ("_text", "x"),
        ("subject:Patient._content", "x"),
        ("_has:Provenance:target:agent:Device._text", "x"),
        ("_filter", "encounter.status eq finished"),
    ]

    assert types_read(parse_query("Observation", asked, now=NOW).query) == {"Observation", "Patient", "Device"}


def test_many_resources_are_indexed_in_chunks_so_that_others_can_write_in_between(corner: Corner) -> None:
    corner.connection.execute("BEGIN")
    for number in range(CHUNK + 1):
        corner.add(note(f"word{number}"), f"r{number}")
    corner.connection.execute("COMMIT")

    assert [catch_up(corner.connection, "Observation") for _ in range(3)] == [False, True, True]
    assert corner.found("Observation", "_content", f"word{CHUNK}") == [f"r{CHUNK}"]


def test_a_question_without_news_writes_nothing(corner: Corner) -> None:
    corner.add(note("word"))
    catch_up(corner.connection, "Observation")
    before = corner.connection.total_changes

    assert catch_up(corner.connection, "Observation")
    assert corner.connection.total_changes == before


def test_nothing_of_what_was_erased_stays(corner: Corner) -> None:
    corner.add(note("secret"), "gone")
    corner.add(note("kept"), "stays")
    catch_up(corner.connection, "Observation")
    assert corner.found("Observation", "_content", "secret") == ["gone"]

    erase(corner.connection, [Ref("Observation", "gone")])

    assert tables(corner) == set()
    corner.add(note("secret"), "new")
    catch_up(corner.connection, "Observation")
    assert corner.found("Observation", "_content", "secret or kept") == ["new", "stays"]
