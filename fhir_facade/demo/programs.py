"""The two servers of the demo as processes of their own: started, waited for, ended."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from fhir_facade.demo.checks import NotAsPromised

START_S = 90.0
STOP_S = 20.0
LOOK_EVERY_S = 0.05
ANY_PORT = 0
TAKEN = "address already in use"

Command = Callable[[int], tuple[list[str], Mapping[str, str]]]
"""The words and the environment of a program that is to listen on a port."""


class Program:
    """A running process that writes to the file `log`."""

    def __init__(self, name: str, process: subprocess.Popen[bytes], log: Path) -> None:
        self.name = name
        self.log = log
        self._process = process

    @property
    def ended(self) -> bool:
        return self._process.poll() is not None

    def wait_for(self, find: Callable[[str], str | None]) -> str:
        """What `find` finds in a line of the log."""
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline:
            ended = self.ended
            for line in self.log.read_text(encoding="utf-8", errors="replace").splitlines():
                if (found := find(line)) is not None:
                    return found
            if ended:
                break
            time.sleep(LOOK_EVERY_S)
        raise NotAsPromised(f"the {self.name} did not start:\n{self.last_lines()}")

    def last_lines(self, most: int = 8) -> str:
        return "\n".join(self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-most:])

    def stop(self) -> None:
        if self.ended:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


@contextmanager
def program(name: str, words: list[str], environment: Mapping[str, str], log: Path) -> Iterator[Program]:
    """`python -m …` for the life of the block, in a session of its own: Ctrl-C reaches us first, and we end it."""
    with log.open("wb") as stream:
        process = subprocess.Popen(  # noqa: S603 - our own command
            [sys.executable, "-m", *words],
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
            start_new_session=True,
        )
    running = Program(name, process, log)
    try:
        yield running
    finally:
        running.stop()


def serve(
    stack: ExitStack, name: str, command: Command, log: Path, find: Callable[[str], str | None], preferred: int
) -> tuple[Program, str]:
    """A program and its address: on the preferred port, or on any when that one is taken."""
    while True:
        running = stack.enter_context(program(name, *command(preferred), log))
        try:
            return running, running.wait_for(find)
        except NotAsPromised:
            if preferred == ANY_PORT or TAKEN not in running.last_lines().lower():
                raise
            preferred = ANY_PORT


def simulator_address(line: str) -> str | None:
    before, found, address = line.partition("vendor simulator: ")
    return address.strip() if found and not before else None


def facade_address(line: str) -> str | None:
    try:
        entry = json.loads(line)
    except ValueError:
        return None
    return entry.get("url") if entry.get("event") == "serve.listening" else None
