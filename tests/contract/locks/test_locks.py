"""What `Locks` promises inside one process and between several."""

import asyncio
import subprocess
import sys
import textwrap

import asyncpg
import pytest

from fhir_facade.adapters.locks import FileLocks, ProcessLocks
from fhir_facade.adapters.postgres_locks import PostgresLocks
from fhir_facade.errors import Unavailable
from tests.patience import PATIENCE_S


@pytest.fixture(params=["process", "files", pytest.param("postgres", marks=pytest.mark.postgres)])
async def replicas(request, tmp_path):
    """Makes the locks of one more process of the deployment."""
    made, single = [], ProcessLocks(wait_s=1)

    def make(wait_s=PATIENCE_S):  # long enough for a connection on a busy machine; who is to be refused waits less
        if request.param == "process":
            return single
        if request.param == "files":
            made.append(FileLocks(tmp_path / "locks", wait_s=wait_s))
            return made[-1]
        made.append(PostgresLocks(request.getfixturevalue("postgres_url"), wait_s=wait_s))
        return made[-1]

    yield make
    for locks in made:
        closing = locks.close()
        if closing is not None:
            await closing


async def test_a_held_name_is_refused_after_the_wait(replicas):
    ours, theirs = replicas(), replicas(0.2)

    async with ours.hold("sync"):
        with pytest.raises(Unavailable):
            async with theirs.hold("sync"):
                pytest.fail("two holders")

    async with replicas().hold("sync"):
        pass


async def test_names_taken_before_the_busy_one_are_given_back(replicas):
    ours, theirs = replicas(), replicas(0.2)

    async with ours.hold("b"):
        with pytest.raises(Unavailable):
            async with theirs.hold("a", "b", "c"):
                pytest.fail("two holders")
        async with ours.hold("a", "c"):
            pass


async def test_only_one_at_a_time_is_inside(replicas):
    inside = most = done = 0

    async def enter(locks):
        nonlocal inside, most, done
        async with locks.hold("x"):
            inside += 1
            most = max(most, inside)
            await asyncio.sleep(0.002)
            inside -= 1
            done += 1

    both = [replicas(), replicas()]
    await asyncio.gather(*(enter(both[number % 2]) for number in range(10)))

    assert (most, done) == (1, 10)


async def test_different_names_do_not_wait_for_each_other(replicas):
    async with replicas().hold("a"), replicas().hold("b"):
        pass


async def test_opposite_orders_do_not_lock_each_other_out(replicas):
    async def enter(locks, *names):
        for _ in range(10):
            async with locks.hold(*names):
                await asyncio.sleep(0)

    await asyncio.gather(enter(replicas(), "a", "b"), enter(replicas(), "b", "a"))


async def test_a_name_given_twice_is_taken_once(replicas):
    async with replicas().hold("a", "a"):
        pass


async def test_an_exception_passes_through_and_gives_the_lock_back(replicas):
    locks = replicas()

    with pytest.raises(LookupError):
        async with locks.hold("a"):
            raise LookupError
    with pytest.raises(TimeoutError):
        async with locks.hold("a"):
            raise TimeoutError("the caller's own")
    async with replicas().hold("a"):
        pass


async def test_a_cancelled_holder_gives_the_lock_back(replicas):
    entered = asyncio.Event()

    async def hold():
        async with replicas().hold("a"):
            entered.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(hold())
    await entered.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    async with replicas().hold("a"):
        pass


@pytest.mark.parametrize("steps", range(12))
async def test_a_caller_cancelled_at_any_moment_of_taking_leaves_no_lock_behind(replicas, steps):
    ours = replicas()
    async with ours.hold("warm"):
        pass

    async def hold():
        async with ours.hold("a", "b"):
            await asyncio.Event().wait()

    task = asyncio.create_task(hold())
    for _ in range(steps):
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    async with replicas(5).hold("a", "b"):
        pass


KINDS = {
    "files": ("fhir_facade.adapters.locks", "FileLocks"),
    "postgres": ("fhir_facade.adapters.postgres_locks", "PostgresLocks"),
}


@pytest.fixture(params=["files", pytest.param("postgres", marks=pytest.mark.postgres)])
def place(request, tmp_path):
    """The class of locks between processes, and where they are."""
    where = str(tmp_path / "locks") if request.param == "files" else request.getfixturevalue("postgres_url")
    return (*KINDS[request.param], where)


async def test_a_killed_process_holds_nothing(place):
    module, name, where = place
    program = textwrap.dedent(
        f"""
        import asyncio, sys
        from {module} import {name}

        async def main():
            async with {name}(sys.argv[1]).hold("sync"):
                print("held", flush=True)
                await asyncio.Event().wait()

        asyncio.run(main())
        """
    )
    holder = subprocess.Popen([sys.executable, "-c", program, where], stdout=subprocess.PIPE, text=True)
    assert holder.stdout.readline() == "held\n"
    kind = {"FileLocks": FileLocks, "PostgresLocks": PostgresLocks}[name]
    locks, patient = kind(where, wait_s=0.1), kind(where, wait_s=PATIENCE_S)
    with pytest.raises(Unavailable):
        async with locks.hold("sync"):
            pytest.fail("two holders")

    holder.kill()
    holder.wait()
    holder.stdout.close()

    async with patient.hold("sync"):
        pass
    for each in (locks, patient):
        await (each.close() or asyncio.sleep(0))


LOSE = """
    SELECT pg_terminate_backend(pid) FROM pg_locks JOIN pg_database ON pg_database.oid = database
    WHERE locktype = 'advisory' AND datname = current_database()
"""
"""Of this database only: other tests hold locks in theirs."""


@pytest.mark.postgres
async def test_a_block_whose_lock_was_lost_is_interrupted_and_the_next_one_works(postgres_url):
    locks = PostgresLocks(postgres_url)
    admin = await asyncpg.connect(postgres_url)

    async def hold_and_lose():
        async with locks.hold("a"):
            await admin.execute(LOSE)
            await asyncio.Event().wait()

    with pytest.raises(Unavailable, match="broke"):
        await hold_and_lose()

    async with locks.hold("a"):
        pass
    await admin.close()
    await locks.close()


async def test_a_database_that_does_not_answer_is_unavailable():
    with pytest.raises(Unavailable, match="cannot be reached"):
        async with PostgresLocks("postgresql://u:p@127.0.0.1:1/d").hold("a"):
            pytest.fail("held")
