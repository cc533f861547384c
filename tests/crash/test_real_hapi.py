"""A real HAPI carries out a transaction whole or not at all, and whoever starts anew finds out which."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.crash.acts import Act, Telling, overtaken, undisturbed, walk
from tests.crash.bundles import SMALL, Story
from tests.crash.enrolments import Posted
from tests.crash.lives import FILE, Life, over_hapi
from tests.facade import unused_file

pytestmark = pytest.mark.hapi


TRANSACTION = Telling(Story((*SMALL, "create", "patch")))


@pytest.mark.parametrize(
    "act",
    [TRANSACTION, Posted("patient", registers=True)],
    ids=["a transaction", "an account"],
)
def test_a_facade_that_dies_at_any_step_leaves_all_or_nothing(hapi_url: str, tmp_path: Path, act: Act) -> None:
    life = life_on(hapi_url, tmp_path)

    asyncio.run(walk(life, act, asyncio.run(undisturbed(life, act))))


def test_a_transaction_that_hapi_carries_out_when_the_next_process_has_looked_happens_whole(
    hapi_url: str, tmp_path: Path
) -> None:
    life = life_on(hapi_url, tmp_path)
    whole = asyncio.run(undisturbed(life, TRANSACTION))

    assert asyncio.run(overtaken(life, TRANSACTION, whole, hapi_url)) == whole.after


def life_on(hapi_url: str, folder: Path) -> Life:
    (folder / FILE).write_bytes(asyncio.run(unused_file()))
    return over_hapi(hapi_url, folder)
