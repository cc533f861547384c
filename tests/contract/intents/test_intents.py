"""FHIR writes and rows over two stores: both or neither, whatever crashes, exactly once."""

import asyncio
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest

from fhir_facade.adapters.embedded.store import EmbeddedStore
from fhir_facade.adapters.hapi.session import request_id
from fhir_facade.adapters.intents import LEASE, LOOK_AGAIN, LOOKS, IntentUnit
from fhir_facade.adapters.sqlite_file import SqliteFile
from fhir_facade.adapters.state.postgres import PostgresState
from fhir_facade.adapters.state.sqlite import SqliteState
from fhir_facade.adapters.system_clock import RandomIds
from fhir_facade.errors import Conflict, Gone, NotFound, PreconditionFailed, Unavailable
from fhir_facade.rows import Append, Put, Remove
from fhir_facade.rows.accounts import Account
from fhir_facade.rows.events import Event
from fhir_facade.rows.intents import Intent, IntentKey
from fhir_facade.values import Absent, ExpectVersion, Ref, Write
from tests.facade import unused_file

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
PATIENT = Ref("Patient", "p1")


class Crash(BaseException):
    """The process is gone: no `except Exception` sees it."""


class Hands:
    """Time that the test moves."""

    def __init__(self):
        self.time, self.pace = NOON, timedelta(milliseconds=1)

    def now(self):
        self.time += self.pace
        return self.time

    def pass_by(self, span):
        self.time += span


class SigningStore:
    """The embedded store, which remembers under which request id each version was written, as HAPI does."""

    def __init__(self, store):
        self._store = store
        self._written = set()
        self.read = store.read

    async def write(self, writes):
        stored = await self._store.write(writes)
        self._written |= {(request_id.get(), resource.ref) for resource in stored if resource.change != "unchanged"}
        return stored

    async def happened(self, request, refs):
        return any((request, ref) in self._written for ref in refs)


class Fragile:
    """Passes calls on to a store, and crashes before or after the n-th one."""

    def __init__(self, inner, plan):
        self._inner = inner
        self._plan = plan

    def __getattr__(self, name):
        method = getattr(self._inner, name)

        async def call(*arguments):
            self._plan.step(f"before {name}")
            result = await method(*arguments)
            self._plan.step(f"after {name}")
            return result

        return call


class Plan:
    def __init__(self, crash_at=None, error=Crash):
        self.steps, self._crash_at, self._error = [], crash_at, error

    def step(self, name):
        self.steps.append(name)
        if len(self.steps) - 1 == self._crash_at:
            raise self._error(name)


class World:
    """Both stores, which outlive every process."""

    def __init__(self, store, state, clock):
        self.store, self.state, self.clock = store, state, clock

    def process(self, plan=None):
        plan = plan or Plan()
        store = Fragile(self.store, plan)
        return IntentUnit(store, store, Fragile(self.state, plan), self.clock, RandomIds())

    async def fhir(self, ref=PATIENT):
        try:
            return (await self.store.read(ref)).version
        except (NotFound, Gone):
            return None

    async def rows(self, row):
        return await self.state.read(lambda tx: tx.find(row))

    async def left_over(self):
        return [*await self.rows(Intent), *await self.rows(IntentKey)]


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
async def state(request, tmp_path):
    if request.param == "sqlite":
        file = await unused(tmp_path / "state.sqlite")
        state = SqliteState(file)
        await state.migrate()
        yield state
        file.close()
    else:
        state = PostgresState(request.getfixturevalue("postgres_url"))
        await state.migrate()
        await state.write(lambda tx: tx.apply(*(Remove(type(row), key) for row, key in everything(tx))))
        yield state
        await state.close()


def everything(tx):
    keys = {Intent: ("id",), IntentKey: ("digest",), Account: ("id",), Event: ("id",)}
    return [(row, tuple(getattr(row, name) for name in key)) for kind, key in keys.items() for row in tx.find(kind)]


async def unused(path):
    """A data file with all tables and nothing in them, opened."""
    path.write_bytes(await unused_file())
    file = SqliteFile(path)
    file.open()
    return file


@pytest.fixture
async def world(state, tmp_path):
    clock, fhir = Hands(), await unused(tmp_path / "fhir.sqlite")
    store = EmbeddedStore(fhir, clock)
    store.start()
    yield World(SigningStore(store), state, clock)
    fhir.close()


def put(ref=PATIENT, gender="female", precondition=None):
    resource = {"resourceType": ref.type, "id": ref.id, "gender": gender}
    body = f'{{"resourceType":"{ref.type}","id":"{ref.id}","gender":"{gender}"}}'.encode()
    return Write("put", ref, body, resource, precondition)


def event(kind="raised"):
    return Event(at=NOON, topic="alert", kind=kind, patient="p1", data="{}")


def account(id="a1", name="ann", **fields):
    return Account(
        id=id, username=name, username_key=name, role="patient", password_hash="x", created_at=NOON, **fields
    )


ROWS = (Append(event()), Put(account()))

# --- refusals ------------------------------------------------------------------------------------------------


async def test_a_refused_write_applies_no_row_and_leaves_no_intent(world):
    with pytest.raises(PreconditionFailed):
        await world.process().commit([put(precondition=ExpectVersion("7"))], ROWS)

    assert await world.fhir() is None
    assert await world.rows(Event) == []
    assert await world.left_over() == []


@pytest.mark.parametrize(
    "row",
    [Append(account("a1", "other")), Append(account("a2", "ann")), Put(account("a2", "ann"))],
    ids=["key", "unique", "unique by put"],
)
async def test_rows_that_cannot_be_applied_are_refused_before_anything_is_written(world, row):
    await world.state.append([account()])

    with pytest.raises(Conflict):
        await world.process().commit([put()], [Append(event()), row])

    assert await world.fhir() is None
    assert await world.rows(Event) == []
    assert await world.left_over() == []


async def test_of_two_writers_of_one_user_name_only_one_writes_its_patient(world):
    units = [world.process(), world.process()]
    patients = [Ref("Patient", "p1"), Ref("Patient", "p2")]

    results = await asyncio.gather(
        *(
            unit.commit([put(patient)], [Append(account(patient.id, "ann", patient_id=patient.id))])
            for unit, patient in zip(units, patients, strict=True)
        ),
        return_exceptions=True,
    )

    (row,) = await world.rows(Account)
    assert sorted(type(result) for result in results if isinstance(result, Exception)) == [Conflict]
    assert [await world.fhir(patient) for patient in patients].count("1") == 1
    assert await world.fhir(Ref("Patient", row.patient_id)) == "1"
    assert await world.left_over() == []


@pytest.mark.parametrize("row", [Append(account("a2", "ann")), Put(account("a2", "ann"))], ids=["append", "put"])
async def test_what_an_open_intent_will_take_is_not_given_to_rows_without_resources_either(world, row):
    """Its resource may be written already: without the name it would stay alone."""
    with pytest.raises(Crash):
        await world.process(Plan(3)).commit([put()], ROWS)

    with pytest.raises(Conflict, match="not finished yet"):
        await world.process().commit([], [row])

    await settle_everything(world)
    assert await both_or_neither(world)


async def test_rows_that_became_impossible_after_the_write_are_kept_for_a_person(world, caplog):
    class Rival(SigningStore):
        async def write(self, writes):
            await world.state.append([account("a9", "ann")])
            return await super().write(writes)

    rival = Rival(world.store._store)
    unit = IntentUnit(rival, rival, world.state, world.clock, RandomIds())

    with pytest.raises(Conflict):
        await unit.commit([put()], [Append(account("a1", "ann"))])

    world.clock.pass_by(timedelta(hours=1))
    assert await unit.settle() == 0
    (intent,) = await world.rows(Intent)
    assert "exists already" in intent.refused
    assert intent.id in caplog.text


# --- the ordinary way ----------------------------------------------------------------------------------------


async def test_resources_and_rows_are_written_together(world):
    stored = await world.process().commit([put()], ROWS)

    assert [resource.change for resource in stored] == ["created"]
    assert [row.kind for row in await world.rows(Event)] == ["raised"]
    assert await world.rows(Account) == [account()]
    assert await world.left_over() == []


async def test_without_rows_no_intent_is_needed(world):
    plan = Plan()

    await world.process(plan).commit([put()], [])

    assert plan.steps == ["before write", "after write"]
    assert await world.fhir() == "1"


async def test_without_resources_no_intent_is_needed(world):
    plan = Plan()

    assert await world.process(plan).commit([], ROWS) == []

    assert plan.steps == ["before write", "after write"]
    assert len(await world.rows(Event)) == 1


async def test_a_value_that_the_same_unit_frees_can_be_taken(world):
    await world.state.append([account("a1", "ann")])

    await world.process().commit([put()], [Remove(Account, ("a1",)), Append(account("a2", "ann"))])

    assert await world.rows(Account) == [account("a2", "ann")]


async def test_a_slow_writer_keeps_its_intent(world):
    entered, go_on = asyncio.Event(), asyncio.Event()

    class Slow(SigningStore):
        async def write(self, writes):
            entered.set()
            await go_on.wait()
            return await super().write(writes)

    slow = Slow(world.store._store)
    committing = asyncio.create_task(
        IntentUnit(slow, slow, world.state, world.clock, RandomIds(), renew_s=0.01).commit([put()], ROWS)
    )
    await entered.wait()
    world.clock.pass_by(LEASE)
    before = (await world.rows(Intent))[0].due_at
    while (await world.rows(Intent))[0].due_at == before:
        await asyncio.sleep(0.01)

    assert await world.process().settle() == 0
    go_on.set()
    await committing
    assert len(await world.rows(Event)) == 1
    assert await world.left_over() == []


# --- crashes -------------------------------------------------------------------------------------------------

ROWS_OF_ALL = ("before write_shared", "after write_shared")
COMMIT = (*ROWS_OF_ALL, "before write", "after write", *ROWS_OF_ALL)  # the intent, the resources, the rows
SETTLE = ("before read", "after read", "before write", "after write", "before happened", "after happened")


async def settle_everything(world):
    """What the processes of the next minutes do."""
    for _ in range(LOOKS + 2):
        world.clock.pass_by(max(LEASE, LOOK_AGAIN))
        await world.process().settle()


async def both_or_neither(world):
    happened = await world.fhir() == "1"
    assert len(await world.rows(Event)) == happened
    assert len(await world.rows(Account)) == happened
    assert await world.left_over() == []
    return happened


async def test_the_steps_of_a_commit_are_those_that_the_tests_break(world):
    plan = Plan()

    await world.process(plan).commit([put()], ROWS)

    assert tuple(plan.steps) == COMMIT


@pytest.mark.parametrize("error", [Crash, Unavailable, asyncio.CancelledError])
@pytest.mark.parametrize("step", range(len(COMMIT)), ids=[f"{at} {name}" for at, name in enumerate(COMMIT)])
async def test_a_commit_that_breaks_at_any_step_is_settled_as_both_or_neither(world, step, error):
    with pytest.raises(error):
        await world.process(Plan(step, error)).commit([put()], ROWS)

    await settle_everything(world)

    assert await both_or_neither(world) == (step >= 3)


@pytest.mark.parametrize("error", [Crash, Unavailable])
@pytest.mark.parametrize("broken", [2, 3], ids=["nothing written", "written"])
@pytest.mark.parametrize("step", range(len(SETTLE) + 2))
async def test_settling_may_break_at_any_step_too(world, step, broken, error):
    with pytest.raises(Crash):
        await world.process(Plan(broken)).commit([put()], ROWS)
    world.clock.pass_by(LEASE)

    plan = Plan(step, error)
    with suppress(error):
        await world.process(plan).settle()
    assert tuple(plan.steps) == (*SETTLE, "before write", "after write")[: step + 1]
    await settle_everything(world)

    assert await both_or_neither(world) == (broken == 3)


async def test_two_processes_that_settle_at_once_apply_the_rows_once(world):
    for number in range(5):
        with pytest.raises(Crash):
            await world.process(Plan(3)).commit([put(Ref("Patient", f"p{number}"))], [Append(event(str(number)))])
    world.clock.pass_by(LEASE)

    settled = await asyncio.gather(world.process().settle(), world.process().settle())

    assert sum(settled) == 5
    assert sorted(row.kind for row in await world.rows(Event)) == list("01234")
    assert await world.left_over() == []


async def test_nobody_settles_for_a_writer_that_may_be_alive(world):
    with pytest.raises(Crash):
        await world.process(Plan(3)).commit([put()], ROWS)
    world.clock.pass_by(LEASE / 2)

    assert await world.process().settle() == 0
    assert await world.rows(Event) == []


async def test_a_write_that_the_store_finishes_long_after_its_writer_died_is_found(world):
    with pytest.raises(Crash):
        await world.process(Plan(2)).commit([put()], ROWS)
    world.clock.pass_by(LEASE)
    assert await world.process().settle() == 0
    (intent,) = await world.rows(Intent)

    token = request_id.set(intent.id)
    await world.store.write([put()])
    request_id.reset(token)
    await settle_everything(world)

    assert await both_or_neither(world)


async def test_while_the_store_is_away_the_intent_waits(world):
    with pytest.raises(Crash):
        await world.process(Plan(3)).commit([put()], ROWS)

    for _ in range(LOOKS + 3):
        world.clock.pass_by(LOOK_AGAIN + LEASE)
        assert await world.process(Plan(SETTLE.index("before happened"), Unavailable)).settle() == 0
    await world.process().settle()
    world.clock.pass_by(LOOK_AGAIN)
    await world.process().settle()

    assert await both_or_neither(world)


async def test_a_late_row_never_overwrites_what_was_written_after_it(world):
    await world.state.append([account(zone="UTC")])
    with pytest.raises(Crash):
        await world.process(Plan(3)).commit([put()], [Put(account(zone="Asia/Kolkata")), Append(event())])
    await world.state.write(lambda tx: tx.change(Account, [("id", "=", "a1")], zone="Europe/Berlin"))

    await settle_everything(world)

    assert (await world.rows(Account))[0].zone == "Europe/Berlin"
    assert len(await world.rows(Event)) == 1
    assert await world.left_over() == []


async def test_a_late_removal_spares_a_row_that_was_changed_since(world):
    await world.state.append([account("a1", "ann"), account("a2", "bob")])
    with pytest.raises(Crash):
        await world.process(Plan(3)).commit([put()], [Remove(Account, ("a1",)), Remove(Account, ("a2",))])
    await world.state.write(lambda tx: tx.change(Account, [("id", "=", "a1")], disabled=True))

    await settle_everything(world)

    assert [row.id for row in await world.rows(Account)] == ["a1"]


@pytest.mark.parametrize(("step", "happened"), [(4, False), (5, True)])
async def test_a_deletion_is_known_by_what_is_gone(world, step, happened):
    await world.store.write([put()])
    with pytest.raises(Crash):
        await world.process(Plan(step)).commit([Write("delete", PATIENT)], [Append(event())])

    await settle_everything(world)

    assert (await world.fhir() is None) == happened
    assert len(await world.rows(Event)) == happened
    assert await world.left_over() == []


async def test_deleting_what_was_never_there_is_no_trace_of_a_write(world):
    with pytest.raises(Crash):
        await world.process(Plan(3)).commit([put(), Write("delete", Ref("Patient", "never"))], ROWS)

    await settle_everything(world)

    assert not await both_or_neither(world)


async def test_what_somebody_else_deleted_is_no_trace_of_a_write_that_was_to_make_something_new(world):
    other = Ref("Patient", "p2")
    await world.store.write([put(other)])
    with pytest.raises(Crash):
        await world.process(Plan(COMMIT.index("before write"))).commit(
            [put(precondition=Absent()), Write("delete", other)], ROWS
        )

    await world.store.write([Write("delete", other)])
    await settle_everything(world)

    assert not await both_or_neither(world)


async def test_a_restart_settles_what_the_process_before_left_behind(world):
    with pytest.raises(Crash):
        await world.process(Plan(3)).commit([put()], ROWS)
    world.clock.pass_by(LEASE)

    await world.process().recover()

    assert await both_or_neither(world)


async def test_a_restart_does_not_wait_for_ever(world, caplog):
    with pytest.raises(Crash):
        await world.process(Plan(3)).commit([put()], ROWS)

    class Away:
        async def happened(self, request, refs):
            raise Unavailable("HAPI is away")

    world.clock.pace = timedelta(seconds=2)
    await IntentUnit(world.store, Away(), world.state, world.clock, RandomIds()).recover()

    assert "settled in the background" in caplog.text
    await settle_everything(world)
    assert await both_or_neither(world)
