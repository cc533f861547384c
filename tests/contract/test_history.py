"""Versions of a resource, of a type and of all: https://hl7.org/fhir/R4/http.html#history."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from fhir_facade.errors import Gone, NotFound
from fhir_facade.values import HistoryQuery, StoredResource
from tests.contract.case import Case

GENDERS = ("female", "male", "other", "unknown", "female")


async def versions(case: Case) -> list[StoredResource]:
    return [await case.put("Patient", "p", gender=gender) for gender in GENDERS]


async def test_what_never_existed_has_no_history(case: Case) -> None:
    with pytest.raises(NotFound):
        await case.store.history(HistoryQuery("Patient", f"{case.name}-nobody"))


async def test_a_search_cursor_is_no_history_cursor(case: Case) -> None:
    for label in "ab":
        await case.put("Patient", label)
    page = await case.search("Patient", count=1)

    with pytest.raises(Gone):
        await case.store.history(HistoryQuery("Patient", cursor=page.cursor))


async def test_the_history_of_a_resource_is_newest_first_and_whole(case: Case) -> None:
    written = await versions(case)

    page = await case.store.history(HistoryQuery("Patient", written[0].id, total=True))

    assert [(entry.version, entry.last_updated, entry.body) for entry in page.entries] == [
        (version.version, version.last_updated, version.body) for version in reversed(written)
    ]
    assert (page.total, page.cursor) == (len(GENDERS), None)


async def test_versions_are_counted_without_being_told(case: Case) -> None:
    written = await versions(case)

    page = await case.store.history(HistoryQuery("Patient", written[0].id, count=0, total=True))

    assert (list(page.entries), page.total) == ([], len(written))


async def test_a_history_that_was_read_before_shows_what_came_since(case: Case) -> None:
    patient = await case.put("Patient", "p", gender="female")
    await case.store.history(HistoryQuery("Patient", patient.id, total=True))
    await case.put("Patient", "p", gender="male")

    page = await case.store.history(HistoryQuery("Patient", patient.id, total=True))

    assert [entry.version for entry in page.entries] == ["2", "1"]
    assert page.total == 2


async def test_a_deletion_is_a_version_without_a_body(case: Case) -> None:
    patient = await case.put("Patient", "p")
    deletion = await case.delete(patient.ref)
    again = await case.put("Patient", "p")

    page = await case.store.history(HistoryQuery("Patient", patient.id))

    assert [(entry.version, entry.deleted) for entry in page.entries] == [
        (again.version, False),
        (deletion.version, True),
        (patient.version, False),
    ]
    assert (page.entries[1].last_updated, page.entries[1].body) == (deletion.last_updated, b"")


async def test_a_deleted_resource_still_has_its_history(case: Case) -> None:
    patient = await case.put("Patient", "p")
    await case.delete(patient.ref)

    page = await case.store.history(HistoryQuery("Patient", patient.id))

    assert [entry.deleted for entry in page.entries] == [True, False]


async def test_since_leaves_out_what_is_older(case: Case) -> None:
    written = await versions(case)

    at = await case.store.history(HistoryQuery("Patient", written[0].id, since=written[3].last_updated))
    after = await case.store.history(
        HistoryQuery("Patient", written[0].id, since=written[4].last_updated + timedelta(milliseconds=1))
    )

    assert [entry.version for entry in at.entries] == ["5", "4"]
    assert (list(after.entries), after.cursor) == ([], None)


@pytest.mark.parametrize("writers", [1, 3])
async def test_pages_of_a_history_do_not_shift_when_others_write(case: Case, writers: int) -> None:
    """A page may be shorter than asked for, never longer; each version comes once."""
    written = await versions(case)
    query = HistoryQuery("Patient", written[0].id, count=2, total=True)

    pages = [await case.store.history(query)]
    for number in range(writers):
        await case.put("Patient", "p", multipleBirthInteger=number)
    while pages[-1].cursor is not None:
        pages.append(await case.store.history(replace(query, cursor=pages[-1].cursor)))

    assert [entry.version for page in pages for entry in page.entries] == ["5", "4", "3", "2", "1"]
    assert max(len(page.entries) for page in pages) == 2
    assert pages[0].total == 5


async def test_pages_keep_to_since(case: Case) -> None:
    written = await versions(case)
    since = written[1].last_updated

    first = await case.store.history(HistoryQuery("Patient", written[0].id, since=since, count=3))
    second = await case.store.history(HistoryQuery("Patient", written[0].id, since=since, count=3, cursor=first.cursor))

    assert [entry.version for entry in [*first.entries, *second.entries]] == ["5", "4", "3", "2"]


@pytest.mark.parametrize("count", [1, 2, 4, 5])
async def test_no_page_of_the_history_of_a_resource_is_empty(case: Case, count: int) -> None:
    """Not the last one either, where its versions fill the pages before."""
    written = await versions(case)
    id_, moment = written[0].id, timedelta(milliseconds=1)
    whole = HistoryQuery("Patient", id_, count=count)
    since = replace(whole, since=written[1].last_updated)
    within = replace(whole, at=(written[1].last_updated + moment, written[3].last_updated + moment))

    for query, shown in ((whole, "54321"), (since, "5432"), (within, "432")):
        pages = [await case.store.history(query)]
        while pages[-1].cursor is not None:
            pages.append(await case.store.history(replace(query, cursor=pages[-1].cursor)))

        assert all(page.entries for page in pages)
        assert "".join(entry.version for page in pages for entry in page.entries) == shown


@pytest.mark.parametrize("type_", ["Patient", None], ids=["type", "all"])
@pytest.mark.parametrize("count", [1, 2, 3, 4, 6])
async def test_no_page_of_the_history_of_many_is_empty(case: Case, type_: str | None, count: int) -> None:
    """Neither where the versions fill the pages before, nor where what is left is not of the time."""
    gone = await case.put("Patient", "gone")
    await case.delete(gone.ref)
    await case.put("Patient", "kept")
    written = await versions(case)
    whole = HistoryQuery(type_, since=written[0].last_updated, count=count)
    begun = replace(whole, since=gone.last_updated)
    within = replace(begun, at=(written[1].last_updated, written[4].last_updated))
    before = replace(begun, at=(written[0].last_updated, written[2].last_updated))

    for query, shown in ((whole, "54321"), (begun, "54321121"), (within, "4321"), (before, "211")):
        pages = [await case.store.history(query)]
        while pages[-1].cursor is not None:
            pages.append(await case.store.history(replace(query, cursor=pages[-1].cursor)))

        assert "".join(entry.version for page in pages for entry in page.entries) == shown
        assert all(page.entries for page in pages)
        assert {len(page.entries) for page in pages[:-1]} <= {count}


async def test_no_page_follows_the_version_that_brought_a_resource_back(case: Case) -> None:
    patient = await case.put("Patient", "p", gender="female")
    await case.delete(patient.ref)
    back = await case.put("Patient", "p", gender="male")

    page = await case.store.history(HistoryQuery("Patient", patient.id, since=back.last_updated, count=1))

    assert ([entry.version for entry in page.entries], page.cursor) == ([back.version], None)


async def test_the_history_of_a_type_holds_its_resources_only(case: Case) -> None:
    patient = await case.put("Patient", "p")
    practitioner = await case.put("Practitioner", "d")

    page = await case.store.history(HistoryQuery("Patient", since=patient.last_updated, count=100))

    refs = [entry.ref for entry in page.entries]
    assert patient.ref in refs
    assert practitioner.ref not in refs


async def test_the_history_of_all_holds_every_type_and_deletions(case: Case) -> None:
    patient = await case.put("Patient", "p")
    practitioner = await case.put("Practitioner", "d")
    deletion = await case.delete(patient.ref)

    page = await case.store.history(HistoryQuery(None, since=patient.last_updated, count=100))

    ours = [(entry.ref, entry.version) for entry in page.entries if entry.id.startswith(case.name)]
    assert ours == [
        (patient.ref, deletion.version),
        (practitioner.ref, practitioner.version),
        (patient.ref, patient.version),
    ]


async def test_pages_of_all_types_follow_each_other(case: Case) -> None:
    begun = (await case.put("Patient", "p")).last_updated
    for label in "abc":
        await case.put("Practitioner", label)
        await case.put("Patient", label)
    query = HistoryQuery(None, since=begun, count=2)

    pages = [await case.store.history(query)]
    while pages[-1].cursor is not None:
        pages.append(await case.store.history(replace(query, cursor=pages[-1].cursor)))

    shown = [entry for page in pages for entry in page.entries if entry.id.startswith(case.name)]
    ours = [f"{entry.type}/{entry.id.removeprefix(case.name)}" for entry in shown]
    assert ours == [f"{kind}/-{label}" for label in "cba" for kind in ("Patient", "Practitioner")] + ["Patient/-p"]


@pytest.mark.parametrize("scope", ["instance", "type", "all"])
async def test_a_time_shows_what_was_current_in_it(case: Case, scope: str) -> None:
    """The versions written in it, and those that stood when it began; neither a deletion nor what had been replaced."""
    gone = await case.put("Patient", "gone")
    await case.delete(gone.ref)
    other = await case.put("Patient", "other")
    written = await versions(case)
    type_, id_ = (None if scope == "all" else "Patient"), (written[0].id if scope == "instance" else None)
    between = (written[1].last_updated + timedelta(milliseconds=1), written[3].last_updated)

    query = HistoryQuery(type_, id_, since=gone.last_updated, at=between, count=500)

    page = await case.store.history(query)
    exactly = await case.store.history(replace(query, at=(written[2].last_updated, written[3].last_updated)))

    def ours(entries: Sequence[StoredResource]) -> list[tuple[str, str]]:
        return [(entry.id, entry.version) for entry in entries if entry.ref in (gone.ref, other.ref, written[0].ref)]

    others = [] if scope == "instance" else [(other.id, "1")]
    assert ours(page.entries) == [(written[2].id, "3"), (written[1].id, "2"), *others]
    assert ours(exactly.entries) == [(written[2].id, "3"), *others]


async def test_the_first_version_was_created_and_the_later_ones_are_updates(case: Case) -> None:
    patient = await case.put("Patient", "p", gender="female")
    await case.put("Patient", "p", gender="male")
    await case.delete(patient.ref)

    page = await case.store.history(HistoryQuery("Patient", patient.id))

    assert [entry.change or "deleted" for entry in page.entries] == ["deleted", "updated", "created"]
