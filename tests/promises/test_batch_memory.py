"""A batch of 10,000 entries takes memory for what was sent and what is answered, and gives it back."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.facade import embedded_facade

ENTRIES = 10_000
STATUS = Path("/proc/self/status")
MIB = 1024 * 1024
MARGIN = 40 * MIB

pytestmark = pytest.mark.skipif(not STATUS.exists(), reason="only Linux tells what memory a process has")


def anonymous_bytes() -> int:
    found = re.search(r"RssAnon:\s+(\d+) kB", STATUS.read_text())
    assert found is not None
    return int(found[1]) * 1024


@contextlib.asynccontextmanager
async def watched() -> AsyncIterator[list[int]]:
    """The memory of this process, looked at again and again."""
    seen = [anonymous_bytes()]

    async def look() -> None:
        while True:
            seen.append(anonymous_bytes())
            await asyncio.sleep(0.01)

    task = asyncio.create_task(look())
    try:
        yield seen
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def batch(entries: int) -> bytes:
    """A kilobyte per entry, and hardly any work: it is about the Bundle, not about what is in it."""
    resource = {"resourceType": "Parameters", "parameter": [{"name": "x", "valueString": "x" * 1000}]}
    entry = {"resource": resource, "request": {"method": "POST", "url": "$versions"}}
    return json.dumps({"resourceType": "Bundle", "type": "batch", "entry": [entry] * entries}).encode()


async def test_memory_follows_the_bytes_and_not_the_number_of_batches(tmp_path: Path) -> None:
    body = batch(ENTRIES)
    peaks = []
    async with embedded_facade(tmp_path) as facade, await facade.client() as client:
        client.timeout = 120
        await client.post("/fhir", content=batch(100))
        base = anonymous_bytes()
        for _ in range(2):
            async with watched() as seen:
                answer = await client.post("/fhir", content=body)
                assert answer.text.count('"200 OK"') == ENTRIES
            peaks.append(max(seen))
    assert peaks[0] - base < 4 * len(body) + MARGIN
    assert peaks[1] - peaks[0] < MARGIN
