"""Fixtures of the journeys."""

from __future__ import annotations

import pytest

from tests.wearables import wearable_world


@pytest.fixture
async def world(tmp_path):
    async with wearable_world(tmp_path) as world:
        yield world
