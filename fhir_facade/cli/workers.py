"""The worker processes of a server: parted from one that has opened nothing yet, watched, replaced, ended with it.

https://man7.org/linux/man-pages/man2/fork.2.html; each has a listening socket of its own, among which the kernel
spreads connections: https://man7.org/linux/man-pages/man7/socket.7.html (SO_REUSEPORT)
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from types import FrameType
from typing import Final

from fhir_facade.errors import FacadeError

READY: Final = b"+"
PATIENCE_S: Final = 30
"""How long workers may take to end in order; a request in flight has less."""
SHORT_LIFE_S: Final = 5.0
PAUSE_S: Final = 1.0
SIGNALS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGALRM)
_LOG = logging.getLogger("fhir_facade.serve")


@dataclass(frozen=True, slots=True)
class Worker:
    """What a worker knows of its server. `number` is kept by the one that replaces it."""

    number: int
    lifeline: int
    _ready: int

    def ready(self) -> None:
        """Say that it answers; nobody listens any more for one that took another's place."""
        with suppress(BrokenPipeError):
            os.write(self._ready, READY)
        os.close(self._ready)


Work = Callable[[Worker], None]


@dataclass
class Workers:
    """Runs `work` in `count` processes until a signal ends them. `ready` is called once when all of them answer."""

    count: int
    work: Work
    ready: Callable[[], None]
    _running: dict[int, tuple[int, float]] = field(default_factory=dict)
    _stopping: bool = False

    def run(self) -> int:
        """The exit code: 0 when it was told to end, 1 when a worker could not start."""
        self._listen_to_signals()
        reading, self._writing = os.pipe()
        self._lifeline = reading
        started = [self._start(number) for number in range(self.count)]
        answered = all(_answers(pipe) for pipe in started)
        told = self._stopping
        if answered and not told:
            self.ready()
        elif not told:
            self._end(signal.SIGTERM)
        self._wait()
        return 0 if answered or told else 1

    def _listen_to_signals(self) -> None:
        for name in (signal.SIGTERM, signal.SIGINT):
            signal.signal(name, self._told)
        signal.signal(signal.SIGALRM, lambda *_: self._end(signal.SIGKILL))

    def _told(self, sig: int, frame: FrameType | None) -> None:
        """The first signal ends all in order; Ctrl+C once more does not wait."""
        again, self._stopping = self._stopping, True
        self._end(signal.SIGINT if again and sig == signal.SIGINT else signal.SIGTERM)
        signal.alarm(PATIENCE_S)

    def _end(self, sig: signal.Signals) -> None:
        self._stopping = True
        for pid in list(self._running):
            os.kill(pid, sig)

    def _wait(self) -> None:
        while self._running:
            pid, status = os.wait()
            number, since = self._running.pop(pid)
            if not self._stopping:
                self._replace(number, since, os.waitstatus_to_exitcode(status))

    def _replace(self, number: int, since: float, code: int) -> None:
        _LOG.error("serve.worker_ended", extra={"worker": number, "exit_code": code, "now": "another takes its place"})
        if time.monotonic() - since < SHORT_LIFE_S:
            time.sleep(PAUSE_S)
        if not self._stopping:
            os.close(self._start(number))

    def _start(self, number: int) -> int:
        """The pipe on which the worker says that it answers; it ends there without a word when the worker does."""
        reading, writing = os.pipe()
        # A signal between the fork and what follows it would be answered in the worker as if it were the server.
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        pid = os.fork()
        if pid == 0:
            os.close(reading)
            os.close(self._writing)
            _run(lambda: self.work(Worker(number, self._lifeline, writing)), f"worker {number}")
        self._running[pid] = (number, time.monotonic())
        if self._stopping:  # the signal came before they were blocked
            self._end(signal.SIGTERM)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        os.close(writing)
        return reading


def apart(work: Callable[[], None]) -> int:
    """Do it in a process that ends with it, so that nothing of what it opens and loads stays; the exit code."""
    pid = os.fork()
    if pid == 0:
        _run(work, "preparation")
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status)


def _answers(pipe: int) -> bool:
    """Waits until the worker at the other end answers, or has ended."""
    try:
        return os.read(pipe, 1) == READY
    finally:
        os.close(pipe)


def _run(work: Callable[[], None], process: str) -> None:
    """Never returns: what the process before had begun is not for the worker to finish."""
    code = 1
    try:
        os.setpgid(0, 0)  # Ctrl+C reaches the server, which tells its workers
        for name in SIGNALS:
            signal.signal(name, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        work()
        code = 0
    except (SystemExit, FacadeError) as error:
        sys.stderr.write(f"{error}\n")
    except BaseException:  # noqa: BLE001 - the last line of the process
        _LOG.exception("serve.process_failed", extra={"process": process})
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
