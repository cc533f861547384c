"""A facade that Hypothesis can ask synchronously, kept for all examples of a module."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import httpx

from tests.facade import embedded_facade

T = TypeVar("T")


@dataclass
class World:
    loop: asyncio.AbstractEventLoop
    client: httpx.AsyncClient

    def ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        return self.run(self.client.request(method, httpx.URL(f"http://127.0.0.1:8000/fhir{path}"), **more))

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(work)


@contextmanager
def opened_world(folder: Path, **settings: Any) -> Iterator[World]:
    """Asked with a token that may do everything."""
    loop = asyncio.new_event_loop()
    stack = AsyncExitStack()

    async def begin() -> httpx.AsyncClient:
        facade = await stack.enter_async_context(embedded_facade(folder, **settings))
        return await stack.enter_async_context(await facade.client())

    try:
        yield World(loop, loop.run_until_complete(begin()))
    finally:
        loop.run_until_complete(stack.aclose())
        loop.close()
