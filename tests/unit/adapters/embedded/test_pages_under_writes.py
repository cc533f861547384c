"""Whatever is written between the pages of a search: what matches all the time is shown once, nothing is shown twice."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fhir_facade.adapters.embedded.catalogue import insert_systems
from fhir_facade.adapters.embedded.index import bind, index_values
from fhir_facade.adapters.embedded.paging import MOST_MOVED, opened
from fhir_facade.adapters.embedded.search import search
from fhir_facade.adapters.embedded.write import Integrity, Prepared, apply_writes
from fhir_facade.errors import Gone
from fhir_facade.fhir.query import parse_query
from fhir_facade.values import Ref, SearchQuery, Write
from tests.unit.adapters.embedded.corner import NOW, Corner, empty_corner

LABELS = [f"r{number}" for number in range(9)]
SEARCHES = [
    "_sort=-date",
    "_sort=date,-_id",
    "_sort=_lastUpdated",
    "_sort=-_lastUpdated",
    "_sort=status,-value-string",
    "_sort=subject,-value-quantity",
    "_sort=code",
    "_sort=-code,-subject",
    "",
    "status=final&_sort=-date",
    "patient=p&code=c&_sort=-date",
    "subject:Patient.gender=male&_sort=-date",
    "_has:Provenance:target:agent=Patient/p&_sort=date",
]


@pytest.fixture(scope="module")
def emptied() -> Iterator[Corner]:
    corner = empty_corner()
    yield corner
    corner.connection.close()


@dataclass
class Ward:
    """Readings of one patient; the clock ticks with each write."""

    corner: Corner
    now_ms: int = 1_000_000

    def put(self, resource: dict[str, Any]) -> None:
        self.now_ms += 1
        ref = Ref(resource["resourceType"], resource["id"])
        indexed = index_values(resource)
        missing = self.corner.catalogue.missing_systems(indexed.systems)
        self.corner.catalogue.adopt_systems(insert_systems(self.corner.connection, missing))
        rows = bind(self.corner.catalogue, ref.type, indexed)
        write = Write("put", ref, msgspec.json.encode(resource), resource)
        self.apply(Prepared(write, rows, indexed.targets))

    def delete(self, label: str) -> None:
        self.apply(Prepared(Write("delete", Ref("Observation", label)), {}, frozenset()))

    def apply(self, prepared: Prepared) -> None:
        apply_writes(
            self.corner.connection, [prepared], now_ms=self.now_ms, integrity=Integrity(on_write=False, on_delete=False)
        )


def reading(label: str, day: int | None, status: str = "final") -> dict[str, Any]:
    when = {} if day is None else {"effectiveDateTime": f"2026-01-{day:02}"}
    return {
        "resourceType": "Observation",
        "id": label,
        "status": status,
        "code": {"coding": [{"code": "c"}, *([{"system": f"urn:{day % 2}", "code": f"d{day}"}] if day else [])]},
        "subject": {"reference": "Patient/p"},
        "valueString": f"v{day}",
        **when,
    }


def ward_of(corner: Corner) -> Ward:
    corner.clear()
    corner.connection.execute("DELETE FROM fhir_version")
    ward = Ward(corner)
    ward.put({"resourceType": "Patient", "id": "p", "gender": "male"})
    targets = [{"reference": f"Observation/{label}"} for label in LABELS]
    ward.put(
        {"resourceType": "Provenance", "id": "v", "target": targets, "agent": [{"who": {"reference": "Patient/p"}}]}
    )
    for number, label in enumerate(LABELS):
        ward.put(reading(label, 1 + number % 4))
    return ward


def query(asked: str, count: int) -> SearchQuery:
    params = [tuple(part.split("=", 1)) for part in asked.split("&") if part]
    return replace(parse_query("Observation", params, now=NOW).query, count=count)  # type: ignore[arg-type]


DAYS = st.none() | st.integers(1, 6)
CHANGES = st.tuples(st.sampled_from(LABELS), DAYS, st.sampled_from(["final", "final", "amended", "deleted"]))


@settings(max_examples=50, deadline=None)
@given(st.sampled_from(SEARCHES), st.integers(1, 4), st.lists(st.lists(CHANGES, max_size=4), max_size=5))
def test_what_matches_all_the_time_is_shown_once(
    emptied: Corner, asked: str, count: int, changes: list[list[tuple[str, int | None, str]]]
) -> None:
    ward = ward_of(emptied)
    page = search(emptied.connection, emptied.catalogue, query(asked, count))
    shown, restless, gaps = [entry.id for entry in page.entries], set(), iter(changes)
    while page.cursor is not None:
        for label, day, status in next(gaps, []):
            restless |= {label} if status != "final" else set()
            ward.delete(label) if status == "deleted" else ward.put(reading(label, day, status))
        page = search(emptied.connection, emptied.catalogue, replace(query(asked, count), cursor=page.cursor))
        assert len(page.entries) <= count
        shown += [entry.id for entry in page.entries]

    assert len(shown) == len(set(shown))
    assert set(LABELS) - restless <= set(shown)


def coded(system: str, code: str) -> dict[str, Any]:
    return {"code": {"coding": [{"system": system, "code": code}, {"code": code}]}}


def about(label: str) -> dict[str, Any]:
    return {"subject": {"reference": f"Patient/{label}"}}


@pytest.mark.parametrize(
    ("asked", "first", "other", "moved"),
    [
        ("code", coded("urn:1", "x"), coded("urn:2", "a"), coded("urn:3", "a")),
        ("-code", coded("urn:3", "0"), coded("urn:2", "x"), coded("urn:1", "x")),
        ("subject", about("z"), about("x"), about("y")),
        ("-subject", about("y"), about("x"), about("z")),
        ("date", {"effectiveDateTime": "2020"}, {"effectiveDateTime": "2021"}, {"effectiveDateTime": "2022"}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_was_shown_and_moved_behind_is_not_shown_again(
    emptied: Corner, asked: str, first: dict[str, Any], other: dict[str, Any], moved: dict[str, Any]
) -> None:
    emptied.clear()
    emptied.connection.execute("DELETE FROM fhir_version")
    ward = Ward(emptied)
    for label in "zxy":
        ward.put({"resourceType": "Patient", "id": label})
    least = {"resourceType": "Observation", "status": "final", "code": {"text": "x"}}
    ward.put({**least, "id": "first", **first})
    ward.put({**least, "id": "other", **other})
    page = search(emptied.connection, emptied.catalogue, query(f"_sort={asked}", 1))
    ward.put({**least, "id": "first", **moved})

    later = search(emptied.connection, emptied.catalogue, replace(query(f"_sort={asked}", 2), cursor=page.cursor))

    assert [[entry.id for entry in each.entries] for each in (page, later)] == [["first"], ["other"]]


def response(label: str, canonical: str) -> dict[str, Any]:
    return {"resourceType": "QuestionnaireResponse", "id": label, "status": "completed", "questionnaire": canonical}


def form(label: str, status: str) -> dict[str, Any]:
    return {"resourceType": "Questionnaire", "id": label, "status": status, "url": "http://o/q", "version": "1"}


@pytest.mark.parametrize(
    ("asked", "first", "second"),
    [
        ("QuestionnaireResponse?questionnaire.status=active", "r1", "r2"),
        ("Questionnaire?_has:QuestionnaireResponse:questionnaire:status=completed", "q1", "q2"),
    ],
    ids=["a chain", "_has"],
)
def test_what_matched_by_a_canonical_url_is_not_shown_again(
    emptied: Corner, asked: str, first: str, second: str
) -> None:
    ward = ward_of(emptied)
    for number, canonical in (("1", "http://o/q"), ("2", "http://o/q|1")):
        ward.put(form(f"q{number}", "active"))
        ward.put(response(f"r{number}", canonical))
    kind, _, rest = asked.partition("?")
    name, _, value = rest.partition("=")
    query = replace(parse_query(kind, [(name, value), ("_sort", "_lastUpdated")], now=NOW).query, count=1)
    page = search(emptied.connection, emptied.catalogue, query)
    ward.put(
        {**form("q1", "active"), "title": "x"}
        if kind == "Questionnaire"
        else {**response("r1", "http://o/q"), "language": "en"}
    )

    later = search(emptied.connection, emptied.catalogue, replace(query, cursor=page.cursor))

    assert [[entry.id for entry in each.entries] for each in (page, later)] == [[first], [second]]


def test_of_many_rows_that_moved_the_last_ones_are_remembered(emptied: Corner) -> None:
    ward = ward_of(emptied)
    first = search(emptied.connection, emptied.catalogue, query("_sort=-date", 4))
    assert first.cursor is not None
    place = opened(first.cursor, 3)
    assert place is not None
    full = msgspec.json.encode(replace_moved(place, MOST_MOVED)).decode()
    for entry in first.entries:
        ward.put(reading(entry.id, None))

    second = search(emptied.connection, emptied.catalogue, replace(query("_sort=-date", 4), cursor=full))

    last = opened(second.cursor, 3)
    assert last is not None
    assert len(last.moved) == MOST_MOVED


def replace_moved(place: Any, count: int) -> Any:
    return msgspec.structs.replace(place, moved=tuple(-number for number in range(1, count + 1)))


@pytest.mark.parametrize("cursor", ["x", "[]", '[["a"],0]', '{"after":[]}', "\ud800"])
def test_a_cursor_of_something_else_is_gone(emptied: Corner, cursor: str) -> None:
    ward_of(emptied)
    with pytest.raises(Gone):
        search(emptied.connection, emptied.catalogue, replace(query("_sort=-date", 4), cursor=cursor))
