"""One facade on each store for all tests of a module; each test has a patient of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.deployments import HAPI
from tests.journeys.operations.world import Bedside, World
from tests.ward import facade_on


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["embedded", HAPI])
async def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    folder: Path = tmp_path_factory.mktemp("operations")
    async with facade_on(request.param, request, folder) as facade, await facade.client() as system:
        yield World(facade, system)


@pytest_asyncio.fixture(loop_scope="module")
async def bedside(world: World) -> Bedside:
    return await world.new_patient()
