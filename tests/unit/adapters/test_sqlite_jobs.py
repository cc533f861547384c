"""What callers get who share one transaction with others that are refused."""

import asyncio
import sqlite3

import pytest

from fhir_facade.adapters.sqlite_file import SqliteFile
from fhir_facade.errors import Conflict


@pytest.fixture
def file(tmp_path):
    file = SqliteFile(tmp_path / "data" / "facade.sqlite")
    file.open()
    file.writer.execute("CREATE TABLE t (k TEXT PRIMARY KEY, v INTEGER)")
    yield file
    file.close()


def rows(file):
    return file.read_here(lambda c: c.execute("SELECT k, v FROM t ORDER BY k").fetchall())


async def test_who_is_refused_in_a_mixed_batch_takes_nothing_along(file):
    def shared(connection, items):
        connection.executemany("INSERT INTO t VALUES (?, 1)", [(item,) for item in items])
        return items

    async def insert(*row):
        await file.insert("INSERT INTO t VALUES (?, ?)", [row])

    results = await asyncio.gather(
        file.write_shared(shared, "a"),
        insert("b", 2),
        insert("a", 3),
        file.write_shared(shared, "c"),
        return_exceptions=True,
    )

    assert [type(result) for result in results] == [str, type(None), Conflict, str]
    assert rows(file) == [("a", 1), ("b", 2), ("c", 1)]


async def test_work_that_is_called_once_is_so_beside_others_that_are_refused(file):
    calls = []

    def work(connection):
        calls.append("work")
        connection.execute("INSERT INTO t VALUES ('w', 1)")

    def shared(connection, items):
        connection.executemany("INSERT INTO t VALUES (?, 1)", [(item,) for item in items])
        return items

    results = await asyncio.gather(
        file.write(work), *(file.write_shared(shared, item) for item in "aab"), return_exceptions=True
    )

    assert [type(result) for result in results] == [type(None), str, sqlite3.IntegrityError, str]
    assert calls == ["work"]
    assert rows(file) == [("a", 1), ("b", 1), ("w", 1)]
