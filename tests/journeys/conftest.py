"""Fixtures of the journeys: a facade on each store there is (tests/deployments.py)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.facade import Facade, embedded_facade
from tests.wearables import World, wearable_world


@pytest.fixture
async def facade(tmp_path: Path, deployment: dict[str, Any]) -> AsyncIterator[Facade]:
    async with embedded_facade(tmp_path, **deployment) as opened:
        yield opened


@pytest.fixture
async def client(facade: Facade) -> AsyncIterator[httpx.AsyncClient]:
    """Holds a token that may do everything."""
    async with await facade.client() as opened:
        yield opened


@pytest.fixture
async def world(tmp_path: Path, deployment: dict[str, Any]) -> AsyncIterator[World]:
    async with wearable_world(tmp_path, **deployment) as opened:
        yield opened
