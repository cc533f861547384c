"""`make bench`: one table of ratios from one run, as Markdown and JSON.

Rounds alternate between the servers, so that whatever else the machine does hits all of them alike; the table holds
medians over the rounds. Needs Java 17, Maven and PostgreSQL for the comparison with HAPI and says so without them.
"""

from __future__ import annotations

import argparse
import shlex
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from tests.bench import data, report, servers
from tests.bench.bare import Fixed
from tests.bench.load import Plan, measure
from tests.bench.report import BARE, EMBEDDED, FULL, HAPI, LOADER, OVER, READ_ROUNDS, Cell, Run, Sample
from tests.bench.servers import Server
from tests.bench.synthea import Synthea

WARM_UP_S = 40.0
STEP_S = 3.0
SINGLY = 8
"""So many requests of each operation HAPI gets one after another at first."""
LEAD_IN_S = 1.0
"""What is asked of a server before each measurement, at most as long as it: while others were measured, its memory and
caches went to them."""
STILL_WARMING = 1.05
"""HAPI is warm when no operation became faster than this against the best step before."""


@dataclass(frozen=True, slots=True)
class Options:
    data: data.Data
    seconds: float
    rounds: int
    concurrencies: tuple[int, ...]
    warm_up_s: float
    warm_up_at_most_s: float
    operations: tuple[str, ...]
    hapi: bool
    bare_logs: bool = False
    bare_processes: int | None = None
    bare_body: bool = False


@dataclass
class Workload:
    """Requests per operation. Each use of a list begins where the one before ended; updates never repeat a value."""

    data: data.Data
    _runs: Iterator[int] = field(default_factory=lambda: count(1))
    _kept: dict[tuple[str, bool], list[data.Request]] = field(default_factory=dict)

    def requests(self, operation: str, *, hapi: bool) -> list[data.Request]:
        if operation == "update":
            return self.data.requests(operation, run=next(self._runs), offset=False)
        key = operation, operation == "search" and hapi
        if key not in self._kept:
            self._kept[key] = self.data.requests(operation, run=0, offset=key[1])
        return self._kept[key]


OPERATIONS = ("read", "create", "update", "search", "mixed", "everything", "import")


def main(words: Sequence[str] | None = None) -> None:
    arguments = _arguments(words)
    missing = servers.missing()
    options = Options(
        data=_data(arguments),
        seconds=arguments.seconds,
        rounds=arguments.rounds,
        concurrencies=tuple(arguments.concurrency),
        warm_up_s=arguments.warm_up,
        warm_up_at_most_s=arguments.warm_up_at_most,
        operations=tuple(arguments.operations),
        hapi=not missing and not arguments.without_hapi,
        bare_logs=arguments.bare_logs,
        bare_processes=arguments.bare_processes,
        bare_body=arguments.bare_body,
    )
    left_out = f"HAPI is left out: {', '.join(missing)} not found" if missing else "HAPI is left out as asked"
    if not options.hapi:
        _say(left_out)
    run = execute(options)
    run.published = arguments.synthea is not None
    run.command = shlex.join(["python", "-m", "tests.bench.run", *(sys.argv[1:] if words is None else words)])
    run.left_out = "" if options.hapi else left_out
    text = report.markdown(run)
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "table.md").write_text(text)
    (arguments.out / "table.json").write_bytes(report.encoded(run))
    print(text)
    _say(f"written to {arguments.out}/table.md and table.json")


def _arguments(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--patients", type=int, default=100)
    parser.add_argument("--readings", type=int, default=30, help="per patient and each of the four vital signs")
    parser.add_argument("--synthea", type=Path, help="a folder of Synthea's transactions (*.json.bz2) instead")
    parser.add_argument("--copies", type=int, default=1, help="how often each of its patients is stored")
    parser.add_argument("--seconds", type=float, default=3.0, help="of one measurement")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--concurrency", type=int, nargs="+", default=[1, 8, 32])
    parser.add_argument("--warm-up", type=float, default=WARM_UP_S, help="seconds of load on HAPI beforehand, at least")
    parser.add_argument("--warm-up-at-most", type=float, default=600.0, help="seconds; it ends when nothing grows")
    parser.add_argument("--operations", nargs="+", default=list(OPERATIONS), choices=OPERATIONS)
    parser.add_argument("--without-hapi", action="store_true")
    parser.add_argument("--bare-logs", action="store_true", help="the bare framework logs every request, as others do")
    parser.add_argument("--bare-body", action="store_true", help="the bare framework sends no header but the type")
    parser.add_argument("--bare-processes", type=int, help="how many it has, if not as many as the facade")
    parser.add_argument("--out", type=Path, default=Path("build/bench"))
    return parser.parse_args(words)


def _data(arguments: argparse.Namespace) -> data.Data:
    if arguments.synthea is None:
        return data.Made(data.Size(arguments.patients, arguments.readings))
    return Synthea(arguments.synthea, arguments.copies)


def execute(options: Options) -> Run:
    """Start everything, load the data, warm up, measure."""
    workload = Workload(options.data)
    run = Run(report.machine(), options.data.patients, options.data.observations, options.seconds, options.rounds)
    with tempfile.TemporaryDirectory(prefix="fhir-facade-bench-") as folder, ExitStack() as stack:
        Path(folder).chmod(0o755)
        started = _start(options, Path(folder), stack)
        run.versions |= {server.name: servers.version_of(server) for server in started if server.name != BARE}
        warm = options.warm_up_s if options.hapi else min(options.warm_up_s, 5.0)
        _warm_up(started, workload, options, warm)
        for server in started:
            server.tidy()
        for concurrency in options.concurrencies:
            for operation in options.operations:
                _measure(run, started, workload, options, operation, concurrency)
    return run


def _start(options: Options, folder: Path, stack: ExitStack) -> list[Server]:
    started = [stack.enter_context(servers.facade(EMBEDDED, folder / "embedded"))]
    if options.hapi:
        _say("HAPI and PostgreSQL start, up to a minute")
        alone = stack.enter_context(servers.hapi(folder / "hapi"))
        started += [alone, stack.enter_context(servers.facade_over(alone, folder / "over"))]
    for server in started[:2]:
        began = time.monotonic()
        for bundle in options.data.stored():
            server.ask(("POST", "", bundle))
        _say(f"{server.name}: {options.data.observations} Observations loaded in {time.monotonic() - began:.0f} s")
    answers = {operation: _answer(started[0], operation, options) for operation in options.operations}
    return [
        stack.enter_context(
            servers.bare(answers, folder / "bare", logs=options.bare_logs, processes=options.bare_processes)
        ),
        *started,
    ]


def _answer(server: Server, operation: str, options: Options) -> Fixed:
    """What the facade answers to the first request of an operation: the bytes of the ceiling."""
    fixed = server.answer(Workload(options.data).requests(operation, hapi=False)[0])
    if options.bare_body:
        fixed.headers = {name: value for name, value in fixed.headers.items() if name == "content-type"}
    return fixed


def _warm_up(started: Sequence[Server], workload: Workload, options: Options, seconds: float) -> None:
    """HAPI's compiler needs the time, for what the facade asks it as well as for what it is asked alone: until its rates
    grow no more, which takes minutes."""
    step = min(seconds, STEP_S)
    slow = [server for server in started if server.name in (HAPI, OVER)]
    _rates([server for server in started if server not in slow], workload, options, step)
    for server in slow:
        _one_by_one(server, workload, options.operations)
    if slow:
        _say(f"warming up for {seconds:g} s at least, and until HAPI does not become faster any more")
    began, best = time.monotonic(), dict[tuple[str, str], float]()
    while slow:
        rates = _rates(slow, workload, options, step)
        _say(", ".join(f"{operation} {server} {rate:,.0f}/s" for (operation, server), rate in rates.items()))
        grows = any(rate > STILL_WARMING * best.get(key, 0.0) for key, rate in rates.items())
        best = {key: max(rate, best.get(key, 0.0)) for key, rate in rates.items()}
        spent = time.monotonic() - began
        if (spent >= seconds and not grows) or spent >= options.warm_up_at_most_s:
            return


def _one_by_one(server: Server, workload: Workload, operations: Sequence[str]) -> None:
    """HAPI notes each resource type the first time it meets it: two requests at once that both do so end in a 500."""
    for operation in operations:
        for request in workload.requests(operation, hapi=server.name == HAPI)[:SINGLY]:
            server.ask(request)


def _rates(
    servers: Sequence[Server], workload: Workload, options: Options, seconds: float
) -> dict[tuple[str, str], float]:
    """What each operation reaches on each of them."""
    return {
        (operation, server.name): measure(planned(server, workload, operation, FULL, seconds)).per_second
        for operation in options.operations
        for server in servers
    }


def _measure(
    run: Run, started: Sequence[Server], workload: Workload, options: Options, operation: str, concurrency: int
) -> None:
    cells = {server.name: Cell(operation, concurrency, server.name) for server in started}
    for _ in range(options.rounds * (READ_ROUNDS if operation == "read" and concurrency == FULL else 1)):
        for server in started:
            cells[server.name].samples.append(_sample(server, workload, operation, concurrency, options.seconds))
    run.cells += cells.values()
    _say(f"{operation} at {concurrency}: " + ", ".join(f"{c.server} {c.per_second:,.0f}/s" for c in cells.values()))


def _sample(server: Server, workload: Workload, operation: str, concurrency: int, seconds: float) -> Sample:
    measure(planned(server, workload, operation, concurrency, min(LEAD_IN_S, seconds)))
    plan = planned(server, workload, operation, concurrency, seconds)
    before = server.cpu_s()
    measured = measure(plan)
    after = server.cpu_s()
    spent = {part: after[part] - before[part] for part in after}
    spent |= {LOADER: measured.client_cpu_s} if spent else {}
    cpu_ms = {part: seconds * 1000 / max(measured.answers, 1) for part, seconds in spent.items()}
    return Sample(measured.per_second, measured.p50_ms, measured.p99_ms, cpu_ms, measured.client_share)


def planned(server: Server, workload: Workload, operation: str, concurrency: int, seconds: float) -> Plan:
    requests = workload.requests(operation, hapi=server.name == HAPI)
    if server.name == BARE:
        requests = [(method, f"/{operation}", body) for method, _, body in requests]
    messages = [server.message(request) for request in requests]
    return Plan(server.host, server.port, messages, concurrency, seconds)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
