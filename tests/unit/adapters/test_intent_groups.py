"""Commits that share a transaction of HAPI: each has its own outcome, and what may have been written is not repeated."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import pytest

from fhir_facade.adapters.intent_groups import MOST, MOST_BYTES, Groups
from fhir_facade.adapters.intents import REFUSALS
from fhir_facade.errors import DanglingReference, FacadeError, PreconditionFailed, Unavailable
from fhir_facade.ports import Commit, Committed
from fhir_facade.rows import RowChange
from fhir_facade.values import Ref, StoredResource, Write

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def put(number: int, body: bytes = b"good") -> Commit:
    return [Write("put", Ref("Patient", f"p{number}"), body)], []


def deletion(number: int) -> Commit:
    return [Write("delete", Ref("Patient", f"p{number}"))], []


class Hapi:
    """Refuses a transaction with a `bad` body in it, and is gone for one with a `lost` body. Keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []

    async def commit(self, writes: Sequence[Write], rows: Sequence[RowChange]) -> Sequence[StoredResource]:
        self.asked.append([write.ref.id for write in writes])
        bodies = [write.body for write in writes]
        if b"lost" in bodies:
            raise Unavailable("HAPI did not answer")
        if b"bad" in bodies:
            raise PreconditionFailed("not that version")
        if b"Organization/none" in bodies:
            raise DanglingReference("Resource Organization/none not found, specified in path: Patient.x.")
        return [StoredResource("Patient", write.ref.id, "1", NOW, write.body) for write in writes]


def told(found: Sequence[Committed]) -> list[str]:
    return [str(each.status) if isinstance(each, FacadeError) else " ".join(one.id for one in each) for each in found]


async def committed(hapi: Hapi, commits: Sequence[Commit]) -> list[str]:
    return told(await Groups(hapi.commit, REFUSALS).commit_each(commits))


async def test_neighbours_share_a_transaction_and_get_what_is_theirs() -> None:
    hapi = Hapi()
    two = [*put(100)[0], *put(101)[0]], []

    assert await committed(hapi, [put(0), two, put(1)]) == ["p0", "p100 p101", "p1"]
    assert hapi.asked == [["p0", "p100", "p101", "p1"]]


@pytest.mark.parametrize("bad", [{0}, {7}, {3, 15}, set(range(MOST))], ids=["the first", "one", "two", "all"])
async def test_who_is_refused_is_refused_alone(bad: set[int]) -> None:
    hapi = Hapi()

    found = await committed(hapi, [put(number, b"bad" if number in bad else b"good") for number in range(MOST)])

    assert found == ["412" if number in bad else f"p{number}" for number in range(MOST)]
    written = [id_ for asked in hapi.asked for id_ in asked if not {int(each[1:]) for each in asked} & bad]
    assert sorted(written) == sorted(f"p{number}" for number in range(MOST) if number not in bad)


async def test_of_whom_the_refusal_speaks_goes_alone_and_the_others_together_again() -> None:
    hapi = Hapi()

    found = await committed(
        hapi, [put(number, b"Organization/none" if number in (3, 9) else b"good") for number in range(12)]
    )

    assert found == ["400" if number in (3, 9) else f"p{number}" for number in range(12)]
    assert sorted(map(len, hapi.asked)) == [1, 1, 10, 12]


async def test_what_may_have_been_written_is_not_tried_again() -> None:
    hapi = Hapi()

    found = await Groups(hapi.commit, REFUSALS).commit_each([put(0), put(1, b"lost"), put(2)])

    assert told(found) == ["503"] * 3
    assert len({id(each) for each in found}) == 3
    assert len(hapi.asked) == 1


async def test_no_resource_is_in_a_transaction_twice_and_what_deletes_goes_alone() -> None:
    hapi = Hapi()

    found = await committed(hapi, [put(0), put(1), put(0), deletion(2), ([], []), put(3)])

    assert found == ["p0", "p1", "p0", "p2", "", "p3"]
    assert sorted(hapi.asked) == sorted([["p0", "p1"], ["p0"], ["p2"], [], ["p3"]])


async def test_a_transaction_is_neither_long_nor_large() -> None:
    hapi = Hapi()

    await committed(hapi, [put(number) for number in range(MOST + 1)])
    await committed(hapi, [put(number, bytes(MOST_BYTES // 2)) for number in range(3)])

    assert [len(asked) for asked in hapi.asked] == [MOST, 1, 2, 1]


async def test_transactions_get_smaller_while_something_is_refused_and_grow_again() -> None:
    hapi = Hapi()
    groups = Groups(hapi.commit, REFUSALS)
    await groups.commit_each([put(0, b"bad"), put(1)])
    hapi.asked.clear()

    await groups.commit_each([put(number) for number in range(MOST)])
    smaller = [len(asked) for asked in hapi.asked]
    for _ in range(MOST):
        await groups.commit_each([put(0), put(1)])
    hapi.asked.clear()
    await groups.commit_each([put(number) for number in range(MOST)])

    assert smaller == [MOST // 2, MOST // 2]
    assert [len(asked) for asked in hapi.asked] == [MOST]


async def test_every_transaction_has_at_most_so_many_bytes_and_not_fewer_for_what_went_alone() -> None:
    hapi, body = Hapi(), b"x" * (MOST_BYTES * 2 // 5)

    await committed(hapi, [deletion(9), *(put(number, body) for number in range(5))])

    assert [len(asked) for asked in hapi.asked] == [1, 2, 2, 1]
