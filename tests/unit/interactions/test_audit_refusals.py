"""Refusals of people whom nobody knows: one line in full, then a count, so that a flood of them fills no disk."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from fhir_facade.errors import Unavailable
from fhir_facade.flows.audit_chain import verify
from fhir_facade.flows.audit_erase import Forgotten, forget
from fhir_facade.interactions import audit_refusals
from fhir_facade.interactions.audit_refusals import MOST, WINDOW, close_counts, record_refusal, source_of
from fhir_facade.opening import open_ports
from fhir_facade.ports import Ports
from fhir_facade.rows.audit import AuditLine, RefusalCount
from tests.facade import Facade, embedded_facade

NOON = datetime(2024, 3, 10, 12, tzinfo=UTC)


class MovedClock:
    def __init__(self) -> None:
        self.moment = NOON

    def now(self) -> datetime:
        return self.moment

    def move(self, by: timedelta) -> None:
        self.moment += by


@pytest.fixture(scope="module")
def unused(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a deployment without anything in it, to be copied."""
    folder = tmp_path_factory.mktemp("unused")

    async def make() -> None:
        async with embedded_facade(folder):
            pass

    asyncio.run(make())
    return folder


@pytest.fixture
def clock() -> MovedClock:
    return MovedClock()


@pytest.fixture
async def facade(tmp_path: Path, unused: Path) -> AsyncIterator[Facade]:
    async with embedded_facade(shutil.copytree(unused, tmp_path / "data")) as opened:
        yield opened


@pytest.fixture
def ports(facade: Facade, clock: MovedClock) -> Ports:
    return replace(facade.ports, clock=clock)


def refused(clock: MovedClock, **elements: Any) -> AuditLine:
    common = {"action": "read", "outcome": "refused", "actor": "anonymous", "detail": "401 login"}
    return AuditLine(**{"at": clock.now(), "address": "192.0.2.7", "request_id": "first", **common, **elements})


async def lines(ports: Ports) -> list[AuditLine]:
    return await ports.state.read(lambda tx: tx.find(AuditLine, order=("id",)))


async def counts(ports: Ports) -> list[RefusalCount]:
    return await ports.state.read(lambda tx: tx.find(RefusalCount))


async def test_nothing_is_refused_unrecorded_when_the_record_cannot_be_written(
    facade: Facade, ports: Ports, clock: MovedClock
) -> None:
    with sqlite3.connect(facade.settings.data_file) as file:
        file.execute("ALTER TABLE refusal_count RENAME TO elsewhere")
    file.close()
    lenient = replace(ports, deployment=replace(ports.deployment, audit_required=False))

    with pytest.raises(Unavailable, match="nothing is answered"):
        await record_refusal(ports, refused(clock))
    await record_refusal(lenient, refused(clock))

    assert not await lines(ports)


async def test_the_first_has_a_line_in_full_and_the_others_are_counted(ports: Ports, clock: MovedClock) -> None:
    for number in range(5):
        await record_refusal(ports, refused(clock, request_id=f"request-{number}", entity=f"Patient/{number}"))
        clock.move(timedelta(seconds=1))

    (line,), (count,) = await lines(ports), await counts(ports)
    assert (line.request_id, line.entity, line.detail) == ("request-0", "Patient/0", "401 login")
    assert (count.more, count.since, count.last) == (4, NOON, NOON + timedelta(seconds=4))


async def test_a_line_tells_the_count_when_the_while_is_over(ports: Ports, clock: MovedClock) -> None:
    await asyncio.gather(*(record_refusal(ports, refused(clock, user="account-1", client="app")) for _ in range(40)))
    assert await close_counts(ports) == 0
    clock.move(WINDOW)

    assert await close_counts(ports) == 1

    first, told = await lines(ports)
    assert told.detail == "401 login: 39 more from 2024-03-10T12:00:00Z to 2024-03-10T12:00:00Z"
    assert (told.at, told.address, told.request_id) == (clock.now(), "192.0.2.7", "")
    same = ("action", "outcome", "actor", "user", "client")
    assert all(getattr(told, name) == getattr(first, name) for name in same)
    assert not await counts(ports)


async def test_who_goes_on_after_the_while_has_a_line_in_full_again(ports: Ports, clock: MovedClock) -> None:
    await record_refusal(ports, refused(clock))
    await record_refusal(ports, refused(clock))
    clock.move(WINDOW)
    await record_refusal(ports, refused(clock, request_id="later"))

    assert [(line.request_id, (line.detail or "")[:17]) for line in await lines(ports)] == [
        ("first", "401 login"),
        ("", "401 login: 1 more"),
        ("later", "401 login"),
    ]
    assert [count.more for count in await counts(ports)] == [0]


async def test_what_came_once_needs_no_second_line(ports: Ports, clock: MovedClock) -> None:
    await record_refusal(ports, refused(clock))
    clock.move(WINDOW)

    assert await close_counts(ports) == 1
    assert len(await lines(ports)) == 1


@pytest.mark.parametrize(
    "other",
    [
        {"address": "192.0.2.8"},
        {"detail": "wrong name or password"},
        {"user": "account-1"},
        {"client": "app"},
        {"action": "token"},
        {"outcome": "failed"},
    ],
    ids=lambda other: next(iter(other)),
)
async def test_another_kind_has_a_line_of_its_own(ports: Ports, clock: MovedClock, other: dict[str, str]) -> None:
    await record_refusal(ports, refused(clock))
    await record_refusal(ports, refused(clock, **other))

    assert len(await lines(ports)) == 2


@pytest.mark.parametrize("other", [{"entity": "Patient/2"}, {"request_id": "x"}, {"query": "name=x"}])
async def test_the_words_of_who_asks_make_no_new_kind(ports: Ports, clock: MovedClock, other: dict[str, str]) -> None:
    await record_refusal(ports, refused(clock))
    await record_refusal(ports, refused(clock, **other))

    assert len(await lines(ports)) == 1


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        (None, ""),
        ("not an address", "not an address"),
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::", "2001:db8:1:2::/64"),
    ],
)
def test_addresses_of_one_household_are_one_source(address: str | None, expected: str) -> None:
    assert source_of(address) == expected


async def test_a_flood_from_everywhere_has_no_more_lines_than_there_is_room_for(
    ports: Ports, clock: MovedClock
) -> None:
    """Every attempt comes from another address and names another account."""
    sources = [f"10.{number // 250}.{number % 250}.1" for number in range(MOST + 300)]
    flood = [refused(clock, address=address, user=address, client=address) for address in sources]
    for start in range(0, len(flood), 100):
        await asyncio.gather(*(record_refusal(ports, line) for line in flood[start : start + 100]))

    written = await lines(ports)
    rest = [count for count in await counts(ports) if count.address is None]
    assert len(written) == MOST + 1
    assert [(count.more, count.user, count.client) for count in rest] == [(299, None, None)]


async def test_processes_count_together(ports: Ports, facade: Facade, clock: MovedClock) -> None:
    async with open_ports(facade.settings, guest=True) as opened:
        others = replace(opened, clock=clock)
        each = [record_refusal(part, refused(clock)) for part in (ports, others) for _ in range(50)]
        await asyncio.gather(*each)

    assert len(await lines(ports)) == 1
    assert [count.more for count in await counts(ports)] == [99]


async def test_who_is_erased_is_in_no_count(ports: Ports, clock: MovedClock) -> None:
    for _ in range(3):
        await record_refusal(ports, refused(clock, user="account-1", detail="wrong name or password"))
        await record_refusal(ports, refused(clock, user="account-2", detail="wrong name or password"))

    await forget(ports, Forgotten("anna", (), ("account-1",)))

    assert {line.user for line in await lines(ports)} == {None, "account-2"}
    assert [count.user for count in await counts(ports)] == ["account-2"]
    assert not (await verify(ports)).problems


async def test_counts_are_closed_some_at_a_time(ports: Ports, clock: MovedClock) -> None:
    sources = [f"192.0.{number // 250}.{number % 250}" for number in range(audit_refusals.AT_ONCE + 1)]
    await asyncio.gather(*(record_refusal(ports, refused(clock, address=address)) for address in sources))
    clock.move(WINDOW)

    assert await close_counts(ports) == audit_refusals.AT_ONCE + 1
