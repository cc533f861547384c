"""Processes that are killed before the n-th statement of the writer of their data file.

They part from one process that has loaded everything and told each kind of story once, so that a death costs little
more than what is done before it. https://man7.org/linux/man-pages/man2/fork.2.html
"""

from __future__ import annotations

import asyncio
import copy
import os
import pickle
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from fhir_facade.adapters.embedded.schema import INDEX_TABLES
from tests.crash.acts import Act, Telling, prepared, seen, undisturbed
from tests.crash.bundles import KINDS, Story
from tests.crash.lives import FILE, Case, embedded
from tests.crash.steps import Steps

ROOT = Path(__file__).resolve().parents[2]
LOG = f"{FILE}-wal"
ALL = ("fhir_resource", "fhir_version", *INDEX_TABLES, "event", "account", "intent", "intent_key")
SOME = {
    "alert_guard": "id LIKE '%/%'",  # a mark that there may be a guard is made before, and harms nobody
    "audit": "action != 'read' AND coalesce(detail, '') != 'found instead of created'",  # reads come after the writes
}


@dataclass(frozen=True, slots=True)
class Life:
    """What a process does with the data in `folder`, and before which statement it dies, counted from 0; when there
    are no more, once it is done."""

    folder: Path
    case: Case
    act: Act
    before: int

    def live(self) -> None:
        reached = iter(range(self.before))

        def trace(_writer: sqlite3.Connection, _statement: str) -> None:
            if next(reached, None) is None:
                os.kill(os.getpid(), signal.SIGKILL)

        asyncio.run(self._ask(trace))

    async def _ask(self, trace: Any) -> None:
        async with embedded(self.folder, trace)(self.case, Steps()) as ports:
            await self.act.ask(ports, self.case)
            os.kill(os.getpid(), signal.SIGKILL)


@dataclass(frozen=True, slots=True)
class Killer:
    """The process from which they part."""

    told: IO[bytes]
    answered: IO[bytes]

    def kill(self, life: Life) -> None:
        """Returns when it is dead."""
        pickle.dump(life, self.told)
        self.told.flush()
        signals = self.answered.readline().decode().strip()
        assert signals == str(int(signal.SIGKILL)), f"it ended otherwise: {signals}"


@contextmanager
def killer() -> Iterator[Killer]:
    command = [sys.executable, "-m", __name__]
    process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin is not None
    assert process.stdout is not None
    with process, process.stdin, process.stdout:
        yield Killer(process.stdin, process.stdout)


def serve() -> None:
    """One life after the other until there is nobody to ask for more."""
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(undisturbed(embedded(Path(folder)), Telling(Story(tuple(KINDS)))))
    while True:
        try:
            life: Life = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        child = os.fork()
        if not child:
            life.live()
            os._exit(0)  # it was to be killed
        print(os.WTERMSIG(os.waitpid(child, 0)[1]), flush=True)


def copied(folder: Path, to: Path) -> Path:
    """The data again, for another life."""
    shutil.copytree(folder, to)
    return to


@dataclass
class Told:
    """What is asked for, done in `finished` and in `folder` not yet: copies of `folder` are data to crash on. `case` as
    it is before, `end` as it is after."""

    act: Act
    folder: Path
    finished: Path
    case: Case
    end: Case
    before: Any
    after: Any
    statements: list[str]
    log: bytes
    begin_of_log: int

    @property
    def commit(self) -> int:
        """The statement that makes it happen."""
        return max(at for at, text in enumerate(self.statements) if text == "COMMIT")

    def found(self, folder: Path) -> Any:
        return asyncio.run(seen(embedded(folder), self.end, self.act, self.after))

    @property
    def begin(self) -> int:
        """That which opens its transaction: whoever dies before it has not begun."""
        return max(at for at, text in enumerate(self.statements[: self.commit]) if text.startswith("BEGIN"))

    def kill_before(self, statement: int, folder: Path, by: Killer) -> None:
        by.kill(Life(copied(self.folder, folder), self.case, self.act, statement))


async def told(warm: Path, base: Path, act: Act) -> Told:
    folder = copied(warm, base / "before")
    case = await prepared(embedded(folder), act)
    finished, end, statements = copied(folder, base / "finished"), copy.deepcopy(case), list[str]()
    async with embedded(finished, lambda _, statement: statements.append(statement))(end, Steps()) as ports:
        begin = (finished / LOG).stat().st_size
        await act.ask(ports, end)
        log = (finished / LOG).read_bytes()
    after = await seen(embedded(finished), end, act)
    before = await seen(embedded(folder), end, act, after)
    return Told(act, folder, finished, case, end, before, after, statements, log, begin)


def dump(path: Path) -> dict[str, list[Any]]:
    """All that the file says of resources, bodies, versions and index rows, and of what follows from them."""
    wanted = dict.fromkeys(ALL, "1") | SOME
    with closing(sqlite3.connect(path)) as database:
        return {
            table: sorted(database.execute(f"SELECT * FROM {table} WHERE {which}"), key=repr)
            for table, which in wanted.items()
        }


def torn(log: bytes, start: int) -> Iterator[bytes]:
    """The write-ahead log as a machine leaves it that stops while it is written from `start` on: after each frame and
    in the middle of each. https://sqlite.org/fileformat2.html#walformat"""
    page = int.from_bytes(log[8:12])
    frame = 24 + page
    for end in range(max(start, 32), len(log) + 1, frame):
        yield log[:end]
        yield log[: end + frame // 2]


if __name__ == "__main__":
    serve()
