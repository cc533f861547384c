"""What the demo prints: numbered steps, lines below them, a progress bar at the end of a terminal."""

from __future__ import annotations

import textwrap
import time
from types import TracebackType
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

BESIDE_THE_BAR: Final = 36
"""Characters of a step's title, so that the bar keeps its place in 80 columns."""

_COLUMNS = (
    SpinnerColumn(),
    TextColumn("{task.description}"),
    BarColumn(),
    MofNCompleteColumn(),
    TimeElapsedColumn(),
)


class Teller:
    """`with Teller(steps) as tell`: the bar lives as long as the block; lines go above it and are never wrapped."""

    def __init__(self, steps: int) -> None:
        self._console = Console(highlight=False, markup=False)
        self._progress = Progress(*_COLUMNS, console=self._console, transient=True)
        self._task: TaskID = self._progress.add_task("", total=steps)
        self._began = time.monotonic()
        self.number = 0

    def __enter__(self) -> Teller:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    @property
    def seconds(self) -> float:
        """Since the demo began."""
        return time.monotonic() - self._began

    def step(self, title: str) -> None:
        """The next step begins; the one before is done."""
        self._progress.update(self._task, completed=self.number, description=textwrap.shorten(title, BESIDE_THE_BAR))
        self.number += 1
        self.line()
        self._console.print(f"{self.number}. {title}", style="bold", soft_wrap=True)

    def now(self, doing: str) -> None:
        """What the running step is doing, beside the bar only."""
        self._progress.update(self._task, description=doing)

    def line(self, text: str = "") -> None:
        self._console.print(f"   {text}" if text else "", soft_wrap=True)
