"""The one writer of a SQLite file: callers that wait at the same time share a commit.

What is small is written on the event loop's own thread, all else, and all while the disk is slow, on a thread of the
writer. docs/decisions/001-one-writer-with-group-commit.md
"""

from __future__ import annotations

import asyncio
import queue
import sqlite3
import threading
import time
from collections import deque
from typing import Any, TypeVar

from fhir_facade.adapters.sqlite_jobs import Done, Job, are_small, carry_out, deliver, resolve
from fhir_facade.adapters.turns import Turns
from fhir_facade.errors import Unavailable

T = TypeVar("T")

MAX_BATCH = 512
SLOW_S = 0.005
"""A commit that took longer, on whatever disk, made others wait who have nothing to write."""
SLOW_IN_A_ROW_S = 0.1
"""A single one may have waited for a processor; those in a row that took so long together wait for the disk."""
SLOW_FOR_S = 1.0
ATTEMPTS, PAUSE_S = 3, 0.001
"""How often the event loop's thread asks for the turn before the writer's thread waits for it."""
GATHER_S = 0.0005
"""How long a commit waits for callers that are on their way when the one before had more than twice as many."""


class SqliteWriter:
    """Owns BEGIN and COMMIT on its connection from `start` to `stop`; who reads there in between holds `writing`.

    Commits are begun `apart_s` after the one before while callers come in numbers; who comes alone waits for nobody.
    """

    def __init__(self, connection: sqlite3.Connection, turns: Turns, *, apart_s: float) -> None:
        self.connection = connection
        self.writing = threading.Lock()
        self._turns = turns
        self._apart_s = apart_s
        self._apart_until = 0.0
        self._expected = 0.0
        self._waiting: deque[Job[Any]] = deque()
        self._queue: queue.SimpleQueue[list[Job[Any]] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="sqlite-writer", daemon=True)
        self._slow_until = 0.0
        self._slow_s = 0.0

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Commit what waits."""
        self._hand_over(attempt=ATTEMPTS + 1)
        self._queue.put(None)
        self._thread.join()

    def submitted(self, job: Job[T]) -> asyncio.Future[T]:
        """Waits from the call on; the future is done after the commit."""
        if not self._waiting:
            in_numbers = self._expected > 1
            wait_s = self._apart_until - time.monotonic() if self._apart_s and in_numbers else 0.0
            if wait_s > 0:
                job.loop.call_later(wait_s, self._hand_over)
            elif in_numbers:  # one turn of the loop later: whose requests have arrived by now come along
                job.loop.call_soon(lambda: job.loop.call_soon(self._hand_over))
            else:
                job.loop.call_soon(self._hand_over)
        self._waiting.append(job)
        return job.future

    def _hand_over(self, attempt: int = 1) -> None:
        """All that asked by now are written at once: here when that is quick, else there."""
        jobs = list(self._waiting)
        if not jobs:
            return
        here = attempt <= ATTEMPTS and are_small(jobs) and time.monotonic() >= self._slow_until
        done = self._written_here(jobs) if here else None
        if here and done is None:
            jobs[0].loop.call_later(PAUSE_S, self._hand_over, attempt + 1)
            return
        self._waiting.clear()
        self._expected = max(len(jobs), self._expected / 2)  # one who came alone may have been an exception
        self._apart_until = time.monotonic() + self._apart_s
        if done is None:
            self._queue.put(jobs)
        else:
            resolve(done)

    def _written_here(self, jobs: list[Job[Any]]) -> list[Done] | None:
        """Small work is carried out on the event loop's own thread: two threads that pass the interpreter to and fro
        take longer than the work. None, and nothing was done, when somebody else writes."""
        if not self.writing.acquire(blocking=False):
            return None
        try:
            if not self._turns.taken_at_once():
                return None
            began = time.monotonic()
            try:
                return self._carried_out(jobs)
            finally:
                self._turns.give()
                self._took(time.monotonic() - began)
        finally:
            self.writing.release()

    def _took(self, seconds: float) -> None:
        """What a slow disk makes wait is the writer's thread, for a while."""
        self._slow_s = self._slow_s + seconds if seconds > SLOW_S else 0.0
        if self._slow_s > SLOW_IN_A_ROW_S:
            self._slow_until = time.monotonic() + SLOW_FOR_S

    def _run(self) -> None:
        expected = 0
        while (batch := self._queue.get()) is not None:
            stop = self._gather(batch)
            if not stop and 2 * len(batch) < expected:
                time.sleep(GATHER_S)
                stop = self._gather(batch)
            expected = len(batch)
            self._commit(batch)
            del batch  # else a large transaction stays in memory until the next one comes
            if stop:
                return

    def _gather(self, batch: list[Job[Any]]) -> bool:
        """Add all that wait by now; True when the file is to be closed after them."""
        while len(batch) < MAX_BATCH:
            try:
                following = self._queue.get_nowait()
            except queue.Empty:
                return False
            if following is None:
                return True
            batch.extend(following)
        return False

    def _commit(self, batch: list[Job[Any]]) -> None:
        with self.writing:
            self._turns.take()
            try:
                done = self._carried_out(batch)
            finally:
                self._turns.give()
        deliver(done)

    def _carried_out(self, batch: list[Job[Any]]) -> list[Done]:
        connection = self.connection
        try:
            return carry_out(connection, batch)
        except sqlite3.Error as error:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            failure = Unavailable(f"the data file could not be written: {error}")
            return [(job, None, failure) for job in batch]
