"""A server's threads share one heap of the C library, a large block leaves no hole in it, and small holes are given
back."""

import ctypes
import re
import subprocess
import sys

import pytest

HEAP = """
import ctypes, sys, threading
from fhir_facade.cli.heap import tidy_heap

if "tidy" in sys.argv:
    assert tidy_heap()

def told():
    libc = ctypes.CDLL(None)
    libc.fdopen.restype = ctypes.c_void_p
    libc.malloc_info(0, ctypes.c_void_p(libc.fdopen(1, b"w")))
    libc.fflush(None)
"""
THREADS = """
together = threading.Barrier(4)

def allocate():
    together.wait()
    held = [bytes(5000) for _ in range(100)]
    together.wait()

threads = [threading.Thread(target=allocate) for _ in range(4)]
for thread in threads: thread.start()
for thread in threads: thread.join()
told()
"""
SIGN_INS = """
held = []
for _ in range(10):
    password = bytes(19 << 20)
    del password
    held += [bytes(3000) for _ in range(100)]
told()
"""
HOLES = """
import asyncio, re, time
from pathlib import Path
from fhir_facade.cli.heap import give_holes_back

def rss_anon():
    return int(re.search(r"RssAnon:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) / 1024

def punch():
    held = [bytes(3000) for _ in range(20_000)]
    return held[::100]

async def main():
    before = rss_anon()
    stays = punch()
    print("holes", rss_anon() - before)
    giving = asyncio.create_task(give_holes_back(0.01))
    until = time.monotonic() + 60
    while rss_anon() - before > 10 and time.monotonic() < until:
        await asyncio.sleep(0.01)
    giving.cancel()
    print("given back", rss_anon() - before)

asyncio.run(main())
"""
pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or not hasattr(ctypes.CDLL(None), "malloc_info"), reason="needs glibc"
)


def heaps(program, *words):
    """The MiB of each heap of a process at the end of a program."""
    ended = subprocess.run([sys.executable, "-c", HEAP + program, *words], capture_output=True, text=True, check=True)
    heaps_only = ended.stdout[: ended.stdout.rindex("</heap>")]
    return [int(size) / 2**20 for size in re.findall(r'<system type="current" size="(\d+)"', heaps_only)]


def test_threads_have_heaps_of_their_own_unless_told_otherwise():
    assert len(heaps(THREADS)) > 1


def test_one_heap_is_shared_by_all_threads():
    assert len(heaps(THREADS, "tidy")) == 1


def test_large_blocks_are_in_the_heap_unless_told_otherwise():
    assert sum(heaps(SIGN_INS)) > 19


def test_large_blocks_leave_no_hole_in_the_heap():
    assert sum(heaps(SIGN_INS, "tidy")) < 19


def test_small_holes_go_back_to_the_system():
    ended = subprocess.run([sys.executable, "-c", HEAP + HOLES, "tidy"], capture_output=True, text=True, check=True)
    stayed = {what: float(mib) for what, mib in (line.rsplit(" ", 1) for line in ended.stdout.splitlines())}

    assert stayed["holes"] > 40
    assert stayed["given back"] < 10
