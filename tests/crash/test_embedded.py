"""On one data file a transaction happens whole or not at all, also when the process or the machine dies in it."""

from __future__ import annotations

import asyncio
import copy
import shutil
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fhir_facade.errors import Unavailable
from tests.crash.acts import ask, prepared, seen, undisturbed
from tests.crash.bundles import KINDS, RICH, Story
from tests.crash.killing import Killer, Life, copied, dump, killer, torn
from tests.crash.lives import FILE, Case, embedded
from tests.crash.sights import Sight, sight
from tests.crash.steps import Steps
from tests.facade import unused_file

LOG = f"{FILE}-wal"


@dataclass
class Told:
    """A story, told in `finished` to its end and in `folder` not at all: copies of `folder` are data to crash on.
    `case` as it is before the story, `end` as it is after it."""

    story: Story
    folder: Path
    finished: Path
    case: Case
    end: Case
    before: Sight
    after: Sight
    statements: list[str]
    log: bytes
    begin_of_log: int

    @property
    def commit(self) -> int:
        """The statement that makes it happen."""
        return max(at for at, text in enumerate(self.statements) if text == "COMMIT")

    def found(self, folder: Path) -> Sight:
        return asyncio.run(seen(embedded(folder), self.end, self.story, self.after))

    def killed_before(self, statement: int, folder: Path, by: Killer) -> Sight:
        by.kill(Life(copied(self.folder, folder), self.case, self.story, ask, statement))
        return self.found(folder)


class Interruption:
    """Ends the statement with this number before it is done."""

    def __init__(self, at: int) -> None:
        self._at = at
        self._numbers = count()

    def __call__(self, writer: sqlite3.Connection, _statement: str) -> None:
        if next(self._numbers) == self._at:
            writer.interrupt()


async def told(warm: Path, base: Path, story: Story) -> Told:
    folder = copied(warm, base / "before")
    case = await prepared(embedded(folder), story)
    finished, end, statements = copied(folder, base / "finished"), copy.deepcopy(case), list[str]()
    async with embedded(finished, lambda _, statement: statements.append(statement))(end, Steps()) as ports:
        begin = (finished / LOG).stat().st_size
        await ask(ports, end, story)
        log = (finished / LOG).read_bytes()
    after = await seen(embedded(finished), end, story)
    before = await seen(embedded(folder), case, story, after)
    return Told(story, folder, finished, case, end, before, after, statements, log, begin)


@pytest.fixture(scope="module")
def warm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Data of another case, which was told each kind of story: code systems have their numbers."""
    folder = tmp_path_factory.mktemp("warm")
    (folder / FILE).write_bytes(asyncio.run(unused_file()))
    asyncio.run(undisturbed(embedded(folder), Story(tuple(KINDS))))
    return folder


@pytest.fixture(scope="module")
def rich(warm: Path, tmp_path_factory: pytest.TempPathFactory) -> Told:
    return asyncio.run(told(warm, tmp_path_factory.mktemp("rich"), Story((*RICH, "read"))))


@pytest.fixture(scope="module")
def death() -> Iterator[Killer]:
    with killer() as at_hand:
        yield at_hand


def test_a_process_that_is_killed_before_any_statement_has_done_all_or_nothing(
    rich: Told, death: Killer, tmp_path: Path
) -> None:
    """What the file says is the same to the last byte as before or after, so one look at each is enough."""
    for at in range(len(rich.statements) + 1):
        death.kill(Life(copied(rich.folder, tmp_path / str(at)), rich.case, rich.story, ask, at))
        expected = rich.finished if at > rich.commit else rich.folder
        assert dump(tmp_path / str(at) / FILE) == dump(expected / FILE), f"killed before {rich.statements[at]}"

    assert rich.found(tmp_path / str(rich.commit)) == rich.before
    assert rich.found(tmp_path / str(rich.commit + 1)) == rich.after


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
                await ask(ports, case, rich.story)
            assert await sight(ports, rich.end, rich.story, rich.after) == rich.before, (
                f"interrupted in {rich.statements[at]}"
            )
            assert (await ask(ports, case, rich.story)).status == 200


@settings(max_examples=15)
@given(kinds=st.lists(st.sampled_from(sorted(KINDS)), min_size=1, max_size=8), where=st.floats(0, 1))
def test_any_transaction_that_is_killed_anywhere_has_happened_whole_or_not_at_all(
    warm: Path, death: Killer, tmp_path_factory: pytest.TempPathFactory, kinds: list[str], where: float
) -> None:
    base = tmp_path_factory.mktemp("any")
    any_story = asyncio.run(told(warm, base, Story(tuple(kinds))))

    found = any_story.killed_before(round(where * len(any_story.statements)), base / "killed", death)

    assert found in (any_story.before, any_story.after)
