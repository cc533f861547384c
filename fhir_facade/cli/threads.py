"""How many threads a worker process has: pools with an end each, whatever is asked of it at once.

The interpreter lets one of them run at a time, so more would only pass it on more often. A pool makes a thread when all
it has are at work: the number rises for as long as some moment is busier than every one before.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from fhir_facade.adapters.sqlite_file import READER_THREADS

BESIDE: Final = 6
"""For what leaves the interpreter alone, or would hold up all others: passwords, large bodies packed and unpacked,
mail. By itself the event loop of each worker would take four more than the machine has processors, 32 at most."""
MOST: Final = sum(
    (
        1,  # the event loop's own
        2,  # who write to the data file, and lines of the audit beside it
        READER_THREADS,
        BESIDE,
        1,  # patches
    )
)
"""Four more of the event loop's library look host names up, from the first that is looked up on."""


def limit_threads() -> None:
    """In a running event loop, before anything is done beside it."""
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(BESIDE, thread_name_prefix="beside"))
