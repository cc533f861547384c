"""Large Bundles through a real `serve`: what memory each of its processes takes for a moment, how long they last, and how
long others wait beside them.

python -m tests.bench.bundles [--entries 1000 5000 10000] [--kinds batch transaction] [--over-hapi] [--workers 0]
    [--alone]

Creates, conditional creates, updates, and entries that have to be refused, of a hundred patients. Beside each Bundle
others read and write on connections of their own, unless it is to be alone: then the processor time is all its own.
"""

from __future__ import annotations

import argparse
import http.client
import json
import secrets
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tests.bench import servers
from tests.bench.data import Size, encoded, observation, patient, stored_bundles, without_id
from tests.bench.processes import family
from tests.bench.report import EMBEDDED
from tests.bench.servers import Server

PATIENTS, READINGS = 100, 200
EVERY_S = 0.004
READERS, PAUSE_S = 4, 0.01
WRITERS, WRITE_PAUSE_S = 2, 0.05
QUIET_S = 3.0
SETTLE_S = 12.0
"""Holes of the heap go back to the system every ten seconds."""
PATIENCE_S = 1800.0
HELD_BACK = f"{servers.JAVA_OPTS} -XX:TieredStopAtLevel=1"
"""HAPI's compiler would take the processor of those who are measured."""
MIB = 1 << 20

Entry = dict[str, Any]


# --- what is sent ---------------------------------------------------------------------------------------------


def entries(amount: int, mark: str) -> Iterator[Entry]:
    """Of twenty: twelve creates of old readings and one of a new one, two conditional ones, two updates of what is not
    there, one that finds what is there, one that breaks the rules of R4, one that refers to nobody."""
    for number in range(amount):
        resource = observation(number % PATIENTS, number % 4, number % READINGS, salt=f"{mark} {number}")
        resource["identifier"][0]["value"] = f"{mark}-{number}"
        yield _OF_TWENTY.get(number % 20, _create)(resource, mark, number)


def _create(resource: Entry, _mark: str, _number: int, **request: str) -> Entry:
    return {"resource": without_id(resource), "request": {"method": "POST", "url": "Observation", **request}}


def _new(resource: Entry, mark: str, number: int) -> Entry:
    return _create({**resource, "effectiveDateTime": datetime.now(UTC).isoformat(timespec="seconds")}, mark, number)


def _conditional(resource: Entry, mark: str, number: int) -> Entry:
    return _create(resource, mark, number, ifNoneExist=f"identifier=urn:oid:2.999.2|{mark}-{number}")


def _existing(resource: Entry, mark: str, number: int) -> Entry:
    return _create(resource, mark, number, ifNoneExist=f"identifier=urn:oid:2.999.2|R{number % PATIENTS}-0-0")


def _update(resource: Entry, mark: str, number: int) -> Entry:
    named = {**resource, "id": f"{mark}-{number}"}
    return {"resource": named, "request": {"method": "PUT", "url": f"Observation/{named['id']}"}}


def _broken(resource: Entry, mark: str, number: int) -> Entry:
    return _create({**resource, "status": "nonsense"}, mark, number)


def _dangling(resource: Entry, mark: str, number: int) -> Entry:
    return _create({**resource, "subject": {"reference": f"Patient/none-{mark}"}}, mark, number)


_OF_TWENTY: dict[int, Callable[[Entry, str, int], Entry]] = {
    1: _new,
    3: _conditional,
    7: _existing,
    9: _update,
    11: _broken,
    13: _conditional,
    15: _dangling,
    19: _update,
}
REFUSED = frozenset((_broken, _dangling))


def bundle(kind: str, amount: int, mark: str) -> bytes:
    """Without what has to be refused for a transaction, which would be refused whole."""
    found = enumerate(entries(amount, mark))
    kept = (each for at, each in found if kind == "batch" or _OF_TWENTY.get(at % 20) not in REFUSED)
    return encoded({"resourceType": "Bundle", "type": kind, "entry": list(kept)})


# --- what is seen ---------------------------------------------------------------------------------------------


class Peaks:
    """The memory of each process, looked at all the time."""

    def __init__(self, pids: Sequence[int]) -> None:
        self._pids = pids
        self._ended = threading.Event()
        self.before = [rss_anon(pid) for pid in pids]
        self.highest = list(self.before)

    def look(self) -> None:
        while not self._ended.wait(EVERY_S):
            self.highest = [max(top, rss_anon(pid)) for top, pid in zip(self.highest, self._pids, strict=True)]

    def end(self) -> None:
        self._ended.set()

    @property
    def rises(self) -> list[float]:
        return [top - before for top, before in zip(self.highest, self.before, strict=True)]


def rss_anon(pid: int) -> float:
    """In MiB, without what makes the kernel walk all pages."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("RssAnon"))


@dataclass
class Others:
    """Callers beside the Bundle, each on a connection of its own. Latencies in ms, by caller."""

    server: Server
    readers: int = READERS
    writers: int = WRITERS
    _ended: threading.Event = field(default_factory=threading.Event)
    reads: list[list[float]] = field(default_factory=list)
    writes: list[list[float]] = field(default_factory=list)

    @contextmanager
    def asking(self) -> Iterator[Others]:
        asked = [threading.Thread(target=self._read, args=(self._caller(self.reads),)) for _ in range(self.readers)]
        asked += [threading.Thread(target=self._write, args=(self._caller(self.writes),)) for _ in range(self.writers)]
        for thread in asked:
            thread.start()
        try:
            yield self
        finally:
            self._ended.set()
            for thread in asked:
                thread.join()

    def _caller(self, all_: list[list[float]]) -> list[float]:
        all_.append([])
        return all_[-1]

    def _read(self, took: list[float]) -> None:
        self._ask(took, PAUSE_S, lambda number: ("GET", f"/Patient/bench-p{number % PATIENTS}", b""))

    def _write(self, took: list[float]) -> None:
        def one(number: int) -> tuple[str, str, bytes]:
            return "POST", "/Observation", encoded(without_id(observation(number % PATIENTS, 0, number)))

        self._ask(took, WRITE_PAUSE_S, one)

    def _ask(self, took: list[float], pause_s: float, request: Callable[[int], tuple[str, str, bytes]]) -> None:
        connection = http.client.HTTPConnection(self.server.host, self.server.port, timeout=PATIENCE_S)
        numbers = count()
        while not self._ended.wait(pause_s):
            method, path, body = request(next(numbers))
            began = time.perf_counter()
            connection.request(method, f"/fhir{path}", body or None, headers_of(self.server))
            answer = connection.getresponse()
            answer.read()
            took.append((time.perf_counter() - began) * 1000)
            if answer.status >= 300:
                raise RuntimeError(f"{method} {path}: {answer.status}")
        connection.close()

    def told(self) -> str:
        if not self.readers:
            return "– | –"
        reads = sorted(each for one in self.reads for each in one)
        writes = sorted(each for one in self.writes for each in one)
        worst = max(at(sorted(one), 0.99) for one in self.reads)
        return (
            f"{at(reads, 0.5):.1f}, {at(reads, 0.99):.0f}, {worst:.0f}, {reads[-1]:.0f} | "
            f"{at(writes, 0.5):.1f}, {at(writes, 0.99):.0f}, {writes[-1]:.0f}"
        )


def at(ordered: list[float], share: float) -> float:
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)] if ordered else 0.0


def headers_of(server: Server) -> dict[str, str]:
    return {"Content-Type": "application/fhir+json", "Accept": "application/fhir+json", **server.headers}


@dataclass(frozen=True)
class Answer:
    status: int
    body: bytes
    first_s: float
    whole_s: float

    @property
    def statuses(self) -> Counter[str]:
        return Counter(each["response"]["status"][:3] for each in json.loads(self.body).get("entry", ()))


def post(server: Server, body: bytes) -> Answer:
    connection = http.client.HTTPConnection(server.host, server.port, timeout=PATIENCE_S)
    began = time.perf_counter()
    connection.request("POST", "/fhir", body, headers_of(server) | {"Prefer": "return=representation"})
    answer = connection.getresponse()
    first_s, parts = time.perf_counter() - began, []
    while part := answer.read(MIB):
        parts.append(part)
    connection.close()
    return Answer(answer.status, b"".join(parts), first_s, time.perf_counter() - began)


# --- one table ------------------------------------------------------------------------------------------------

HEAD = """\
| {name} | entries | sent, answered MiB | s (first byte) | entries/s | CPU ms per entry | RssAnon rises by, MiB | stays, MiB \
| reads beside: p50, p99, p99 of the worst, longest ms | writes beside: p50, p99, longest ms | answers |
|---|---|---|---|---|---|---|---|---|---|---|"""


def measure(server: Server, pid: int, kind: str, amount: int, *, alone: bool) -> str:
    body = bundle(kind, amount, secrets.token_hex(4))
    peaks = Peaks(family(pid))
    looking = threading.Thread(target=peaks.look)
    looking.start()
    with (Others(server, 0, 0) if alone else Others(server)).asking() as others:
        before = server.cpu_s()
        answer = post(server, body)
        after = server.cpu_s()
    peaks.end()
    looking.join()
    time.sleep(SETTLE_S)
    stays = [rss_anon(pid) - before for pid, before in zip(family(pid), peaks.before, strict=True)]
    told = ", ".join(f"{amount} x {status}" for status, amount in sorted(answer.statuses.items())) or answer.body[:300]
    spent = ", ".join(f"{part} {(after[part] - before[part]) * 1000 / amount:.2f}" for part in after)
    rises = ", ".join(f"{rise:.0f}" for rise in peaks.rises)
    return (
        f"| {kind} | {amount:,} | {len(body) / MIB:.1f}, {len(answer.body) / MIB:.1f} "
        f"| {answer.whole_s:.2f} ({answer.first_s:.2f}) | {amount / answer.whole_s:,.0f} | {spent} | {rises} "
        f"| {', '.join(f'{each:.0f}' for each in stays)} | {others.told()} | {answer.status}: {told} |"
    )


def quiet(server: Server) -> str:
    with Others(server).asking() as others:
        time.sleep(QUIET_S)
    return f"| nothing | – | – | – | – | – | – | – | {others.told()} | – |"


def report(server: Server, pid: int, kinds: Sequence[str], amounts: Sequence[int], *, alone: bool = False) -> None:
    for body in stored_bundles(Size(PATIENTS, 1)):
        server.ask(("POST", "", body))
    server.ask(("PUT", "/Patient/bench-p0", encoded(patient(0))))
    for _ in range(2):
        post(server, bundle("batch", 500, secrets.token_hex(4)))
    print(HEAD.format(name=server.name), flush=True)
    if not alone:
        print(quiet(server), flush=True)
    for kind in kinds:
        for amount in amounts:
            print(measure(server, pid, kind, amount, alone=alone), flush=True)


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--entries", type=int, nargs="+", default=[1000, 5000, 10_000])
    parser.add_argument("--kinds", nargs="+", default=["batch", "transaction"], choices=["batch", "transaction"])
    parser.add_argument("--over-hapi", action="store_true")
    parser.add_argument("--workers", default="0", help="processes of the facade; 0: as it chooses itself")
    parser.add_argument("--alone", action="store_true")
    chosen = parser.parse_args(words)
    with TemporaryDirectory(prefix="fhir-facade-bench-") as folder:
        Path(folder).chmod(0o755)  # PostgreSQL is not started as root
        opened = over_hapi if chosen.over_hapi else embedded
        with opened(Path(folder), chosen.workers) as server:
            (pid,) = server.processes[servers.PYTHON].families
            report(server, pid, chosen.kinds, chosen.entries, alone=chosen.alone)


@contextmanager
def embedded(folder: Path, workers: str) -> Iterator[Server]:
    with servers.facade(EMBEDDED, folder / "embedded", WORKERS=workers) as server:
        yield server


@contextmanager
def over_hapi(folder: Path, workers: str) -> Iterator[Server]:
    print("HAPI and PostgreSQL start, up to a minute", file=sys.stderr)
    with (
        servers.hapi(folder / "hapi", HELD_BACK) as below,
        servers.facade_over(below, folder / "over", WORKERS=workers) as server,
    ):
        yield server


if __name__ == "__main__":
    main()
