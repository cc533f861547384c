"""Which guards there may be is known from rows: never one too few, whatever crashed or was restored."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from fhir_facade.flows.erase import erase_patient
from fhir_facade.interactions.alerts.marks import ALL, compare, mark, possible
from fhir_facade.rows import Put, Remove
from fhir_facade.rows.alerts import GuardMark
from fhir_facade.rules.alerts import guard_id
from tests.facade import embedded_facade
from tests.ward import Ward, admitted

RULE = "heart-rate-very-high"


@pytest.fixture
async def ward(tmp_path: Path) -> AsyncIterator[Ward]:
    async with embedded_facade(tmp_path) as facade:
        yield await admitted(facade)


def guard(ward: Ward) -> str:
    return guard_id(RULE, ward.patient)


async def lose_marks(ward: Ward, *, compared: datetime | None) -> None:
    """As after a restore of rows that are older than the store."""
    changes = [Remove(GuardMark, (guard(ward),)), Remove(GuardMark, (ALL,))]
    again = [] if compared is None else [Put(GuardMark(id=ALL, at=compared))]
    await ward.facade.ports.state.write(lambda tx: tx.apply(*changes, *again))


async def test_a_patient_whose_readings_are_all_good_has_no_guard_to_read(ward: Ward) -> None:
    await ward.post(ward.reading(80))

    assert await possible(ward.facade.ports, [guard(ward)]) == frozenset()


async def test_a_guard_is_marked_with_the_alert_that_makes_it(ward: Ward) -> None:
    await ward.post(ward.reading(140))

    assert await possible(ward.facade.ports, [guard(ward), "other"]) == {guard(ward)}


async def test_a_mark_whose_guard_was_never_written_changes_nothing(ward: Ward) -> None:
    await mark(ward.facade.ports, [guard(ward)])

    await ward.post(ward.reading(80))
    assert await ward.alerts() == []
    await ward.post(ward.reading(140))
    assert len(await ward.alerts()) == 1


async def test_a_patient_who_is_erased_leaves_no_mark(ward: Ward) -> None:
    await ward.post(ward.reading(140))

    await erase_patient(ward.facade.ports, ward.patient)

    assert [row.id for row in await ward.facade.ports.state.read(lambda tx: tx.find(GuardMark))] == [ALL]


async def test_until_the_store_was_compared_every_guard_is_possible(ward: Ward) -> None:
    await lose_marks(ward, compared=None)

    assert await possible(ward.facade.ports, ["some", "other"]) == {"some", "other"}


async def test_an_alert_whose_mark_was_lost_is_not_raised_twice(ward: Ward) -> None:
    await ward.post(ward.reading(140, 2))
    await lose_marks(ward, compared=datetime.now(UTC))

    await ward.post(ward.reading(141, 1))

    (alert,) = await ward.alerts()
    assert alert["observed"] == 141
    assert await possible(ward.facade.ports, [guard(ward)]) == {guard(ward)}


@pytest.mark.parametrize("compared", [None, timedelta(minutes=1)], ids=["never", "before the guard was written"])
async def test_a_comparison_finds_the_guards_without_a_mark(ward: Ward, compared: timedelta | None) -> None:
    await ward.post(ward.reading(140))
    await lose_marks(ward, compared=None if compared is None else datetime.now(UTC) - compared)

    await compare(ward.facade.ports)

    assert await possible(ward.facade.ports, [guard(ward), "other"]) == {guard(ward)}
    await ward.post(ward.reading(80))
    assert await ward.states() == ["cleared-unacked"]


async def test_a_comparison_that_finds_nothing_new_leaves_the_marks_as_they_are(ward: Ward) -> None:
    await ward.post(ward.reading(140))
    state = ward.facade.ports.state
    before = await state.read(lambda tx: tx.get(GuardMark, guard(ward)))

    await compare(ward.facade.ports)

    assert before is not None
    assert await state.read(lambda tx: tx.get(GuardMark, guard(ward))) == before
