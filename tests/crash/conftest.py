"""Data to crash on, made once: on a file, and on our own facade in the place of HAPI."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.crash.acts import IMPORT, Telling, undisturbed
from tests.crash.bundles import KINDS, Story
from tests.crash.killing import Killer, killer
from tests.crash.lives import FILE, Life, embedded, over_hapi
from tests.facade import unused_file
from tests.mirror import mirror


@pytest.fixture(scope="session")
def warm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Data of another case, which was told each kind of story: code systems have their numbers."""
    folder = tmp_path_factory.mktemp("warm")
    (folder / FILE).write_bytes(asyncio.run(unused_file()))
    asyncio.run(undisturbed(embedded(folder), Telling(Story(tuple(KINDS)))))
    return folder


@pytest.fixture(scope="session")
def death() -> Iterator[Killer]:
    with killer() as at_hand:
        yield at_hand


@pytest.fixture(scope="session")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with mirror(tmp_path_factory.mktemp("mirror"), IMPORT) as at:
        yield at


@pytest.fixture(scope="session")
def life(url: str, tmp_path_factory: pytest.TempPathFactory) -> Life:
    folder = tmp_path_factory.mktemp("rows")
    (folder / FILE).write_bytes(asyncio.run(unused_file()))
    return over_hapi(url, folder)
