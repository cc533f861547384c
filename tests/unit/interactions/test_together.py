"""What the entries of a batch write at about the same time is handed to the store in one go."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime

import pytest

from fhir_facade.errors import Conflict, Unavailable
from fhir_facade.interactions.together import Together
from fhir_facade.ports import Commit, Committed
from fhir_facade.rows import RowChange
from fhir_facade.values import Ref, StoredResource, Write

NOW = datetime(2026, 1, 1, tzinfo=UTC)
MOST = 3


class Store:
    """Refuses what is called `refused`; fails when something is called `lost`. Keeps what it was handed at once."""

    def __init__(self) -> None:
        self.handed: list[list[str]] = []
        self.open = asyncio.Event()
        self.open.set()

    async def commit(self, writes: Sequence[Write], rows: Sequence[RowChange]) -> Sequence[StoredResource]:
        raise NotImplementedError

    async def commit_each(self, commits: Sequence[Commit]) -> Sequence[Committed]:
        self.handed.append([write.ref.id for writes, _ in commits for write in writes])
        await self.open.wait()
        if "lost" in self.handed[-1]:
            raise Unavailable("gone")
        return [self._one(writes) for writes, _ in commits]

    def _one(self, writes: Sequence[Write]) -> Committed:
        if writes[0].ref.id == "refused":
            return Conflict("not now")
        return [StoredResource("Patient", write.ref.id, "1", NOW, b"") for write in writes]


async def committed(together: Together, id_: str) -> str:
    (stored,) = await together.commit([Write("put", Ref("Patient", id_))], [])
    return stored.id


async def test_those_who_come_in_neighbouring_turns_go_together_and_each_gets_its_own() -> None:
    store = Store()
    together = Together(store, 10)
    tasks = []
    for id_ in ("a", "refused", "b"):
        tasks.append(asyncio.create_task(committed(together, id_)))
        await asyncio.sleep(0)

    found = await asyncio.gather(*tasks, return_exceptions=True)

    assert [str(each) for each in found] == ["a", "not now", "b"]
    assert store.handed == [["a", "refused", "b"]]


async def test_nobody_waits_for_more_than_may_come_nor_for_those_before() -> None:
    store = Store()
    together = Together(store, MOST)
    store.open.clear()
    first = [asyncio.create_task(committed(together, str(number))) for number in range(MOST)]
    while not store.handed:
        await asyncio.sleep(0)
    second = asyncio.create_task(committed(together, "late"))
    while len(store.handed) < 2:
        await asyncio.sleep(0)
    store.open.set()

    assert await asyncio.gather(*first, second) == ["0", "1", "2", "late"]


async def test_a_failure_of_the_store_reaches_all_whom_it_concerns() -> None:
    together = Together(Store(), MOST)

    found = await asyncio.gather(committed(together, "a"), committed(together, "lost"), return_exceptions=True)

    assert [type(each) for each in found] == [Unavailable, Unavailable]
    assert await committed(together, "b") == "b"


async def test_who_does_not_wait_any_more_is_not_written_and_disturbs_nobody() -> None:
    store = Store()
    together = Together(store, MOST)
    gone, stays = (asyncio.create_task(committed(together, id_)) for id_ in ("gone", "stays"))
    await asyncio.sleep(0)
    gone.cancel()

    assert await stays == "stays"
    assert store.handed == [["stays"]]
    with pytest.raises(asyncio.CancelledError):
        await gone
    assert list(await together.commit_each([])) == []
