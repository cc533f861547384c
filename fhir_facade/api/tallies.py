"""How many requests were answered and how long that took: counted by each process, told for all of a server.

Counting is a few additions; what a process counted is written down for the others once in a while, because the shared
memory of the metrics' client library costs as much as a read. https://prometheus.io/docs/concepts/metric_types/
"""

from __future__ import annotations

import asyncio
import os
import secrets
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from itertools import accumulate
from pathlib import Path
from typing import Any, Final

import msgspec

BOUNDS: Final = (0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10)
"""Seconds: upper ends of the buckets; one more has no end."""
WRITTEN_EVERY_S: Final = 0.5
SUFFIX: Final = ".tallies"

Key = tuple[str, str, int]
"""Room, interaction and HTTP status."""


class Tally(msgspec.Struct):
    """`buckets`: how many requests took so long, each counted once."""

    seconds: float
    buckets: list[int]

    def add(self, other: Tally) -> None:
        self.seconds += other.seconds
        self.buckets = [one + more for one, more in zip(self.buckets, other.buckets, strict=True)]


def _nothing() -> Tally:
    return Tally(0.0, [0] * (len(BOUNDS) + 1))


_FILE: Final = msgspec.msgpack.Decoder(list[tuple[Key, Tally]])


class Tallies:
    """`folder` belongs to all processes of a server; what one that ended counted stays there."""

    def __init__(self, folder: str | None = None) -> None:
        self._own: dict[Key, Tally] = {}
        self._file = None if folder is None else Path(folder) / f"{os.getpid()}-{secrets.token_hex(4)}{SUFFIX}"
        self._is_due = False

    def count(self, key: Key, seconds: float) -> None:
        tally = self._own.get(key)
        if tally is None:
            tally = self._own[key] = _nothing()
        tally.seconds += seconds
        tally.buckets[bisect_left(BOUNDS, seconds)] += 1
        if self._file is not None and not self._is_due:
            self._is_due = True
            asyncio.get_running_loop().call_later(WRITTEN_EVERY_S, self._write)

    def _write(self) -> None:
        assert self._file is not None
        self._is_due = False
        fresh = self._file.with_suffix(".new")
        fresh.write_bytes(msgspec.msgpack.encode(list(self._own.items())))
        fresh.replace(self._file)

    def of_all(self) -> Mapping[Key, Tally]:
        """What all processes counted; of the others as they wrote it down last."""
        found: dict[Key, Tally] = {}
        for key, tally in (*self._own.items(), *self._others()):
            found.setdefault(key, _nothing()).add(tally)
        return found

    def _others(self) -> Iterator[tuple[Key, Tally]]:
        if self._file is not None:
            for file in self._file.parent.glob(f"*{SUFFIX}"):
                if file != self._file:
                    yield from _FILE.decode(file.read_bytes())


def exposition(tallies: Mapping[Key, Tally]) -> bytes:
    """Them in the text format. https://prometheus.io/docs/instrumenting/exposition_formats/"""
    from prometheus_client import CollectorRegistry, generate_latest  # loaded when somebody asks

    registry = CollectorRegistry()
    registry.register(_Once(_families(tallies)))
    return generate_latest(registry)


class _Once:
    """What a registry takes metrics from."""

    def __init__(self, families: Iterable[Any]) -> None:
        self._families = list(families)

    def collect(self) -> Iterable[Any]:
        return self._families


def _families(tallies: Mapping[Key, Tally]) -> Iterator[Any]:
    from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily

    requests = CounterMetricFamily(
        "fhir_facade_requests", "Requests answered", labels=("room", "interaction", "status")
    )
    times: dict[tuple[str, str], Tally] = {}
    for (room, interaction, status), tally in sorted(tallies.items()):
        requests.add_metric((room, interaction, str(status)), sum(tally.buckets))
        times.setdefault((room, interaction), _nothing()).add(tally)
    yield requests
    seconds = HistogramMetricFamily("fhir_facade_request_seconds", "Time to answer", labels=("room", "interaction"))
    for labels, tally in times.items():
        ends = [*map(str, map(float, BOUNDS)), "+Inf"]
        seconds.add_metric(labels, list(zip(ends, accumulate(tally.buckets), strict=True)), tally.seconds)
    yield seconds
