"""The load generator: a process of its own that keeps N connections busy and costs the machine little.

`python -m tests.bench.load` reads one `Plan` as MessagePack from standard input and writes one `Measured` as JSON.
Each connection sends its next request when the answer to the one before has arrived (a closed loop). When the time is
up nothing is sent any more, and what is under way still counts.
"""

from __future__ import annotations

import asyncio
import resource
import subprocess
import sys
import time
from itertools import cycle, islice
from pathlib import Path
from typing import cast

import httptools
import msgspec

ROOT = Path(__file__).resolve().parents[2]
SHOWN_BYTES = 400


class Plan(msgspec.Struct):
    """`requests` are complete HTTP/1.1 messages, sent in this order from `start` on, again and again."""

    host: str
    port: int
    requests: list[bytes]
    connections: int
    seconds: float
    start: int = 0


class Measured(msgspec.Struct):
    """All answers and the time until the last of them, their latencies in ms, and what the generator itself took."""

    answers: int
    seconds: float
    p50_ms: float
    p99_ms: float
    client_cpu_s: float
    wrong: int = 0
    example: str = ""

    @property
    def per_second(self) -> float:
        return self.answers / self.seconds

    @property
    def client_share(self) -> float:
        """Of one core."""
        return self.client_cpu_s / self.seconds


class _Load:
    """What all connections share."""

    def __init__(self, plan: Plan) -> None:
        self.next = islice(cycle(plan.requests), plan.start, None).__next__
        self.latencies: list[float] = []
        self.wrong = 0
        self.example = b""
        self.until = 0.0
        self.done = asyncio.get_running_loop().create_future()
        self.open = plan.connections

    def one_less(self) -> None:
        self.open -= 1
        if self.open == 0 and not self.done.done():
            self.done.set_result(None)


class _Connection(asyncio.Protocol):
    def __init__(self, load: _Load) -> None:
        self._load = load
        self._parser = httptools.HttpResponseParser(self)
        self._transport: asyncio.Transport | None = None
        self._sent = 0.0
        self._answer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def send(self) -> None:
        assert self._transport is not None
        self._answer = b""
        self._sent = time.perf_counter()
        self._transport.write(self._load.next())

    def data_received(self, data: bytes) -> None:
        if len(self._answer) < SHOWN_BYTES:
            self._answer += data[:SHOWN_BYTES]
        self._parser.feed_data(data)

    def on_message_complete(self) -> None:
        now, load = time.perf_counter(), self._load
        if self._parser.get_status_code() >= 300:
            load.wrong += 1
            load.example = load.example or self._answer
        load.latencies.append(now - self._sent)
        if now < load.until:
            self.send()
            return
        assert self._transport is not None
        self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._load.one_less()


async def run(plan: Plan) -> Measured:
    load = _Load(plan)
    loop = asyncio.get_running_loop()
    made = [
        await loop.create_connection(lambda: _Connection(load), plan.host, plan.port) for _ in range(plan.connections)
    ]
    began, cpu = time.perf_counter(), _cpu()
    load.until = began + plan.seconds
    for _, connection in made:
        connection.send()
    await load.done
    took = time.perf_counter() - began
    latencies = sorted(load.latencies)
    return Measured(
        answers=len(latencies),
        seconds=took,
        p50_ms=_at(latencies, 0.5),
        p99_ms=_at(latencies, 0.99),
        client_cpu_s=_cpu() - cpu,
        wrong=load.wrong,
        example=load.example.decode("utf-8", "replace"),
    )


def _at(ordered: list[float], share: float) -> float:
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)] * 1000


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def measure(plan: Plan) -> Measured:
    """Run the plan in a process of its own. RuntimeError when an answer was no success."""
    made = subprocess.run(
        [sys.executable, "-m", "tests.bench.load"], input=msgspec.msgpack.encode(plan), stdout=subprocess.PIPE,
        cwd=ROOT, check=True, timeout=plan.seconds + 120,
    )  # fmt: skip
    measured = msgspec.json.decode(made.stdout, type=Measured)
    if measured.wrong:
        raise RuntimeError(
            f"{measured.wrong} of {measured.answers} answers were refusals, one of them: {measured.example}"
        )
    return measured


def main() -> None:
    plan = msgspec.msgpack.decode(sys.stdin.buffer.read(), type=Plan)
    try:
        import uvloop

        runner = asyncio.Runner(loop_factory=uvloop.new_event_loop)
    except ImportError:
        runner = asyncio.Runner()
    with runner:
        sys.stdout.buffer.write(msgspec.json.encode(runner.run(run(plan))))


if __name__ == "__main__":
    main()
