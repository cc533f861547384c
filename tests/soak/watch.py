"""Looks at a running server every few seconds from outside: its processes, its files, its rows that come and go."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from contextlib import closing
from pathlib import Path

from tests.bench.processes import family, taken
from tests.soak.judge import ALONE, DESCRIPTORS, MEMORY, ROWS, THREADS, WAL, Bound, Verdict, judge

MIB = 1 << 20
COMING_AND_GOING = (
    "session",
    "pending_connection",
    "launch",
    "intent",
    "intent_key",
    "login_throttle",
    "due_mail",
)
"""Tables whose rows end with what they are for. Others stay until they expire, so that a second use is recognised:
authorizations that were decided for a quarter of an hour, codes and tokens for a day after their end."""


class Watch:
    """Keeps what was seen: series by name, each with its bound. The processes must stay the same."""

    def __init__(self, pid: int, data: Path) -> None:
        self.pids = family(pid)
        self._data = data
        self.looks = 0
        self.seen: dict[tuple[str, Bound], list[tuple[float, float]]] = defaultdict(list)

    def look(self, at: float) -> None:
        """FileNotFoundError when a process has ended."""
        self.looks += 1
        descriptors = 0
        for number, pid in enumerate(self.pids):
            name = f"worker {number}" if number else "watching process"
            held = taken(pid)
            self.seen[f"{name}: RssAnon", MEMORY].append((at, held.rss_anon))
            descriptors += held.descriptors
            self.seen[f"{name}: threads", THREADS if number else ALONE].append((at, held.threads))
        # together, because the kernel hands connections to one worker or the other as it likes
        self.seen["descriptors", DESCRIPTORS].append((at, descriptors))
        wal = self._data.with_name(f"{self._data.name}-wal")
        self.seen["write-ahead log", WAL].append((at, wal.stat().st_size / MIB if wal.exists() else 0.0))
        with closing(sqlite3.connect(f"file:{self._data}?mode=ro", uri=True, timeout=30)) as connection:
            for table in COMING_AND_GOING:
                (count,) = connection.execute(f'SELECT count(*) FROM "{table}"').fetchone()
                self.seen[f"rows: {table}", ROWS].append((at, count))

    def memory(self) -> dict[str, list[tuple[float, float]]]:
        return {name: series for (name, bound), series in self.seen.items() if bound is MEMORY}

    def verdicts(self) -> list[Verdict]:
        return [judge(name, series, bound) for (name, bound), series in self.seen.items()]

    def now(self) -> str:
        """One line: the memory of each process, descriptors, the log and the rows."""
        last = {key: series[-1][1] for key, series in self.seen.items()}
        memory = " ".join(f"{value:.0f}" for (_, bound), value in last.items() if bound is MEMORY)
        rows = sum(value for (_, bound), value in last.items() if bound is ROWS)
        descriptors, wal = last["descriptors", DESCRIPTORS], last["write-ahead log", WAL]
        return f"RssAnon {memory} MiB, {descriptors:.0f} descriptors, log {wal:.0f} MiB, {rows:.0f} rows"
