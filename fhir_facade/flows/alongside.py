"""Work that goes on beside a block, once or again and again. https://docs.python.org/3/library/asyncio-task.html"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from fhir_facade.errors import FacadeError

_LOG = logging.getLogger(__name__)


@asynccontextmanager
async def alongside(*works: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Run `works` for the life of the block; afterwards they are cancelled and over."""
    tasks = [asyncio.create_task(work) for work in works]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def again_and_again(name: str, every_s: float, work: Callable[[], Awaitable[object]]) -> None:
    """Do it, wait, do it again. What fails is logged without its text, which could name a person, and tried again."""
    while True:
        try:
            await work()
        except FacadeError as error:
            _LOG.warning("background.failed", extra={"work": name, "error": type(error).__name__})
        except Exception:  # noqa: BLE001 - a defect in one round must not end all further ones
            _LOG.exception("background.defect", extra={"work": name})
        await asyncio.sleep(every_s)
