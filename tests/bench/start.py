"""How long a start takes, and what memory the server holds when nothing is asked of it.

python -m tests.bench.start [--rounds 5]

The data folder is there already, and its files are in the cache of the system. From the start of the process until the
first 200 of /health, and until the first answer of the FHIR API, which is asked for at once after it.
"""

from __future__ import annotations

import argparse
import contextlib
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.bench.processes import Taken, family, processor_s, taken
from tests.facade import facade_env, served

TARGET_S, TARGET_MIB = 1.0, 200
PATIENCE_S = 120.0
PAUSE_S = 0.002
IDLE_S, LITTLE_S = 1.0, 0.05
TABLE = """\
| | |
|---|---|
| process start to the first 200 of /health, best of {rounds} | {health:.2f} s |
| to the first answer of the FHIR API | {answer:.2f} s |
| processor time of all processes until the first 200 of /health | {cpu:.2f} s |
| RssAnon idle, each process | {each} MiB |
| RssAnon idle, their sum, which counts shared memory several times | {sum:.0f} MiB |
| Pss idle, their sum, which counts it once | {pss:.0f} MiB |
"""


@dataclass(frozen=True)
class Start:
    """Seconds from the start of the process, and processor seconds of all its processes until the first."""

    health_s: float
    answer_s: float
    cpu_s: float


@contextmanager
def started(env: Mapping[str, str]) -> Iterator[tuple[Start, int]]:
    """A start that was measured, and the process."""
    began = time.perf_counter()
    with subprocess.Popen([sys.executable, "-m", "fhir_facade", "serve"], env=dict(env)) as process:
        try:
            port = int(env["FHIR_FACADE_PORT"])
            health_s = _until_200(port, "/health", process, began)
            cpu_s = processor_s(family(process.pid))
            yield Start(health_s, _until_200(port, "/fhir/metadata", process, began, refused=False), cpu_s), process.pid
        finally:
            process.terminate()


def _until_200(port: int, path: str, process: subprocess.Popen[bytes], began: float, *, refused: bool = True) -> float:
    """Seconds. `refused`: it is asked again when nobody listens yet."""
    while time.perf_counter() < began + PATIENCE_S and process.poll() is None:
        with contextlib.suppress(*([ConnectionError] if refused else [])):
            if (status := _status(port, path)) == 200:
                return time.perf_counter() - began
            if not refused:
                raise RuntimeError(f"{path}: {status}")
        time.sleep(PAUSE_S)
    raise RuntimeError("serve ended or does not answer")


def _status(port: int, path: str) -> int:
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n".encode())
        return int(connection.makefile("rb").readline().split()[1])


def idle(pid: int) -> list[Taken]:
    """What the processes hold once they have stopped working."""
    before = -1.0
    while (now := processor_s(family(pid))) - before > LITTLE_S:
        before = now
        time.sleep(IDLE_S)
    return [taken(each) for each in family(pid)]


def measure(rounds: int, env: Mapping[str, str]) -> tuple[list[Start], list[Taken]]:
    """All starts, and the memory after the last."""
    starts, held = [], []
    for number in range(rounds):
        with started(env) as (start, pid):
            starts.append(start)
            held = idle(pid) if number == rounds - 1 else []
    return starts, held


def report(starts: list[Start], held: list[Taken]) -> str:
    """A table, and which targets hold."""
    health, total = min(start.health_s for start in starts), sum(each.rss_anon for each in held)
    table = TABLE.format(
        rounds=len(starts),
        health=health,
        answer=min(start.answer_s for start in starts),
        cpu=min(start.cpu_s for start in starts),
        each=", ".join(f"{each.rss_anon:.0f}" for each in held),
        sum=total,
        pss=sum(each.pss for each in held),
    )
    quick = "holds" if health < TARGET_S else "**missed**"
    small = "holds" if total < TARGET_MIB else "**missed**"
    return f"{table}\nStart < {TARGET_S:.0f} s: {quick}. RssAnon idle < {TARGET_MIB} MiB in sum: {small}.\n"


def main(words: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    chosen = parser.parse_args(words)
    with TemporaryDirectory() as folder:
        env = facade_env(Path(folder) / "data", WORKERS="0")
        with served(env, Path(folder) / "log"):
            pass  # the tables and keys are made
        print(report(*measure(chosen.rounds, env)))


if __name__ == "__main__":
    main()
