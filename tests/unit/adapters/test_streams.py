"""Nobody who waits for news misses it, sleeps too long or leaves something behind."""

import asyncio
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fhir_facade.adapters import streams as module
from fhir_facade.adapters.sqlite_file import SqliteFile
from fhir_facade.adapters.state.sqlite import SqliteState
from fhir_facade.adapters.streams import PolledStreams, ProcessStreams
from fhir_facade.rows.events import Event
from tests.patience import PATIENCE_S

LONG = 10 * PATIENCE_S


async def returns_soon(waiting):
    await asyncio.wait_for(waiting, PATIENCE_S)


async def test_without_news_the_timeout_ends_the_wait():
    streams = ProcessStreams()

    await returns_soon(streams.wait("alert", timeout_s=0.01))
    await returns_soon(streams.wait("alert", timeout_s=0))


async def test_all_who_wait_for_a_topic_wake_and_nobody_else():
    streams = ProcessStreams()
    alerts = [asyncio.create_task(streams.wait("alert", timeout_s=LONG)) for _ in range(3)]
    sync = asyncio.create_task(streams.wait("sync", timeout_s=LONG))
    await asyncio.sleep(0)

    streams.announce("alert")

    await returns_soon(asyncio.gather(*alerts))
    assert not sync.done()
    streams.announce("sync")
    await returns_soon(sync)


async def test_news_between_the_position_and_the_wait_is_not_missed():
    streams = ProcessStreams()
    position = streams.position("alert")
    streams.announce("alert")

    await returns_soon(streams.wait("alert", timeout_s=LONG, after=position))


async def test_news_before_the_position_does_not_wake():
    streams = ProcessStreams()
    streams.announce("alert")
    waiting = asyncio.create_task(streams.wait("alert", timeout_s=LONG, after=streams.position("alert")))
    streams.announce("sync")
    for _ in range(3):
        await asyncio.sleep(0)

    assert not waiting.done()
    streams.announce("alert")
    await returns_soon(waiting)


async def test_a_listener_that_went_away_leaves_nothing_behind():
    streams = ProcessStreams()
    waiting = asyncio.create_task(streams.wait("alert", timeout_s=LONG))
    await asyncio.sleep(0)
    waiting.cancel()
    with suppress(asyncio.CancelledError):
        await waiting

    streams.announce("alert")

    assert not streams._waiting


async def test_more_topics_than_are_remembered_wake_rather_too_many_than_too_few():
    streams = ProcessStreams()
    position = streams.position("first")
    for number in range(module.MAX_TOPICS + 1):
        streams.announce(f"patient-{number}")

    await returns_soon(streams.wait("first", timeout_s=LONG, after=position))
    assert len(streams._last) <= module.MAX_TOPICS


@settings(max_examples=40, deadline=None)
@given(pauses=st.lists(st.integers(0, 3), min_size=1, max_size=30))
async def test_a_listener_reads_every_row_whatever_the_timing(pauses):
    streams, rows, read = ProcessStreams(), [], []

    async def listen():
        while len(read) < len(pauses):
            position = streams.position("alert")
            await asyncio.sleep(0)
            fresh = rows[len(read) :]
            await asyncio.sleep(0)
            read.extend(fresh)
            if not fresh:
                await streams.wait("alert", timeout_s=LONG, after=position)

    listening = asyncio.create_task(listen())
    for number, pause in enumerate(pauses):
        for _ in range(pause):
            await asyncio.sleep(0)
        rows.append(number)
        streams.announce("alert")

    await returns_soon(listening)
    assert read == rows


@pytest.fixture
async def state(tmp_path):
    file = SqliteFile(tmp_path / "state.sqlite")
    file.open()
    state = SqliteState(file)
    await state.migrate()
    yield state
    file.close()


@asynccontextmanager
async def running(streams):
    task = asyncio.create_task(streams.run())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def event(kind):
    return Event(at=datetime(2026, 1, 1, tzinfo=UTC), topic="alert", kind=kind, patient="p", data="{}")


async def test_a_row_of_another_process_wakes_the_listeners_here(state):
    streams = PolledStreams(state, Event)
    async with running(streams):
        await returns_soon(streams.wait("alert", timeout_s=LONG, after=streams.position("alert")))  # the first look
        position = streams.position("alert")
        await state.append([event("raised")])

        await returns_soon(streams.wait("alert", timeout_s=LONG, after=position))


async def test_our_own_news_do_not_wait_for_the_next_look(state):
    streams = PolledStreams(state, Event)
    waiting = asyncio.create_task(streams.wait("alert", timeout_s=LONG))
    await asyncio.sleep(0)

    streams.announce("alert")

    await returns_soon(waiting)


async def test_the_poller_outlives_a_database_that_is_away(state, caplog):
    class Away:
        def __init__(self):
            self.looks = 0

        async def read(self, work):
            self.looks += 1
            if self.looks == 1:
                return await closed.read(work)
            return await state.read(work)

    closed = SqliteState(SqliteFile(state._file.path.with_name("closed.sqlite")))
    streams = PolledStreams(Away(), Event)
    async with running(streams):
        await returns_soon(streams.wait("alert", timeout_s=LONG, after=streams.position("alert")))  # the failed look
        position = streams.position("alert")
        await state.append([event("raised")])

        await returns_soon(streams.wait("alert", timeout_s=LONG, after=position))

    assert "cannot be looked for" in caplog.text
