"""How the C library keeps memory: one heap for all threads, and what is large goes back to the system.

By itself glibc gives threads heaps of their own, up to eight for each processor, each of which keeps what it once
needed. And once a large block was freed, large blocks are taken from the heap: the 19 MiB of each sign-in (argon2)
leave a hole in it, small things that stay settle there, and the next sign-in needs a new one.
https://www.gnu.org/software/libc/manual/html_node/Malloc-Tunable-Parameters.html
"""

from __future__ import annotations

import ctypes
from typing import Final

MIB: Final = 1 << 20
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8  # of malloc.h
OPTIONS: Final = {M_ARENA_MAX: 1, M_MMAP_THRESHOLD: MIB, M_TRIM_THRESHOLD: 8 * MIB}


def tidy_heap() -> bool:
    """Before the first thread, and kept by processes that are parted from this one. False where the C library has no
    such options (musl, macOS).

    Threads seldom wait for each other here: the interpreter lets one run at a time, and has its own memory for what is
    small.
    """
    set_option = getattr(ctypes.CDLL(None), "mallopt", None)
    return set_option is not None and all(set_option(option, value) for option, value in OPTIONS.items())
