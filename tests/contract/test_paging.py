"""Pages, their cursors and totals, also while others write: https://hl7.org/fhir/R4/http.html#paging."""

from __future__ import annotations

from typing import Any

import pytest

from fhir_facade.errors import Gone
from fhir_facade.values import Match, Page, TokenValue
from tests.contract.case import Case

LABELS = [f"{number:02}" for number in range(23)]


@pytest.fixture
async def readings(case: Case) -> Case:
    resources = [
        case.resource(
            "Observation",
            label,
            effectiveDateTime=f"2026-01-{1 + int(label) // 2:02}",
            category=[{"coding": [{"system": "urn:c", "code": "even" if int(label) % 2 == 0 else "odd"}]}],
        )
        for label in LABELS
    ]
    await case.store.write([case.put_of(resource) for resource in resources])
    return case


async def pages(case: Case, asked: str, **changes: Any) -> list[Page]:
    found = [await case.search("Observation", asked, **changes)]
    while found[-1].cursor is not None:
        found.append(await case.search("Observation", asked, **{**changes, "cursor": found[-1].cursor}))
        assert len(found) < 50, "the pages have no end"
    return found


def labels(case: Case, found: list[Page]) -> list[str]:
    return [label for page in found for label in case.labels_of(page)]


async def test_a_cursor_that_is_none_of_ours_is_refused(case: Case) -> None:
    with pytest.raises(Gone):
        await case.search("Observation", cursor="nonsense")


@pytest.mark.parametrize("count", [1, 5, 11, 22])
async def test_pages_hold_everything_once_and_in_order(readings: Case, count: int) -> None:
    found = await pages(readings, "_sort=_id", count=count)

    assert labels(readings, found) == LABELS
    assert {len(page.entries) for page in found[:-1]} <= {count}


async def test_ties_are_neither_lost_nor_repeated(readings: Case) -> None:
    found = await pages(readings, "_sort=-date", count=3)

    assert labels(readings, found) == sorted(LABELS, key=lambda label: (-(int(label) // 2), label))


@pytest.mark.parametrize("count", [23, 24, 100])
async def test_a_page_that_holds_all_has_no_cursor(readings: Case, count: int) -> None:
    assert (await readings.search("Observation", count=count)).cursor is None


async def test_nothing_found_is_an_empty_page(readings: Case) -> None:
    page = await readings.search("Observation", "code=nothing", total=True)

    assert (list(page.entries), page.cursor, page.total) == ([], None, 0)


async def test_the_total_is_told_when_asked_for_on_every_page(readings: Case) -> None:
    asked = await pages(readings, "", count=10, total=True)
    unasked = await readings.search("Observation", count=10)

    assert [page.total for page in asked] == [23, 23, 23]
    assert unasked.total is None


async def test_a_page_of_nothing_tells_the_total(readings: Case) -> None:
    page = await readings.search("Observation", count=0, total=True)

    assert (list(page.entries), page.cursor, page.total) == ([], None, 23)


async def test_alternatives_have_pages_too(readings: Case) -> None:
    even = Match("category", "token", (TokenValue("urn:c", "even"),))
    first = Match("date", "date", readings.query("Observation", "date=2026-01-01").criteria[1].values)  # type: ignore[union-attr]

    found = await pages(readings, "_sort=_id", count=4, any_of=((even,), (first,)))

    assert labels(readings, found) == [label for label in LABELS if int(label) % 2 == 0 or label == "01"]


@pytest.mark.parametrize("reached", [1, 2])
async def test_what_is_written_between_pages_shifts_nothing(readings: Case, reached: int) -> None:
    """Rows that are there all the time appear once; `reached` pages are read before the others write."""
    found = [await readings.search("Observation", "_sort=-date", count=5)]
    while len(found) < reached:
        found.append(await readings.search("Observation", "_sort=-date", count=5, cursor=found[-1].cursor))
    shown = labels(readings, found)
    unseen = [label for label in LABELS if label not in shown]

    await readings.put("Observation", "new", effectiveDateTime="2026-02-01")
    await readings.put("Observation", "late", effectiveDateTime="2020-01-01")
    await readings.delete(readings.ref("Observation", shown[0]))
    await readings.delete(readings.ref("Observation", unseen[0]))
    while found[-1].cursor is not None:
        found.append(await readings.search("Observation", "_sort=-date", count=5, cursor=found[-1].cursor))

    stayed = [label for label in labels(readings, found) if label in LABELS]
    assert sorted(stayed) == sorted(set(stayed))
    assert set(stayed) >= set(LABELS) - {unseen[0]}
    assert unseen[0] not in stayed


async def test_what_was_shown_and_changed_since_is_not_shown_again(readings: Case) -> None:
    first = await readings.search("Observation", "_sort=_id", count=5)
    await readings.put("Observation", "02", effectiveDateTime="2026-01-02", status="amended")

    second = await readings.search("Observation", "_sort=_id", count=5, cursor=first.cursor)

    assert readings.labels_of(second) == LABELS[5:10]


@pytest.fixture
def fills(request: pytest.FixtureRequest) -> bool:
    """Whether pages are filled: those of a server whose links do not say `_count`, as our own, are taken as they are."""
    return "[hapi-over-mirror" not in request.node.name


def are_full(found: list[Page], count: int) -> bool:
    """All but the last page, which shows something."""
    return all(len(page.entries) == count for page in found[:-1]) and 0 < len(found[-1].entries) <= count


@pytest.mark.parametrize("reached", [1, 2])
async def test_pages_are_full_whatever_others_write(readings: Case, reached: int, fills: bool) -> None:
    found = [await readings.search("Observation", "_sort=-date", count=5)]
    while len(found) < reached:
        found.append(await readings.search("Observation", "_sort=-date", count=5, cursor=found[-1].cursor))
    unseen = [label for label in LABELS if label not in labels(readings, found)]

    for number in range(3):
        await readings.put("Observation", f"new{number}", effectiveDateTime="2026-02-01")
    for label in unseen[:2]:
        await readings.delete(readings.ref("Observation", label))
    while found[-1].cursor is not None:
        found.append(await readings.search("Observation", "_sort=-date", count=5, cursor=found[-1].cursor))

    assert are_full(found, 5) or not fills
    assert [label for label in labels(readings, found) if label in unseen[:2]] == []


@pytest.mark.parametrize("sort", ["_sort=date", "_sort=-date", "_sort=_id", ""])
@pytest.mark.parametrize("count", [1, 2, 3, 5])
async def test_pages_are_full_where_what_stands_across_an_edge_is_not_meant(
    case: Case, count: int, sort: str, fills: bool
) -> None:
    """HAPI finds a period that begins before what `ge` names and ends in it: no page is shorter for it, and none without entries."""
    across = {"start": "2026-01-01", "end": "2026-02-01T12:00:00Z"}
    within = {"start": "2026-02-02", "end": "2026-03-01"}
    periods = {"0": across, "1": within, "2": across, "3": within, "4": within, "5": across, "6": within, "7": across}
    for label, period in periods.items():
        await case.put("Observation", label, effectivePeriod=period)

    found = await pages(case, f"date=ge2026-02-01&{sort}", count=count)

    assert sorted(labels(case, found)) == ["1", "3", "4", "6"]
    assert are_full(found, count) or not fills


@pytest.mark.parametrize("reached", [1, 2])
async def test_what_changes_between_pages_is_on_one_of_them(readings: Case, reached: int) -> None:
    """Wherever its new place is, also before the page that was just shown."""
    found = [await readings.search("Observation", "_sort=-date", count=5)]
    while len(found) < reached:
        found.append(await readings.search("Observation", "_sort=-date", count=5, cursor=found[-1].cursor))
    unseen = [label for label in LABELS if label not in labels(readings, found)]

    moved_back, stays, moved_forward = unseen[3:6]
    await readings.put("Observation", moved_back, effectiveDateTime="2020-01-01")
    await readings.put("Observation", stays, effectiveDateTime=f"2026-01-{1 + int(stays) // 2:02}", status="amended")
    await readings.put("Observation", moved_forward, effectiveDateTime="2027-01-01")
    while found[-1].cursor is not None:
        found.append(await readings.search("Observation", "_sort=-date", count=5, cursor=found[-1].cursor))

    assert sorted(labels(readings, found)) == LABELS


async def test_what_was_shown_and_moved_back_is_not_shown_again(readings: Case) -> None:
    found = [await readings.search("Observation", "_sort=-date", count=5)]
    shown = labels(readings, found)
    for label in shown:
        await readings.put("Observation", label, effectiveDateTime="2020-01-01")

    while found[-1].cursor is not None:
        found.append(await readings.search("Observation", "_sort=-date", count=5, cursor=found[-1].cursor))

    assert sorted(labels(readings, found)) == LABELS


@pytest.mark.parametrize(
    ("type_name", "asked"),
    [
        pytest.param("Patient", "name=Anna", id="names that begin alike"),
        pytest.param("Patient", "identifier={case}", id="identifiers of two systems"),
        pytest.param("Observation", "code=x", id="codings of two systems"),
        pytest.param("Observation", "code=urn:a|x,urn:b|x", id="one of two codes"),
        pytest.param("Observation", "performer={first},{second}", id="one of two performers"),
        pytest.param("Observation", "performer:Practitioner.name=Berg", id="what is behind two performers"),
    ],
)
@pytest.mark.parametrize("count", [1, 3])
async def test_what_is_found_in_several_ways_is_found_once_and_hides_nothing(
    case: Case, type_name: str, asked: str, count: int
) -> None:
    """A store that counts rows of its index took a page of two ways each for half a page, and for the last."""
    labels = [f"{number}" for number in range(4)]
    first, second = (f"Practitioner/{case.name}-{label}" for label in ("first", "second"))
    berg = [{"family": "Berg", "text": "Berg, Bo"}]
    performers = [case.resource("Practitioner", label, name=berg) for label in ("first", "second")]
    people = [
        case.resource(
            "Patient",
            label,
            name=[{"family": "Annas", "given": ["Anna", "Annabel"], "text": "Anna Annas"}],
            identifier=[{"system": system, "value": case.name} for system in ("urn:case", "urn:other")],
        )
        for label in labels
    ]
    code = {"coding": [{"system": system, "code": "x"} for system in ("urn:a", "urn:b")]}
    by = [{"reference": first}, {"reference": second}]
    readings = [case.resource("Observation", f"o{label}", code=code, performer=by) for label in labels]
    await case.store.write([case.put_of(resource) for resource in (*performers, *people, *readings)])
    query = asked.format(case=case.name, first=first, second=second)

    found: list[str] = []
    page = await case.search(type_name, query, count=count, total=True)
    while True:
        found += [label.removeprefix("o") for label in case.labels_of(page)]
        assert page.total == len(labels)
        if page.cursor is None:
            break
        page = await case.search(type_name, query, count=count, total=True, cursor=page.cursor)

    assert sorted(found) == labels


NAMES = 4
READINGS = 30


@pytest.fixture
async def people(case: Case) -> Case:
    """Who has several names, and is found by many readings: more rows of an index than HAPI reads at first."""
    for label in "abcdefg":
        name = [{"family": f"{label}{number}", "given": ["x", "y", "z"]} for number in range(NAMES)]
        person = case.resource("Patient", label, name=name)
        about = {"reference": f"Patient/{person['id']}"}
        readings = [case.resource("Observation", f"{label}{number}", subject=about) for number in range(READINGS)]
        await case.store.write([case.put_of(resource) for resource in (person, *readings)])
    return case


@pytest.mark.parametrize("count", [1, 2, 5])
@pytest.mark.parametrize(
    ("asked", "found"),
    [
        pytest.param("_sort=family", "abcdefg", id="by one of several names"),
        pytest.param("_sort=-family", "gfedcba", id="by the last of them"),
        pytest.param("_has:Observation:patient:code=718-7&_sort=family", "abcdefg", id="found by many readings"),
        pytest.param("_has:Observation:patient:code=718-7,1-8", "abcdefg", id="found by one of two codes"),
        pytest.param("name=a,b,c,d,e,f,g", "abcdefg", id="found by several names"),
    ],
)
async def test_whoever_is_found_by_many_rows_hides_nobody(people: Case, count: int, asked: str, found: str) -> None:
    page = await people.search("Patient", asked, count=count)
    total = await people.search("Patient", asked, count=count, total=True)
    seen = people.labels_of(page)
    while page.cursor is not None:
        page = await people.search("Patient", asked, count=count, cursor=page.cursor)
        seen += people.labels_of(page)

    assert "".join(seen) == found
    assert total.total == len(found)


async def test_whoever_is_found_by_more_rows_than_hapi_reads_at_once_hides_nobody(people: Case) -> None:
    more = [
        people.resource("Observation", f"{label}-{number}", subject={"reference": f"Patient/{people.name}-{label}"})
        for label in "abcdefg"
        for number in range(200)
    ]
    for at in range(0, len(more), 400):
        await people.store.write([people.put_of(resource) for resource in more[at : at + 400]])

    either = "_has:Observation:patient:code=718-7&_filter=family sw a or family sw g or given sw x"

    assert "".join(await people.labels("Patient", "_has:Observation:patient:code=718-7")) == "abcdefg"
    assert "".join(await people.labels("Patient", either)) == "abcdefg"
