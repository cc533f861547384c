"""The table of a benchmark run: medians, ratios, the targets, and what a reader has to know to believe them."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from statistics import median

import msgspec

PACKAGES = ("uvicorn", "uvloop", "httptools", "starlette", "msgspec", "jsonschema-rs")
BARE, EMBEDDED, HAPI, OVER = "bare framework", "embedded", "HAPI alone", "facade over HAPI"
PYTHON, JAVA, POSTGRESQL, LOADER = "Python", "Java", "PostgreSQL", "load generator"
PARTS = (PYTHON, JAVA, POSTGRESQL)


class Sample(msgspec.Struct):
    """One round. `cpu_ms` is the processor time per answer of each part of the server, and of the load generator;
    empty if not known."""

    per_second: float
    p50_ms: float
    p99_ms: float
    cpu_ms: dict[str, float]
    client_share: float


class Cell(msgspec.Struct):
    operation: str
    concurrency: int
    server: str
    samples: list[Sample] = []

    @property
    def per_second(self) -> float:
        return median(sample.per_second for sample in self.samples)

    @property
    def p50_ms(self) -> float:
        return median(sample.p50_ms for sample in self.samples)

    @property
    def p99_ms(self) -> float:
        return median(sample.p99_ms for sample in self.samples)

    @property
    def cpu_ms(self) -> float | None:
        """Of the whole server; None if not known."""
        known = [sum(sample.cpu_ms[part] for part in PARTS if part in sample.cpu_ms) for sample in self.samples]
        return median(known) if all(sample.cpu_ms for sample in self.samples) else None

    def part_ms(self, part: str) -> float | None:
        """Of one of its processes; None if it has none of that kind, or it is not known."""
        known = [sample.cpu_ms[part] for sample in self.samples if part in sample.cpu_ms]
        return median(known) if known else None


class Run(msgspec.Struct):
    machine: str
    patients: int
    observations: int
    seconds: float
    rounds: int
    at: datetime = msgspec.field(default_factory=lambda: datetime.now(UTC))
    command: str = ""
    left_out: str = ""
    published: bool = False
    """Whether the data are those of Synthea."""
    versions: dict[str, str] = {}
    cells: list[Cell] = []

    def cell(self, operation: str, concurrency: int, server: str) -> Cell | None:
        wanted = (operation, concurrency, server)
        return next((c for c in self.cells if (c.operation, c.concurrency, c.server) == wanted), None)

    def ratio(self, operation: str, concurrency: int, server: str, to: str) -> float | None:
        """Of the throughputs of each round, then the median: what disturbs a round disturbs both."""
        ours, theirs = self.cell(operation, concurrency, server), self.cell(operation, concurrency, to)
        if ours is None or theirs is None:
            return None
        pairs = zip(ours.samples, theirs.samples, strict=True)
        return median(one.per_second / other.per_second for one, other in pairs)


class Target(msgspec.Struct):
    """What is promised: a measure, the bound, and whether it is a floor or a ceiling."""

    text: str
    value: float | None
    bound: float
    at_least: bool = True
    unit: str = ""

    @property
    def holds(self) -> bool | None:
        if self.value is None:
            return None
        return self.value >= self.bound if self.at_least else self.value <= self.bound


FULL = 32
READ_ROUNDS = 3
"""So many rounds of reads for each of others: they are the shortest, and what the machine gives changes them most."""
Floor = tuple[str, str, str, float]
FLOORS: tuple[Floor, ...] = (
    ("read", EMBEDDED, HAPI, 4),
    ("create", EMBEDDED, HAPI, 4),
    ("update", EMBEDDED, HAPI, 4),
    ("import", EMBEDDED, HAPI, 3),
    ("search", EMBEDDED, HAPI, 8),
    ("mixed", EMBEDDED, HAPI, 5),
    ("read", EMBEDDED, BARE, 0.35),
    ("read", OVER, HAPI, 0.7),
    ("create", OVER, HAPI, 0.7),
    ("search", OVER, HAPI, 0.7),
)
PUBLISHED_FLOORS: tuple[Floor, ...] = (
    ("read", EMBEDDED, HAPI, 5),
    ("create", EMBEDDED, HAPI, 5),
    ("update", EMBEDDED, HAPI, 5),
    ("import", EMBEDDED, HAPI, 3),
    ("search", EMBEDDED, HAPI, 10),
    ("mixed", EMBEDDED, HAPI, 5),
    ("read", OVER, HAPI, 0.7),
    ("create", OVER, HAPI, 0.7),
    ("search", OVER, HAPI, 0.7),
)
ADDED_MS = 2.0


def targets(run: Run) -> list[Target]:
    found = [
        Target(f"{operation} at {FULL}: {server} / {to}", run.ratio(operation, FULL, server, to), bound)
        for operation, server, to, bound in (PUBLISHED_FLOORS if run.published else FLOORS)
    ]
    over, alone = run.cell("read", 1, OVER), run.cell("read", 1, HAPI)
    added = over.p50_ms - alone.p50_ms if over and alone else None
    return [*found, Target("read at 1: added at the median by the facade over HAPI", added, ADDED_MS, False, " ms")]


def machine() -> str:
    """Class of the machine, without its name."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{cores} cores ({_processor()}), {memory:.0f} GiB, {platform.system()} {platform.release().split('-')[0]}"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def software() -> str:
    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    return f"CPython {platform.python_version()}, {packages}, {_java()}"


def _java() -> str:
    try:
        said = subprocess.run(["java", "-version"], capture_output=True, text=True, check=True).stderr
    except (OSError, subprocess.CalledProcessError):
        return "no Java"
    return said.splitlines()[0].replace('"', "")


def encoded(run: Run) -> bytes:
    return msgspec.json.format(msgspec.json.encode(run), indent=1)


def markdown(run: Run) -> str:
    servers = [name for name in (BARE, EMBEDDED, HAPI, OVER) if any(cell.server == name for cell in run.cells)]
    parts = [_head(run), _table(run, servers), _cpu(run, servers), _targets(run)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _head(run: Run) -> str:
    lines = [
        f"- {run.at:%Y-%m-%d %H:%M} UTC, {run.machine}",
        f"- {software()}",
        f"- {'; '.join(f'{name}: {said}' for name, said in run.versions.items())}",
        f"- {run.observations:,} Observations of {run.patients} patients{' and the rest of their lives' if run.published else ''}",
        f"- medians of {run.rounds} alternating rounds of {run.seconds:g} s, of reads at {FULL} of {READ_ROUNDS * run.rounds}",
        f"- load generator: {_client(run)}",
        f"- `{run.command}`",
    ]
    return "\n".join(lines + ([f"- **{run.left_out}**"] if run.left_out else []))


def _client(run: Run) -> str:
    shares = {name: max((s.client_share for c in run.cells if c.server == name for s in c.samples), default=0.0)
              for name in (BARE, EMBEDDED, HAPI, OVER)}  # fmt: skip
    return "at most " + ", ".join(f"{share:.2f} of a core on {name}" for name, share in shares.items() if share)


def _rows(run: Run) -> Iterable[tuple[str, int]]:
    return dict.fromkeys((cell.operation, cell.concurrency) for cell in run.cells)


def _table(run: Run, servers: list[str]) -> str:
    head = [
        "",
        "c",
        *(f"{name}: /s (p50, p99 ms)" for name in servers),
        "embedded / HAPI",
        "over HAPI / HAPI",
        "embedded / bare",
    ]
    lines = [_line(head), _line(["---"] * len(head))]
    for operation, concurrency in _rows(run):
        cells = [run.cell(operation, concurrency, name) for name in servers]
        ratios = [
            run.ratio(operation, concurrency, *pair) for pair in ((EMBEDDED, HAPI), (OVER, HAPI), (EMBEDDED, BARE))
        ]
        lines.append(_line([operation, str(concurrency), *map(_speed, cells), *map(_ratio, ratios)]))
    return "\n".join(lines)


def _speed(cell: Cell | None) -> str:
    return "" if cell is None else f"{cell.per_second:,.0f} ({_ms(cell.p50_ms)}, {_ms(cell.p99_ms)})"


def _cpu(run: Run, servers: list[str]) -> str:
    """Processor time per answer, which other work on the machine disturbs least, and where it went."""
    head = ["CPU ms per answer", "c", *(f"{name}{_legend(name)}" for name in servers), f"{LOADER}, for each"]
    lines = [_line(head), _line(["---"] * len(head))]
    for operation, concurrency in _rows(run):
        cells = [cell for name in servers if (cell := run.cell(operation, concurrency, name))]
        load = ", ".join(_known(cell.part_ms(LOADER), _ms) for cell in cells)
        lines.append(_line([operation, str(concurrency), *map(_spent, cells), load]))
    return "\n".join(lines)


def _legend(server: str) -> str:
    return {HAPI: f" ({JAVA}, {POSTGRESQL})", OVER: f" ({PYTHON}, {JAVA}, {POSTGRESQL})"}.get(server, "")


def _spent(cell: Cell) -> str:
    """All of it, and its parts where there are several."""
    parts = [known for part in PARTS if (known := cell.part_ms(part)) is not None]
    told = f" ({', '.join(map(_ms, parts))})" if len(parts) > 1 else ""
    return _known(cell.cpu_ms, _ms) + told


def _targets(run: Run) -> str:
    lines = [_line(["target", "bound", "measured", ""]), _line(["---"] * 4)]
    for target in targets(run):
        bound = f"{'≥' if target.at_least else '≤'} {target.bound:g}{target.unit}"
        verdict = {True: "holds", False: "**missed**", None: "not measured"}[target.holds]
        lines.append(_line([target.text, bound, _known(target.value, lambda v: f"{v:.2f}"), verdict]))
    return "\n".join(lines)


def _line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _ms(value: float) -> str:
    return f"{value:.2f}" if value < 10 else f"{value:,.0f}"


def _ratio(value: float | None) -> str:
    return _known(value, lambda v: f"{v:.2f}")


def _known(value: float | None, shown: Callable[[float], str]) -> str:
    return "" if value is None else shown(value)
