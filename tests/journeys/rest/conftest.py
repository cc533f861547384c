"""One facade for all tests of a file, on each store: a test takes resources of its own instead of an empty store."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio

from tests.deployments import HAPI
from tests.facade import Facade, embedded_facade


@pytest.fixture(scope="module", params=["embedded", HAPI])
def chosen(request: pytest.FixtureRequest) -> dict[str, Any]:
    """The settings that choose the store, and those that the file of the test asks for as SETTINGS."""
    asked: dict[str, Any] = getattr(request.module, "SETTINGS", {})
    if request.param == "embedded":
        return {"store": "embedded"} | asked
    hapi, rows = (request.getfixturevalue(name) for name in ("hapi_url", "module_database_url"))
    return {"store": "hapi", "hapi_url": hapi, "database_url": rows} | asked


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def facade(chosen: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Facade]:
    async with embedded_facade(tmp_path_factory.mktemp("facade"), **chosen) as opened:
        yield opened


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(facade: Facade) -> AsyncIterator[httpx.AsyncClient]:
    """Holds a token that may do everything."""
    async with await facade.client() as opened:
        opened.headers["Content-Type"] = "application/fhir+json"
        yield opened


@pytest.fixture
def mark() -> str:
    """A value of the test's own, to tell its resources from those of others."""
    return uuid.uuid4().hex[:12]
