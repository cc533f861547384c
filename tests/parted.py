"""Processes that run the command, parted from one that has loaded the facade: to load it takes nearly all that a start
costs, and tests start hundreds.

Each has an environment, files and signals of its own. What a start loads, holds and leaves is asked of processes that
start from nothing. https://docs.python.org/3/library/multiprocessing.html#contexts-and-start-methods
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from tests.patience import PATIENCE_S

_PARTING = multiprocessing.get_context("forkserver")
_PARTING.set_forkserver_preload(["tests.loaded"])
_FLAGS = (os.O_RDONLY, os.O_WRONLY | os.O_CREAT | os.O_APPEND, os.O_WRONLY | os.O_CREAT | os.O_APPEND)


class Parted:
    """`fhir-facade WORDS` under way; what tests use of `subprocess.Popen`. The files are those of its standard streams."""

    def __init__(
        self, words: tuple[str, ...], env: Mapping[str, str], out: Path, log: Path, given: Path = Path(os.devnull)
    ) -> None:
        self._words = words
        files = tuple(str(path) for path in (given, out, log))
        self._process = _PARTING.Process(target=_run, args=(words, dict(env), files), daemon=True)
        self._process.start()

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    def poll(self) -> int | None:
        """The exit code, or minus the number of the signal that ended it; None while it runs."""
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        code = self._process.exitcode
        if code is None:
            raise subprocess.TimeoutExpired(self._words, timeout or 0)
        return code

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def run(env: Mapping[str, str], *words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """The command to its end, whichever that is."""
    with tempfile.TemporaryDirectory() as folder:
        given, out, log = (Path(folder) / name for name in ("given", "out", "log"))
        given.write_text(stdin)
        process = Parted(words, env, out, log, given)
        try:
            code = process.wait(PATIENCE_S)
        finally:
            process.kill()
        return subprocess.CompletedProcess(words, code, out.read_text(), log.read_text())


def _run(words: tuple[str, ...], env: dict[str, str], files: tuple[str, ...]) -> None:
    """In the new process."""
    for stream, (path, flags) in enumerate(zip(files, _FLAGS, strict=True)):
        opened = os.open(path, flags, 0o644)
        os.dup2(opened, stream)
        os.close(opened)
    sys.stdin, sys.stdout = os.fdopen(0, closefd=False), os.fdopen(1, "w", closefd=False)
    sys.stderr = os.fdopen(2, "w", buffering=1, closefd=False)
    os.environ.clear()
    os.environ.update(env)
    time.tzset()
    sys.argv = ["fhir-facade", *words]
    from fhir_facade.__main__ import main

    main()
