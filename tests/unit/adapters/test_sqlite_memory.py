"""How much of a file a process keeps in memory."""

import sqlite3
import subprocess
import sys

import pytest

READING = """
import asyncio, re, sys
from pathlib import Path
from fhir_facade.adapters.sqlite_file import READER_THREADS, SqliteFile

def rss_anon():
    return int(re.search(r"RssAnon:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) / 1024

def read_all(connection):
    return connection.execute("SELECT sum(length(v)) FROM t").fetchone()

async def main():
    file = SqliteFile(Path(sys.argv[1]))
    file.open()
    await file.read(lambda connection: connection.execute("SELECT 1").fetchone())
    before = rss_anon()
    for _ in range(3):
        await asyncio.gather(*(file.read(read_all) for _ in range(2 * READER_THREADS)))
    print(rss_anon() - before)
    file.close()

asyncio.run(main())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc of Linux")
def test_a_search_that_reads_the_whole_file_keeps_little_of_it(tmp_path):
    with sqlite3.connect(tmp_path / "data.sqlite") as connection:
        connection.execute("CREATE TABLE t (v BLOB)")
        connection.executemany("INSERT INTO t VALUES (zeroblob(?))", [(3000,)] * 10_000)
    connection.close()

    words = [sys.executable, "-c", READING, str(tmp_path / "data.sqlite")]
    ended = subprocess.run(words, capture_output=True, text=True, check=True)

    assert float(ended.stdout) < 16
