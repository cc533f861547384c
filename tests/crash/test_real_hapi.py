"""A real HAPI carries out a transaction whole or not at all, and whoever starts anew finds out which."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.crash.acts import Act, Telling, undisturbed, walk
from tests.crash.bundles import SMALL, Story
from tests.crash.enrolments import Enrolment
from tests.crash.lives import FILE, over_hapi
from tests.facade import unused_file

pytestmark = pytest.mark.hapi


@pytest.mark.parametrize(
    "act",
    [Telling(Story((*SMALL, "create", "patch"))), Enrolment("patient", registers=True)],
    ids=["a transaction", "an account"],
)
def test_a_facade_that_dies_at_any_step_leaves_all_or_nothing(hapi_url: str, tmp_path: Path, act: Act) -> None:
    (tmp_path / FILE).write_bytes(asyncio.run(unused_file()))
    life = over_hapi(hapi_url, tmp_path)

    asyncio.run(walk(life, act, asyncio.run(undisturbed(life, act))))
