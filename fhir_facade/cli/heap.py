"""How the C library keeps memory: one heap for all threads, what is large goes back to the system, and so do the holes.

By itself glibc gives threads heaps of their own, up to eight for each processor, each of which keeps what it once
needed. And once a large block was freed, large blocks are taken from the heap: the 19 MiB of each sign-in (argon2)
leave a hole in it, small things that stay settle there, and the next sign-in needs a new one. What a large search
needs for a moment, its pages of the file above all, leaves many small holes, which only `malloc_trim` gives back.
https://www.gnu.org/software/libc/manual/html_node/Malloc-Tunable-Parameters.html
https://man7.org/linux/man-pages/man3/malloc_trim.3.html
"""

from __future__ import annotations

import asyncio
import ctypes
from typing import Final

MIB: Final = 1 << 20
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8  # of malloc.h
OPTIONS: Final = {M_ARENA_MAX: 1, M_MMAP_THRESHOLD: MIB, M_TRIM_THRESHOLD: 8 * MIB}
GIVEN_BACK_EVERY_S: Final = 10.0
"""Half a millisecond to one each time, for a heap of 40 MiB with 10 MiB of holes."""


def tidy_heap() -> bool:
    """Before the first thread, and kept by processes that are parted from this one. False where the C library has no
    such options (musl, macOS).

    Threads seldom wait for each other here: the interpreter lets one run at a time, and has its own memory for what is
    small.
    """
    set_option = getattr(ctypes.CDLL(None), "mallopt", None)
    return set_option is not None and all(set_option(option, value) for option, value in OPTIONS.items())


async def give_holes_back(every_s: float = GIVEN_BACK_EVERY_S) -> None:
    """Until it is cancelled, whole free pages of the heap go back to the system. Ends at once where the C library has
    no such function (musl, macOS)."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is None:
        return
    trim.argtypes = [ctypes.c_size_t]
    while True:
        await asyncio.sleep(every_s)
        await asyncio.to_thread(trim, 0)  # which lets the interpreter go
