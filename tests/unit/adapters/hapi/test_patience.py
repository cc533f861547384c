"""HAPI that does not answer in time: who asked is told what to do next."""

from __future__ import annotations

import asyncio
from typing import Literal

import pytest

from fhir_facade.adapters.hapi.session import HapiSession
from fhir_facade.errors import Unavailable


@pytest.mark.parametrize(
    ("method", "path", "told"),
    [
        ("GET", "/Patient/p", "try again later"),
        ("POST", "/Patient/_search", "try again later"),
        ("PUT", "/Patient/p", "look before you ask for it again"),
    ],
)
async def test_a_write_without_an_answer_may_still_happen(
    method: Literal["GET", "POST", "PUT"], path: str, told: str
) -> None:
    """A reading with 15,000 components took HAPI two minutes: it was refused after one, and written."""
    ended = asyncio.Event()

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()
        ended.set()

    silent = await asyncio.start_server(listen, "127.0.0.1", 0)
    host, port = silent.sockets[0].getsockname()
    session = HapiSession(f"http://{host}:{port}/fhir", pool_size=1)

    with pytest.raises(Unavailable, match=told):
        await session.send(method, path, None if method == "GET" else b"{}", timeout_s=0.05)

    await session.close()
    await ended.wait()
    silent.close()
