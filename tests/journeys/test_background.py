"""What a serving process does unasked: due syncs, under leases that any process can take over."""

from __future__ import annotations

import asyncio
import json
import logging
from dataclasses import replace
from datetime import timedelta

import pytest

from fhir_facade.adapters.locks import FileLocks
from fhir_facade.errors import Unavailable
from fhir_facade.flows.background import LEASE, RunningSyncs, again_and_again, alongside, background, sync_due
from fhir_facade.flows.sync import AGAIN_AFTER, EVERY, pause
from fhir_facade.interactions.naming import ALL, marked
from fhir_facade.rows import Append, Remove
from fhir_facade.rows.access import NamingType
from fhir_facade.rows.accounts import Session
from fhir_facade.rows.connections import Connection
from fhir_facade.values import Ref, Write
from tests.patience import PATIENCE_S
from tests.wearables import ALEX, SAM


async def _connection(world, connection):
    return await world.ports.state.read(lambda tx: tx.get(Connection, connection.id))


async def _sync_due(world, **options):
    """As a process of its own does it."""
    return await sync_due(world.ports, RunningSyncs(world.ports), **options)


async def _change(world, connection, **values):
    await world.ports.state.write(lambda tx: tx.change(Connection, [("id", "=", connection.id)], **values))


async def _incomplete(world):
    """A connection that cannot be synchronised, and yet is due."""
    row = Connection(
        id="c1",
        patient="p1",
        vendor="google-health",
        state="pending",
        created_at=world.clock.now(),
        due_at=world.clock.now(),
    )
    await world.ports.state.write(lambda tx: tx.apply(Append(row)))
    return row


async def test_a_sync_that_cannot_be_done_is_pushed_back_further_each_time(world, caplog):
    row = await _incomplete(world)
    waits = []
    for _ in range(3):
        assert await _sync_due(world) == 1
        now = await _connection(world, row)
        waits.append(now.due_at - world.clock.now())
        world.clock.forward(hours=1)

    assert now.leased_until is None
    assert now.failures == 3
    assert [round(wait / AGAIN_AFTER) for wait in waits] == [1, 2, 4]
    assert {record.msg for record in caplog.records if record.name.endswith("background")} == {"sync.failed"}
    assert "p1" not in caplog.text


@pytest.mark.parametrize(
    ("failures", "wait"),
    [
        (0, EVERY),
        (1, timedelta(minutes=1)),
        (2, timedelta(minutes=2)),
        (9, timedelta(minutes=256)),
        (10, EVERY),
        (999, EVERY),
    ],
)
def test_the_pause_doubles_up_to_the_usual_one(failures, wait):
    assert pause(failures) == wait


async def test_a_vendor_that_is_down_is_asked_again_soon(world):
    connection = await world.connect()
    await world.fault(kind="server-error", times=-1)

    await _sync_due(world)

    row = await _connection(world, connection)
    assert (row.state, row.failures) == ("error", 1)
    assert row.due_at - world.clock.now() <= AGAIN_AFTER


async def test_what_is_leased_by_another_process_waits_until_the_lease_ends(world):
    connection = await world.connect()
    await _change(world, connection, leased_until=world.clock.now() + LEASE)

    early = await _sync_due(world)
    world.clock.forward(seconds=LEASE.total_seconds() + 1)
    late = await _sync_due(world)

    assert (early, late) == (0, 1)
    assert (await _connection(world, connection)).leased_until is None


async def test_two_processes_share_what_is_due(world):
    first, second = await world.connect("p1", ALEX), await world.connect("p2", SAM)

    done = await asyncio.gather(_sync_due(world, at_once=1), _sync_due(world, at_once=1))

    assert sum(done) == 2
    for connection in (first, second):
        row = await _connection(world, connection)
        assert row.last_sync_at is not None
        assert row.due_at > world.clock.now()


# --- the same connection in two processes ---------------------------------------------------------------------


@pytest.fixture
def other_process(world, tmp_path):
    """A process that finds a lock too busy very soon."""
    locks = FileLocks(tmp_path / "facade.locks", wait_s=0.01)
    yield RunningSyncs(replace(world.ports, locks=locks))
    locks.close()


async def test_who_asks_while_another_process_syncs_gets_its_report(world, other_process):
    connection = await world.connect()
    first = asyncio.create_task(RunningSyncs(world.ports).wait_for(connection.id, wait_s=PATIENCE_S))
    await _begun(world)

    second = await other_process.wait_for(connection.id, wait_s=PATIENCE_S)

    assert second == await first
    assert second.metrics["steps"].created > 0


async def test_who_asks_for_everything_is_not_told_of_less(world, other_process):
    connection = await world.connect()
    first = asyncio.create_task(RunningSyncs(world.ports).wait_for(connection.id, wait_s=PATIENCE_S))
    await _begun(world)

    second = await other_process.wait_for(connection.id, full=True, wait_s=PATIENCE_S)

    created = (await first).metrics["steps"].created
    assert (second.metrics["steps"].created, second.metrics["steps"].unchanged) == (0, created)


async def test_who_waits_for_a_process_that_dies_syncs_instead(world, other_process):
    connection = await world.connect()
    async with world.ports.locks.hold(f"sync|{connection.id}"):
        assert await other_process.wait_for(connection.id, wait_s=0.1) is None

    report = await other_process.wait_for(connection.id, wait_s=PATIENCE_S)

    assert report.metrics["steps"].created > 0


async def _begun(world):
    while not await world.asked():
        pass


async def test_nothing_is_due_right_after_a_sync(world):
    await world.connect()

    assert [await _sync_due(world) for _ in range(2)] == [1, 0]


async def test_a_serving_process_syncs_and_sweeps_unasked(world):
    connection = await world.connect()
    long_ago = world.clock.now() - timedelta(days=3)
    stale = Session(hash="h", account_id="a", created_at=long_ago, seen_at=long_ago, expires_at=long_ago)
    await world.ports.state.write(lambda tx: tx.apply(Append(stale)))

    async with background(world.ports, RunningSyncs(world.ports)), asyncio.timeout(PATIENCE_S):
        position = world.ports.streams.position("event")
        while (await _connection(world, connection)).last_sync_at is None:
            await world.ports.streams.wait("event", timeout_s=1, after=position)

    assert await world.observations()
    assert await world.ports.state.read(lambda tx: tx.get(Session, "h")) is None


@pytest.mark.parametrize("error", [Unavailable("Anna Smith is away"), ValueError("defect")], ids=["expected", "defect"])
async def test_a_round_that_fails_is_logged_and_not_the_last(error, caplog):
    rounds, enough = 0, asyncio.Event()

    async def work() -> None:
        nonlocal rounds
        rounds += 1
        if rounds == 1:
            raise error
        enough.set()

    with caplog.at_level(logging.WARNING):
        async with alongside(again_and_again("test", 0, work)), asyncio.timeout(PATIENCE_S):
            await enough.wait()

    (record,) = [each for each in caplog.records if each.name.endswith("alongside")]
    assert record.work == "test"
    assert "Anna" not in caplog.text


async def test_a_serving_process_looks_through_what_was_written_before_names_were_noted(world):
    ports, body = world.ports, {"resourceType": "Location", "id": "w", "extension": [{"url": "http://x.example/w"}]}
    body["extension"][0]["valueReference"] = {"reference": "Patient/p1"}
    await ports.store.write([Write("put", Ref("Location", "w"), json.dumps(body).encode(), body)])
    await ports.state.write(lambda tx: tx.apply(Remove(NamingType, (ALL,))))

    async with background(ports, RunningSyncs(ports)), asyncio.timeout(PATIENCE_S):
        while ALL not in await ports.state.present(NamingType, (ALL,)):
            await asyncio.sleep(0.01)

    assert await marked(ports, ("Location", "Organization")) == {"Location"}
