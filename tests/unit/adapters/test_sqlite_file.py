"""What one SQLite file promises its callers."""

import asyncio
import sqlite3
import subprocess
import sys
import threading
import time
import weakref

import pytest

from fhir_facade.adapters.sqlite_file import SqliteFile
from fhir_facade.adapters.sqlite_jobs import FEW_ITEMS, insert_rows
from fhir_facade.adapters.sqlite_writer import SLOW_IN_A_ROW_S
from fhir_facade.errors import Conflict, Unavailable
from tests.patience import PATIENCE_S


@pytest.fixture
def file(tmp_path):
    file = SqliteFile(tmp_path / "data" / "facade.sqlite")
    file.open()
    file.writer.execute("CREATE TABLE t (k TEXT PRIMARY KEY, v INTEGER)")
    yield file
    file.close()


def rows(file):
    return file.read_here(lambda c: c.execute("SELECT k, v FROM t ORDER BY k").fetchall())


def test_a_file_that_is_no_database_is_told_in_a_sentence(tmp_path):
    (tmp_path / "data.sqlite").write_text("not a database " * 20)

    with pytest.raises(Unavailable, match=r"data\.sqlite cannot be opened: file is not a database"):
        SqliteFile(tmp_path / "data.sqlite").open()


def test_a_folder_that_cannot_be_made_is_told_in_a_sentence(tmp_path):
    (tmp_path / "file").touch()

    with pytest.raises(Unavailable, match=r"data folder .* cannot be used: Not a directory"):
        SqliteFile(tmp_path / "file" / "data" / "data.sqlite").open()


def test_the_data_are_for_their_owner_only(tmp_path):
    file = SqliteFile(tmp_path / "data" / "data.sqlite")
    file.open()
    modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "data").iterdir()}
    file.close()

    assert (tmp_path / "data").stat().st_mode & 0o777 == 0o700
    assert set(modes.values()) == {0o600}
    assert "data.sqlite-wal" in modes


async def test_a_closed_file_is_unavailable(tmp_path):
    file = SqliteFile(tmp_path / "x.sqlite")

    with pytest.raises(Unavailable):
        await file.write(lambda c: None)
    with pytest.raises(Unavailable):
        await file.read(lambda c: None)
    with pytest.raises(Unavailable):
        file.read_here(lambda c: None)
    with pytest.raises(Unavailable):
        file.view_here(lambda c: None)
    with pytest.raises(Unavailable):
        _ = file.writer


async def test_a_failing_caller_undoes_only_its_own_rows(file):
    def good(connection, key):
        connection.execute("INSERT INTO t VALUES (?, 1)", (key,))

    def bad(connection):
        connection.execute("INSERT INTO t VALUES ('bad', 1)")
        raise ValueError("no")

    results = await asyncio.gather(
        file.write(lambda c: good(c, "a")),
        file.write(bad),
        file.write(lambda c: good(c, "b")),
        return_exceptions=True,
    )

    assert isinstance(results[1], ValueError)
    assert rows(file) == [("a", 1), ("b", 1)]


async def test_a_broken_statement_fails_its_caller_and_no_other(file):
    results = await asyncio.gather(
        file.write(lambda c: c.execute("INSERT INTO nowhere VALUES (1)")),
        file.write(lambda c: c.execute("INSERT INTO t VALUES ('a', 1)").rowcount),
        return_exceptions=True,
    )

    assert isinstance(results[0], sqlite3.OperationalError)
    assert results[1] == 1


async def test_shared_inserts_fall_back_to_single_ones_when_one_is_a_duplicate(file):
    insert = "INSERT INTO t VALUES (?, ?)"

    results = await asyncio.gather(
        file.insert(insert, [("a", 1)]),
        file.insert(insert, [("a", 2)]),
        file.insert(insert, [("b", 3)]),
        return_exceptions=True,
    )

    assert [type(r) for r in results] == [type(None), Conflict, type(None)]
    assert rows(file) == [("a", 1), ("b", 3)]


async def test_a_reader_cannot_write(file):
    with pytest.raises(sqlite3.OperationalError):
        await file.read(lambda c: c.execute("INSERT INTO t VALUES ('x', 1)"))
    with pytest.raises(sqlite3.OperationalError):
        file.view_here(lambda c: c.execute("INSERT INTO t VALUES ('x', 1)"))


async def test_a_view_in_the_callers_thread_is_of_one_moment(file):
    other = sqlite3.connect(file.path)

    def twice(connection):
        before = connection.execute("SELECT count(*) FROM t").fetchone()
        with other:
            other.execute("INSERT INTO t VALUES ('a', 1)")
        return before, connection.execute("SELECT count(*) FROM t").fetchone(), threading.current_thread()

    seen = file.view_here(twice)
    other.close()

    assert seen == ((0,), (0,), threading.current_thread())
    assert file.view_here(lambda c: c.execute("SELECT count(*) FROM t").fetchone()) == (1,)


async def test_a_write_is_there_for_readers_once_it_returned(file):
    await file.insert("INSERT INTO t VALUES (?, ?)", [("a", 1), ("b", 2)])

    assert await file.read(lambda c: c.execute("SELECT count(*) FROM t").fetchone()) == (2,)
    assert rows(file) == [("a", 1), ("b", 2)]


async def test_a_look_in_the_callers_thread_sees_nothing_that_is_not_committed(file):
    """It shares the writer's connection, but never while somebody writes on it."""
    begun, looked = threading.Event(), threading.Event()

    def slow(connection):
        connection.execute("INSERT INTO t VALUES ('a', 1)")
        begun.set()
        looked.wait()

    writing = asyncio.create_task(file.write(slow))
    await asyncio.to_thread(begun.wait)
    seen = rows(file)
    looked.set()
    await writing

    assert seen == []
    assert rows(file) == [("a", 1)]


async def test_shared_work_is_done_once_for_all_who_wait(file):
    calls = []

    def shared(connection, items):
        calls.append(len(items))
        connection.executemany("INSERT INTO t VALUES (?, 1)", [(item,) for item in items])
        return [item.upper() for item in items]

    results = await asyncio.gather(*(file.write_shared(shared, item) for item in "abc"))

    assert results == ["A", "B", "C"]
    assert calls == [3]
    assert rows(file) == [("a", 1), ("b", 1), ("c", 1)]


async def test_shared_work_that_fails_is_done_for_each_alone(file):
    def shared(connection, items):
        for item in items:
            connection.execute("INSERT INTO t VALUES (?, 1)", (item,))
            if item == "bad":
                raise ValueError(item)
        return items

    results = await asyncio.gather(
        *(file.write_shared(shared, item) for item in ("a", "bad", "b")), return_exceptions=True
    )

    assert [str(result) for result in results] == ["a", "bad", "b"]
    assert isinstance(results[1], ValueError)
    assert rows(file) == [("a", 1), ("b", 1)]


@pytest.mark.parametrize("number", [1, 8, 9, 63, 64, 65, 200])
async def test_any_number_of_rows_goes_in_together(file, number):
    await file.write(lambda c: insert_rows(c, "INSERT INTO t VALUES (?, ?)", [(f"{i:03}", i) for i in range(number)]))

    assert rows(file) == [(f"{i:03}", i) for i in range(number)]


@pytest.mark.parametrize("callers", [2, 70])
async def test_rows_of_many_callers_share_statements(file, callers):
    await asyncio.gather(*(file.insert("INSERT INTO t VALUES (?, ?)", [(f"{i:03}", i)]) for i in range(callers)))

    assert len(rows(file)) == callers


def where(connection, items):
    """Shared work that says on which thread it ran."""
    connection.executemany("INSERT INTO t VALUES (?, 1)", [(item,) for item in items])
    return [threading.get_ident()] * len(items)


async def test_small_work_is_done_on_the_thread_of_the_event_loop(file):
    done = await asyncio.gather(*(file.write_shared(where, key) for key in "ab"))

    assert set(done) == {threading.get_ident()}
    assert [key for key, _ in rows(file)] == ["a", "b"]


async def test_large_work_is_not(file):
    assert await file.write_shared(where, "a", size=FEW_ITEMS + 1) != threading.get_ident()


class Large:
    """Something that takes much room."""


async def test_what_was_written_is_not_kept_until_the_next_one_writes(file):
    item = Large()
    kept = weakref.ref(item)
    await file.write_shared(lambda _, items: items, item, size=FEW_ITEMS + 1)
    del item

    until = time.monotonic() + PATIENCE_S
    while kept() is not None and time.monotonic() < until:
        await asyncio.sleep(0.01)

    assert kept() is None


def slow(connection, items):
    """As a disk that takes its time."""
    until = time.monotonic() + SLOW_IN_A_ROW_S / 3
    while time.monotonic() < until:
        pass
    return where(connection, items)


async def test_after_slow_commits_others_are_not_made_to_wait_for_the_next(file):
    done = [await file.write_shared(slow, key) for key in "abcd"]
    following = await file.write_shared(where, "e")

    assert done[0] == threading.get_ident()
    assert following != threading.get_ident()


async def test_a_single_slow_commit_may_have_waited_for_something_else_than_the_disk(file):
    await file.write_shared(slow, "a")

    assert await file.write_shared(where, "b") == threading.get_ident()


async def test_while_another_process_writes_the_event_loop_goes_on(file):
    held = "import sys, fcntl; f = open(sys.argv[1], 'w'); fcntl.flock(f, fcntl.LOCK_EX); print(1, flush=True); input()"
    command = [sys.executable, "-c", held, f"{file.path}.turns"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout.readline() == b"1\n"
        waiting = asyncio.create_task(file.write_shared(where, "a"))
        await asyncio.wait([waiting], timeout=0.05)
        assert not waiting.done()
        other.stdin.close()
        done = await waiting

    assert done != threading.get_ident()
    assert [key for key, _ in rows(file)] == ["a"]


async def test_while_callers_come_in_numbers_who_comes_a_turn_later_shares_their_commit(file):
    written = []

    def noted(connection, items):
        written.append(list(items))
        return items

    async def a_turn_later(key):
        await asyncio.sleep(0)
        await file.write_shared(noted, key)

    await asyncio.gather(file.write_shared(noted, "a"), file.write_shared(noted, "b"))
    await asyncio.gather(file.write_shared(noted, "c"), a_turn_later("d"))

    assert written == [["a", "b"], ["c", "d"]]


@pytest.fixture
def patient_file(tmp_path):
    """Its commits would be an hour apart."""
    file = SqliteFile(tmp_path / "facade.sqlite", apart_s=3600)
    file.open()
    file.writer.execute("CREATE TABLE t (k TEXT PRIMARY KEY, v INTEGER)")
    yield file
    file.close()


async def test_who_comes_alone_never_waits_for_others(patient_file):
    for key in "abcd":
        await patient_file.write_shared(where, key)

    assert [key for key, _ in rows(patient_file)] == list("abcd")


async def test_while_callers_come_in_numbers_they_wait_for_each_other(patient_file):
    await asyncio.gather(*(patient_file.write_shared(where, key) for key in "ab"))
    waiting = asyncio.create_task(patient_file.write_shared(where, "c"))
    await asyncio.wait([waiting], timeout=0.05)
    assert not waiting.done()

    patient_file.close()  # which writes what waits

    await waiting
    patient_file.open()
    assert [key for key, _ in rows(patient_file)] == list("abc")


async def test_commits_are_apart_for_as_long_as_was_asked(tmp_path):
    file = SqliteFile(tmp_path / "facade.sqlite", apart_s=0.2)
    file.open()
    file.writer.execute("CREATE TABLE t (k TEXT PRIMARY KEY, v INTEGER)")
    commits = []
    file.writer.set_trace_callback(lambda said: commits.append(said) if said.startswith("COMMIT") else None)
    await asyncio.gather(*(file.write_shared(where, key) for key in "ab"))
    following = []
    for key in "cdef":
        following.append(asyncio.create_task(file.write_shared(where, key)))
        await asyncio.sleep(0)
    await asyncio.gather(*following)
    file.close()

    assert len(commits) == 2
