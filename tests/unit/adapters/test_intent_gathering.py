"""Writers who wait at the same time go together; each gets what it would have got alone."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime

import pytest

from fhir_facade.adapters.intent_gathering import AT_ONCE, Gathering
from fhir_facade.errors import DanglingReference, FacadeError
from fhir_facade.ports import Commit, Committed
from fhir_facade.rows import RowChange
from fhir_facade.values import Ref, StoredResource, Write

NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Store:
    """Answers when it is told to. Refuses a `bad` body; one that is `broken` is a defect."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []
        self.open = asyncio.Event()

    async def one(self, writes: Sequence[Write], rows: Sequence[RowChange]) -> Sequence[StoredResource]:
        (answer,) = await self.each([(writes, rows)])
        if isinstance(answer, FacadeError):
            raise answer
        return answer

    async def each(self, commits: Sequence[Commit]) -> list[Committed]:
        self.asked.append([write.ref.id for writes, _ in commits for write in writes])
        await self.open.wait()
        return [self._answer(writes) for writes, _ in commits]

    def _answer(self, writes: Sequence[Write]) -> Committed:
        (write,) = writes
        if write.body == b"broken":
            raise ZeroDivisionError
        if write.body == b"bad":
            return DanglingReference("to nothing")
        return [StoredResource("Patient", write.ref.id, "1", NOW, write.body)]


class Clinic:
    """Callers of one gathering, numbered as they come."""

    def __init__(self) -> None:
        self.store = Store()
        self.gathering = Gathering(self.store.one, self.store.each)
        self.callers: list[asyncio.Task[Sequence[StoredResource]]] = []

    async def come(self, *bodies: bytes) -> None:
        for body in bodies:
            write = Write("put", Ref("Patient", str(len(self.callers))), body)
            self.callers.append(asyncio.create_task(self._commit(write)))
        await asyncio.sleep(0)

    async def _commit(self, write: Write) -> Sequence[StoredResource]:
        return await self.gathering.commit([write], [])

    async def answered(self) -> list[str]:
        self.store.open.set()
        found = await asyncio.gather(*self.callers, return_exceptions=True)
        return [type(each).__name__ if isinstance(each, BaseException) else each[0].id for each in found]


@pytest.fixture
async def clinic() -> Clinic:
    return Clinic()


async def test_one_that_is_refused_is_refused_alone(clinic: Clinic) -> None:
    await clinic.come(*[b"good"] * AT_ONCE)
    await clinic.come(b"good", b"bad", *[b"good"] * AT_ONCE)

    found = await clinic.answered()

    assert found.pop(AT_ONCE + 1) == "DanglingReference"
    assert found == [str(number) for number in range(2 * AT_ONCE + 2) if number != AT_ONCE + 1]


async def test_a_defect_is_told_to_those_who_went_together_and_leaves_the_place_to_others(clinic: Clinic) -> None:
    await clinic.come(*[b"good"] * AT_ONCE)
    await clinic.come(b"broken", *[b"good"] * AT_ONCE)

    found = await clinic.answered()

    assert found[AT_ONCE : AT_ONCE + 2] == ["ZeroDivisionError"] * 2
    assert "ZeroDivisionError" not in found[AT_ONCE + 2 :]


async def test_who_went_away_while_waiting_is_not_written(clinic: Clinic) -> None:
    await clinic.come(*[b"good"] * (AT_ONCE + 2))
    clinic.callers[AT_ONCE].cancel()
    await asyncio.sleep(0)

    found = await clinic.answered()

    assert found[AT_ONCE] == "CancelledError"
    assert [str(AT_ONCE)] not in clinic.store.asked
    assert [str(AT_ONCE + 1)] in clinic.store.asked


async def test_who_goes_away_later_stops_nobody_it_went_with(clinic: Clinic) -> None:
    await clinic.come(*[b"good"] * AT_ONCE)
    await clinic.come(*[b"good"] * 2 * AT_ONCE)
    for first in clinic.callers[:AT_ONCE]:
        first.cancel()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert clinic.store.asked[AT_ONCE] == [str(AT_ONCE), str(AT_ONCE + 1)]
    clinic.callers[AT_ONCE].cancel()

    assert (await clinic.answered())[AT_ONCE:] == ["CancelledError", *map(str, range(AT_ONCE + 1, 3 * AT_ONCE))]


async def test_few_callers_wait_for_nobody(clinic: Clinic) -> None:
    await clinic.come(*[b"good"] * AT_ONCE)

    assert clinic.store.asked == [[str(number)] for number in range(AT_ONCE)]


async def test_many_callers_share_what_few_requests_there_are(clinic: Clinic) -> None:
    await clinic.come(*[b"good"] * 5 * AT_ONCE)

    assert await clinic.answered() == [str(number) for number in range(5 * AT_ONCE)]
    assert len(clinic.store.asked) <= 3 * AT_ONCE
    assert sorted(int(id_) for asked in clinic.store.asked for id_ in asked) == list(range(5 * AT_ONCE))
