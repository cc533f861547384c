"""Rows that wait in a file of each process: whoever asks finds each of them once, whatever process ended when."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import multiprocessing
import sqlite3
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from fhir_facade.adapters.sqlite_file import SqliteFile
from fhir_facade.adapters.state.migrate import core_connection
from fhir_facade.adapters.state.spool import MOST_PROCESSES, MOVED_AT_ONCE, Spool
from fhir_facade.adapters.state.sqlite import SqliteState
from fhir_facade.adapters.turns import Slot
from fhir_facade.errors import Unavailable
from fhir_facade.rows import Append
from tests.contract.state.specimens import TABLES, Line, Pair
from tests.patience import PATIENCE_S


@asynccontextmanager
async def process(folder: Path, *, serves: bool = True, dies: bool = False) -> AsyncIterator[SqliteState]:
    """As one of those that share a data folder; one that dies moves nothing at its end."""
    file = SqliteFile(folder / "state.sqlite")
    file.open()
    TABLES.metadata.create_all(core_connection(file.writer))
    state = SqliteState(file, TABLES, spooled=Line)
    assert state._spool is not None
    state._spool.define(file.writer)
    if serves:
        await state.serve()
    yield state
    if serves and not dies:
        await state.close()
    if dies:
        _dropped(state._spool)
    file.close()


def _dropped(spool: Spool) -> None:
    """As the kernel does when a process ends."""
    assert spool._own is not None
    assert spool._slot is not None
    spool._own.close()
    spool._slot.leave()


async def texts(state: SqliteState) -> list[str]:
    return [line.text for line in await state.read(lambda tx: tx.find(Line, order=("id",)))]


async def append(state: SqliteState, *some: str) -> None:
    for text in some:
        await state.append([Line(text=text)])


def in_shared_file(folder: Path) -> int:
    return in_file(folder / "state.sqlite")


def in_file(path: Path) -> int:
    with contextlib.closing(sqlite3.connect(path)) as file:
        table = "line" if path.suffix == ".sqlite" else "waiting"
        return int(file.execute(f"SELECT count(*) FROM {table}").fetchone()[0])


# --- what could be lost -------------------------------------------------------------------------------------------


async def test_more_processes_than_there_are_files_are_told_so(tmp_path):
    slots = [Slot(tmp_path / f"state.sqlite.line-{number}.lock") for number in range(MOST_PROCESSES)]
    assert all(slot.claimed() for slot in slots)

    with pytest.raises(Unavailable, match=f"more than {MOST_PROCESSES} processes serve"):
        async with process(tmp_path):
            pass

    for slot in slots:
        slot.leave()


async def test_what_cannot_be_written_is_said_to_whoever_appends(tmp_path):
    async with process(tmp_path) as state:
        with contextlib.closing(sqlite3.connect(tmp_path / "state.sqlite.line-0", isolation_level=None)) as file:
            file.execute("ALTER TABLE waiting RENAME TO elsewhere")
            with pytest.raises(Unavailable, match="the data file could not be written"):
                await append(state, "one")
            file.execute("ALTER TABLE elsewhere RENAME TO waiting")

        await append(state, "two")
        assert await texts(state) == ["two"]


async def test_what_a_process_that_died_left_is_found_by_another_and_by_the_next(tmp_path):
    async with process(tmp_path, dies=True) as dead:
        await append(dead, "one", "two")
    assert in_shared_file(tmp_path) == 0

    async with process(tmp_path, serves=False) as command:
        assert await texts(command) == ["one", "two"]
    async with process(tmp_path) as following:
        await append(following, "three")
        assert await texts(following) == ["one", "two", "three"]


async def test_rows_of_a_process_that_died_after_they_were_moved_are_not_moved_again(tmp_path):
    async with process(tmp_path, dies=True) as dead, process(tmp_path) as other:
        await append(dead, "one")
        assert await texts(other) == ["one"]  # nobody removed it from the file of the other

    async with process(tmp_path) as following:
        await append(following, "two")
        assert await texts(following) == ["one", "two"]


async def test_what_was_moved_stays_in_no_file(tmp_path):
    """Somebody may have been erased from it meanwhile."""
    async with process(tmp_path, dies=True) as dead, process(tmp_path) as idle, process(tmp_path) as other:
        await append(dead, "one")
        await append(idle, "two")
        assert sorted(await texts(other)) == ["one", "two"]
        assert await texts(idle) == await texts(other)
        assert in_file(tmp_path / "state.sqlite.line-1") == 0

    async with process(tmp_path, serves=False) as command:
        assert len(await texts(command)) == 2
    assert not (tmp_path / "state.sqlite.line-0").exists()


async def test_rows_whose_move_is_undone_wait_on(tmp_path):
    async with process(tmp_path) as state:
        await append(state, "one")

        def refused(tx):
            assert len(tx.find(Line)) == 1
            raise ValueError("changed its mind")

        with pytest.raises(ValueError, match="changed its mind"):
            await state.write(refused)

        assert in_shared_file(tmp_path) == 0
        assert await texts(state) == ["one"]


async def test_a_file_that_was_removed_behind_its_back_begins_anew(tmp_path):
    async with process(tmp_path, dies=True) as dead:
        await append(dead, "one", "two")
        assert len(await texts(dead)) == 2
    for left in tmp_path.glob("state.sqlite.line-0*"):
        left.unlink()

    async with process(tmp_path) as following:
        await append(following, "three")
        assert await texts(following) == ["one", "two", "three"]


async def test_a_file_older_than_what_was_moved_of_it_begins_anew(tmp_path):
    async with process(tmp_path, dies=True) as first:
        await append(first, "one")
    older = (tmp_path / "state.sqlite.line-0").read_bytes()
    async with process(tmp_path, dies=True) as second:
        await append(second, "two")
        assert await texts(second) == ["one", "two"]
    (tmp_path / "state.sqlite.line-0").write_bytes(older)

    async with process(tmp_path) as third:
        await append(third, "three")
        assert await texts(third) == ["one", "two", "three"]


async def test_what_an_older_release_left_in_columns_of_fields_is_found(tmp_path):
    with contextlib.closing(sqlite3.connect(tmp_path / "state.sqlite.line-0", isolation_level=None)) as file:
        file.execute('CREATE TABLE "line" (id INTEGER PRIMARY KEY AUTOINCREMENT, "text")')
        file.executemany("INSERT INTO line (text) VALUES (?)", [("moved",), ("one",), ("two",)])
    async with process(tmp_path, serves=False) as command:
        await command._file.write(
            lambda shared: shared.execute("INSERT INTO spool_progress (name, last) VALUES ('state.sqlite.line-0', 1)")
        )
        assert await texts(command) == ["one", "two"]
    async with process(tmp_path) as state:
        await append(state, "three")
        assert await texts(state) == ["one", "two", "three"]


@pytest.mark.parametrize(
    ("names", "row"), [(("text",), ("one",)), (("gone", "note", "text"), (7, "", "one"))], ids=["older", "newer"]
)
async def test_rows_of_a_release_with_other_fields_are_understood(tmp_path, names, row):
    async with process(tmp_path, dies=True) as dead:
        await append(dead, "zero")
    with contextlib.closing(sqlite3.connect(tmp_path / "state.sqlite.line-0", isolation_level=None)) as file:
        file.execute("INSERT INTO waiting (rows) VALUES (?)", (msgspec.msgpack.encode((names, [row])),))

    async with process(tmp_path) as state:
        await append(state, "two")
        assert await texts(state) == ["zero", "one", "two"]
        assert {line.note for line in await state.read(lambda tx: tx.find(Line))} == {""}


# --- what is found ------------------------------------------------------------------------------------------------


async def test_whoever_asks_finds_what_any_process_was_told_is_durable(tmp_path):
    async with process(tmp_path) as one, process(tmp_path) as two, process(tmp_path, serves=False) as command:
        await append(one, "a")
        await append(two, "b")
        await append(one, "c")
        await append(command, "d")

        assert await two.read(lambda tx: tx.count(Line)) == 4
        assert [sorted(await texts(each)) for each in (one, two, command)] == [["a", "b", "c", "d"]] * 3
        mine = [text for text in await texts(one) if text in ("a", "c")]
        assert mine == ["a", "c"]


async def test_a_transaction_finds_them_before_it_changes_them(tmp_path):
    async with process(tmp_path) as state:
        await append(state, "one", "two")

        changed = await state.write(lambda tx: tx.change(Line, [("text", "=", "two")], text="blank"))

        assert [line.text for line in changed] == ["blank"]
        assert await texts(state) == ["one", "blank"]


async def test_what_is_looked_at_in_passing_may_lack_the_newest(tmp_path):
    async with process(tmp_path) as state:
        await append(state, "one")
        assert await state.read(lambda tx: tx.count(Line), here=True) == 0
        assert await texts(state) == ["one"]
        assert await state.read(lambda tx: tx.count(Line), here=True) == 1


async def test_rows_of_other_tables_and_rows_with_a_number_do_not_wait(tmp_path):
    async with process(tmp_path) as state:
        await state.append([Line(text="seven", id=7)])
        await state.append([Line(text="eight"), Pair(left="a", right="b")])
        await state.write(lambda tx: tx.apply(Append(Line(text="nine"))))
        assert in_shared_file(tmp_path) == 3
        assert await texts(state) == ["seven", "eight", "nine"]


async def test_many_rows_are_moved_in_several_transactions(tmp_path):
    many = [str(number) for number in range(2 * MOVED_AT_ONCE + 1)]
    async with process(tmp_path) as state:
        await state.append([Line(text=text) for text in many])
        assert await texts(state) == many
        await append(state, "one more")
        assert await texts(state) == [*many, "one more"]


async def test_who_ends_leaves_one_file_with_everything_in_it(tmp_path):
    async with process(tmp_path) as state:
        await append(state, "one", "two")
        (waiting,) = tmp_path.glob("state.sqlite.line-0")
        assert stat.S_IMODE(waiting.stat().st_mode) == 0o600

    assert in_shared_file(tmp_path) == 2
    assert not [path for path in tmp_path.glob("state.sqlite.line-0*") if path.suffix != ".lock"]


TOGETHER = 60


def serve_and_end_together(folder: Path, barrier: Any, kept: Any) -> None:
    """Again and again, at the same moment as the other process, which has a line that is moved at its end."""
    warnings: list[str] = []
    told = logging.Handler()
    told.emit = lambda record: warnings.append(record.getMessage())  # type: ignore[method-assign]
    logging.getLogger("fhir_facade").addHandler(told)

    async def once() -> None:
        async with process(folder) as state:
            await append(state, "one")
            barrier.wait(PATIENCE_S)

    for _ in range(TOGETHER):
        barrier.wait(PATIENCE_S)
        asyncio.run(once())
    kept.put(warnings)


async def test_processes_that_end_at_the_same_moment_leave_one_file_too(tmp_path):
    async with process(tmp_path, serves=False):
        pass  # the tables are there
    context = multiprocessing.get_context("spawn")
    barrier, kept = context.Barrier(2), context.SimpleQueue()
    both = [context.Process(target=serve_and_end_together, args=(tmp_path, barrier, kept)) for _ in range(2)]
    for each in both:
        each.start()
    for each in both:
        each.join(PATIENCE_S)

    assert [each.exitcode for each in both] == [0, 0]
    assert [kept.get(), kept.get()] == [[], []]
    assert in_shared_file(tmp_path) == 2 * TOGETHER
    assert [path.name for path in tmp_path.iterdir() if path.suffix not in (".lock", ".turns")] == ["state.sqlite"]
