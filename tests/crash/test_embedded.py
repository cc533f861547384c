"""On one data file a transaction happens whole or not at all, also when the process or the machine dies in it."""

from __future__ import annotations

import asyncio
import copy
import shutil
import sqlite3
from itertools import count
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fhir_facade.errors import Unavailable
from tests.crash.acts import Parting, Telling
from tests.crash.bundles import APART, KINDS, RICH, Story
from tests.crash.killing import LOG, Killer, Told, copied, dump, told, torn
from tests.crash.lives import FILE, embedded
from tests.crash.steps import Steps

pytestmark = pytest.mark.xdist_group("crash on one file")


@pytest.fixture(scope="module")
def rich(warm: Path, tmp_path_factory: pytest.TempPathFactory) -> Told:
    return asyncio.run(told(warm, tmp_path_factory.mktemp("rich"), Telling(Story((*RICH, "read")))))


class Interruption:
    """Ends the statement with this number before it is done."""

    def __init__(self, at: int) -> None:
        self._at = at
        self._numbers = count()

    def __call__(self, writer: sqlite3.Connection, _statement: str) -> None:
        if next(self._numbers) == self._at:
            writer.interrupt()


def test_a_process_that_is_killed_before_any_statement_has_done_all_or_nothing(
    rich: Told, death: Killer, tmp_path: Path
) -> None:
    """What the file says is the same to the last byte as before or after, so one look at each is enough."""
    for at in range(len(rich.statements) + 1):
        rich.kill_before(at, tmp_path / str(at), death)
        expected = rich.finished if at > rich.commit else rich.folder
        assert dump(tmp_path / str(at) / FILE) == dump(expected / FILE), f"killed before {rich.statements[at]}"

    assert rich.found(tmp_path / str(rich.commit)) == rich.before
    assert rich.found(tmp_path / str(rich.commit + 1)) == rich.after


def test_each_entry_of_a_batch_that_is_killed_anywhere_has_happened_whole_or_not_at_all(
    warm: Path, death: Killer, tmp_path: Path
) -> None:
    apart = asyncio.run(told(warm, tmp_path, Parting(Story(APART))))
    names = [each.partition("/")[2] for each in apart.after.resources if "ward" not in each]
    parted = 0
    for at in range(0, len(apart.statements), 3):
        apart.kill_before(at, tmp_path / str(at), death)
        found = apart.found(tmp_path / str(at))
        for name in names:
            assert found.about(name) in (apart.before.about(name), apart.after.about(name)), apart.statements[at]
        parted += found not in (apart.before, apart.after)
    assert parted


def test_a_log_that_ends_anywhere_holds_all_or_nothing(rich: Told, tmp_path: Path) -> None:
    """The machine stops while a commit is on its way to the disk."""
    before, after = dump(rich.folder / FILE), dump(rich.finished / FILE)
    outcomes = []
    for number, log in enumerate(torn(rich.log, rich.begin_of_log)):
        folder = tmp_path / str(number)
        folder.mkdir()
        shutil.copyfile(rich.folder / FILE, folder / FILE)
        (folder / LOG).write_bytes(log)
        found = dump(folder / FILE)
        assert found in (before, after), f"torn after {len(log)} bytes"
        outcomes.append(found == after)

    assert outcomes == sorted(outcomes)
    assert set(outcomes) == {False, True}


async def test_a_statement_that_fails_undoes_all_and_the_process_goes_on(rich: Told, tmp_path: Path) -> None:
    """It is interrupted, which for SQLite is as bad as a full disk; those that only look go on all the same."""
    for at in [at for at in range(rich.commit + 1) if not rich.statements[at].startswith("SELECT")]:
        folder, case = copied(rich.folder, tmp_path / str(at)), copy.deepcopy(rich.case)
        async with embedded(folder, Interruption(at))(case, Steps()) as ports:
            with pytest.raises(Unavailable, match="interrupted"):
                await rich.act.ask(ports, case)
            assert await rich.act.see(ports, rich.end, rich.after) == rich.before, (
                f"interrupted in {rich.statements[at]}"
            )
            assert await rich.act.ask(ports, case)


@settings(max_examples=15)
@given(kinds=st.lists(st.sampled_from(sorted(KINDS)), min_size=1, max_size=8), where=st.floats(0, 1))
def test_any_transaction_that_is_killed_anywhere_has_happened_whole_or_not_at_all(
    warm: Path, death: Killer, tmp_path_factory: pytest.TempPathFactory, kinds: list[str], where: float
) -> None:
    base = tmp_path_factory.mktemp("any")
    any_story = asyncio.run(told(warm, base, Telling(Story(tuple(kinds)))))

    any_story.kill_before(round(where * len(any_story.statements)), base / "killed", death)

    assert any_story.found(base / "killed") in (any_story.before, any_story.after)
