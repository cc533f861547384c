"""Processes that write one file take turns."""

import asyncio
import sqlite3
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

from fhir_facade.adapters.sqlite_file import SqliteFile

WRITER = """
import asyncio, pathlib, sys
from fhir_facade.adapters.sqlite_file import SqliteFile

async def write(file):
    for _ in range(100):
        await file.write(lambda c: c.execute("UPDATE t SET n = n + 1"))

file = SqliteFile(pathlib.Path(sys.argv[1]))
file.open()
asyncio.run(write(file))
file.close()
"""


async def test_nothing_is_lost_when_two_processes_write_at_once(tmp_path):
    path = tmp_path / "data.sqlite"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE t (n INTEGER)")
        connection.execute("INSERT INTO t VALUES (0)")
    connection.close()
    others = [subprocess.Popen([sys.executable, "-c", WRITER, str(path)]) for _ in range(2)]

    codes = [await asyncio.to_thread(other.wait) for other in others]

    file = SqliteFile(path)
    file.open()
    assert codes == [0, 0]
    assert file.read_here(lambda c: c.execute("SELECT n FROM t").fetchone()) == (200,)
    file.close()


def test_many_may_open_a_new_file_at_the_same_moment(tmp_path):
    """SQLite waits for nobody when it changes how a file is written."""
    at_once = threading.Barrier(4)

    def opened(number):
        at_once.wait()
        file = SqliteFile(tmp_path / f"{number}.sqlite")
        file.open()
        file.close()

    with ThreadPoolExecutor(4) as threads:
        for number in range(20):
            for one in [threads.submit(opened, number) for _ in range(4)]:
                one.result()


async def test_a_turn_ends_with_its_process(tmp_path):
    path = tmp_path / "data.sqlite"
    held = "import sys, fcntl, os; f = open(sys.argv[1], 'w'); fcntl.flock(f, fcntl.LOCK_EX); os._exit(0)"
    subprocess.run([sys.executable, "-c", held, f"{path}.turns"], check=True)
    file = SqliteFile(path)
    file.open()

    await file.write(lambda c: c.execute("CREATE TABLE t (n INTEGER)"))

    file.close()
