"""A server's threads share one heap of the C library, and a large block leaves no hole in it."""

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
