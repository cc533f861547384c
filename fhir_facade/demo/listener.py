"""Listens to server-sent events as an app does: https://html.spec.whatwg.org/multipage/server-sent-events.html"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx

from fhir_facade.demo.checks import answer, expect


@dataclass(frozen=True, slots=True)
class Event:
    """One event; `heard_at` is of the monotonic clock."""

    id: str
    name: str
    data: Any
    heard_at: float


@dataclass(slots=True)
class Listener:
    """What was heard so far; `changed` is set at each event."""

    events: list[Event] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def wait_for_one(self, *, timeout_s: float) -> Event:
        """The first event, also when it was heard before."""
        try:
            await asyncio.wait_for(self.changed.wait(), timeout_s)
        except TimeoutError:
            expect(self.events, f"an event was expected within {timeout_s:g} s")
        return self.events[0]


async def _hear(response: httpx.Response, listener: Listener) -> None:
    fields: dict[str, str] = {}
    async for line in response.aiter_lines():
        name, _, value = line.partition(":")
        if name:
            fields[name] = f"{fields[name]}\n{value.lstrip()}" if name in fields else value.lstrip()
        elif not line:
            _take(fields, listener)
            fields = {}


def _take(fields: Mapping[str, str], listener: Listener) -> None:
    if "data" not in fields:
        return
    name, data = fields.get("event", "message"), json.loads(fields["data"])
    listener.events.append(Event(fields.get("id", ""), name, data, time.monotonic()))
    listener.changed.set()


@asynccontextmanager
async def listening(http: httpx.AsyncClient, url: str, headers: Mapping[str, str]) -> AsyncIterator[Listener]:
    """Listens for the life of the block."""
    listener = Listener()
    async with http.stream("GET", url, headers=headers, timeout=httpx.Timeout(30, read=None)) as response:
        if response.status_code != 200:
            await response.aread()
        answer(response, 200)
        hearing = asyncio.create_task(_hear(response, listener))
        try:
            yield listener
        finally:
            hearing.cancel()
            await asyncio.gather(hearing, return_exceptions=True)
