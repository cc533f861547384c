"""What a running server takes of the machine, as the kernel counts it.

https://man7.org/linux/man-pages/man5/proc_pid_status.5.html
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Taken:
    """By one process. `rss_anon` counts what it shares with others in full, `pss` its part of that; both in MiB."""

    pid: int
    rss_anon: float
    pss: float
    threads: int
    descriptors: int


def family(pid: int) -> list[int]:
    """The process and its children."""
    return [pid, *map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())]


def taken(pid: int) -> Taken:
    """FileNotFoundError when it has ended."""
    status, rollup = _entries(pid, "status"), _entries(pid, "smaps_rollup")
    descriptors = sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())
    return Taken(pid, _mib(status["RssAnon"]), _mib(rollup["Pss"]), int(status["Threads"]), descriptors)


def processor_s(pids: Iterable[int]) -> float:
    """Seconds of processor time, with those of children that have ended."""
    fields = [Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split() for pid in pids]
    return sum(int(ticks) for each in fields for ticks in each[11:15]) / TICKS


def _entries(pid: int, name: str) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/{name}").read_text().splitlines()
    return {key: value for key, _, value in (line.partition(":") for line in lines)}


def _mib(value: str) -> float:
    return int(value.split(maxsplit=1)[0]) / 1024
