"""Long work in the event loop lets others have their turns in between."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import Final, TypeVar

T = TypeVar("T")

BREATHE_EVERY: Final = 25
"""Entries of a Bundle: some milliseconds of work."""


async def in_turns(items: Iterable[T]) -> AsyncIterator[T]:
    """The items in their order; after every few of them others go on."""
    for number, item in enumerate(items, 1):
        yield item
        if number % BREATHE_EVERY == 0:
            await asyncio.sleep(0)
