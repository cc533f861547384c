"""Writers at the same time: https://hl7.org/fhir/R4/http.html#concurrency."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any

from fhir_facade.errors import Conflict, FacadeError, PreconditionFailed
from fhir_facade.values import Absent, ExpectVersion, StoredResource
from tests.contract.case import Case

RACERS = 8


async def outcomes(attempts: Sequence[Coroutine[Any, Any, Any]]) -> tuple[list[Any], list[BaseException]]:
    found = await asyncio.gather(*attempts, return_exceptions=True)
    failed = [outcome for outcome in found if isinstance(outcome, BaseException)]
    assert all(isinstance(error, FacadeError) for error in failed), failed
    return [outcome for outcome in found if not isinstance(outcome, BaseException)], failed


async def test_of_writers_that_expect_the_same_version_one_wins(case: Case) -> None:
    first = await case.put("Patient", "p")

    won, lost = await outcomes(
        [
            case.put("Patient", "p", multipleBirthInteger=number, precondition=ExpectVersion(first.version))
            for number in range(1, RACERS + 1)
        ]
    )

    assert (len(won), {type(error) for error in lost}) == (1, {PreconditionFailed})
    assert (await case.store.read(first.ref)).version == "2"


async def test_of_writers_that_expect_nothing_to_be_there_one_wins(case: Case) -> None:
    won, lost = await outcomes(
        [
            case.put("Patient", "p", multipleBirthInteger=number, precondition=Absent())
            for number in range(1, RACERS + 1)
        ]
    )

    assert (len(won), {type(error) for error in lost}) == (1, {Conflict})
    assert (await case.store.read(won[0].ref)).body == won[0].body


async def test_writers_without_a_condition_all_succeed(case: Case) -> None:
    won, lost = await outcomes(
        [case.put("Patient", "p", multipleBirthInteger=number) for number in range(1, RACERS + 1)]
    )

    assert lost == []
    assert sorted(int(stored.version) for stored in won) == list(range(1, RACERS + 1))


async def test_of_transactions_that_share_a_guard_one_wins_and_leaves_its_companion(case: Case) -> None:
    """One open alert per patient and rule rests on this."""
    guard = await case.put("Organization", "guard", name="0")

    async def attempt(number: int) -> Sequence[StoredResource]:
        change = case.resource("Organization", "guard", name=str(number))
        companion = case.resource("Patient", f"alert-{number}")
        return await case.store.write(
            [case.put_of(change, precondition=ExpectVersion(guard.version)), case.put_of(companion)]
        )

    won, lost = await outcomes([attempt(number) for number in range(1, RACERS + 1)])

    assert (len(won), {type(error) for error in lost}) == (1, {PreconditionFailed})
    assert await case.labels("Patient") == [won[0][1].id.removeprefix(f"{case.name}-")]


async def test_transactions_on_the_same_resources_in_any_order_all_succeed(case: Case) -> None:
    labels = [f"p{number}" for number in range(6)]

    async def attempt(number: int) -> Sequence[StoredResource]:
        order = labels if number % 2 else list(reversed(labels))
        return await case.store.write(
            [case.put_of(case.resource("Patient", label, multipleBirthInteger=number)) for label in order]
        )

    won, lost = await outcomes([attempt(number) for number in range(1, 5)])

    assert lost == []
    assert {stored.version for transaction in won for stored in transaction} == {"1", "2", "3", "4"}


async def test_a_sync_that_sends_the_same_twice_at_once_writes_once(case: Case) -> None:
    writes = [case.put_of(case.resource("Observation", str(number))) for number in range(10)]

    won, lost = await outcomes([case.store.write(writes) for _ in range(3)])

    assert lost == []
    changes = [stored.change for transaction in won for stored in transaction]
    assert (changes.count("created"), changes.count("unchanged")) == (10, 20)
