"""How the time of a search grows with what is stored: `python -m tests.bench.growth --sizes 10000 100000 1000000`.

On the embedded store, in one process, without HTTP: the first page of each way to search, and how many matches it has.
A search must not take longer than in proportion to its matches, however much else is there. Two conditions that many
satisfy, but few both, cannot be found like this in an index of each: they are told beside the smaller of the two as well.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from urllib.parse import parse_qsl, urlsplit

from fhir_facade.adapters.embedded import EmbeddedStore
from fhir_facade.adapters.sqlite_file import SqliteFile
from fhir_facade.adapters.system_clock import SystemClock
from fhir_facade.fhir.query import parse_query
from fhir_facade.values import Ref, SearchQuery, Write
from tests.bench import data

READINGS = 25
AT_ONCE = 2000
ASKED = 20
FEW_ASKED = 5
WAYS = (
    "string", "date", "token", "reference", "quantity", "composite", "chain", "reverse chain", "code of one patient",
    "value of all", "hot", "rare unit", "text of a rare unit", "code with a value of all", "code on a day",
    "two broad conditions",
)  # fmt: skip
SMALLER = "two broad conditions, by the smaller one"
ROWS = (*WAYS, SMALLER)
ODD = 20
"""Of each that is rare at all sizes: a body mass index, and a weight under the code of the heart rate."""
BROAD = (f"code={data.SIGNS[0].code}", f"value-quantity=gt50|{data.UCUM}|kg")
"""A quarter of all that is there satisfies the one and a quarter the other."""


@dataclass(frozen=True)
class Found:
    """Of one way to search: the median time of a first page, and the matches it is taken from."""

    ms: float
    matches: float


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 100_000, 1_000_000], help="Observations")
    sizes = parser.parse_args(words).sizes
    print(table(sizes, [asyncio.run(measured(size)) for size in sizes]))


async def measured(observations: int) -> dict[str, Found]:
    size = data.Size(max(observations // (READINGS * len(data.SIGNS)), 1), READINGS)
    with tempfile.TemporaryDirectory(prefix="fhir-facade-growth-") as folder:
        file = SqliteFile(Path(folder) / "facade.sqlite")
        file.open()
        try:
            store = EmbeddedStore(file, SystemClock())
            store.start()
            await _load(store, size)
            found = {way: await _measure(store, queries) for way, queries in _queries(size).items()}
            smaller = min([(await _measure(store, [_query(f"/Observation?{one}")])).matches for one in BROAD])
            return found | {SMALLER: replace(found["two broad conditions"], matches=smaller)}
        finally:
            file.close()


async def _load(store: EmbeddedStore, size: data.Size) -> None:
    began, done = time.monotonic(), 0
    waiting: list[Write] = []
    for resource in _resources(size):
        waiting.append(Write("put", Ref(resource["resourceType"], resource["id"]), data.encoded(resource), resource))
        if len(waiting) == AT_ONCE:
            await store.write(waiting)
            done += len(waiting)
            waiting = []
            print(f"\r{done:,} of {size.observations:,} stored", end="", file=sys.stderr, flush=True)
    await store.write(waiting)
    print(f"\r{size.observations:,} Observations stored in {time.monotonic() - began:.0f} s", file=sys.stderr)


def _resources(size: data.Size) -> Iterator[data.Resource]:
    yield from (data.patient(number) for number in range(size.patients))
    for number in range(size.patients):
        for sign in range(len(data.SIGNS)):
            yield from (data.observation(number, sign, reading) for reading in range(size.readings))
    for number in range(ODD):
        yield _odd(number, {"valueQuantity": {"value": 20, "unit": "kg/m2", "system": data.UCUM, "code": "kg/m2"}})
        yield _odd(number, {"code": {"coding": [{"system": data.LOINC, "code": data.SIGNS[0].code}]}})


def _odd(number: int, more: data.Resource) -> data.Resource:
    return data.observation(0, len(data.SIGNS) - 1, number) | more | {"id": f"odd-{number}-{'-'.join(more)}"}


def _queries(size: data.Size) -> dict[str, list[SearchQuery]]:
    """The mixed searches by kind, the hot search, and what is asked of everybody."""
    found: dict[str, list[SearchQuery]] = {way: [] for way in WAYS}
    step = max(size.patients // ASKED, 1)
    for number in range(0, size.patients, step):
        asked = [path for _, path, _ in data.mixed_of(number)]
        high = data.SIGNS[number % len(data.SIGNS)]
        asked.append(
            f"/Observation?value-quantity=gt{high.high / 10 - 0.2:g}|{data.UCUM}|{high.ucum}&_count={data.PAGE}"
        )
        for way, path in zip(WAYS, asked, strict=False):
            found[way].append(_query(path))
        high_value = f"{high.code}$gt{high.high / 10 - 0.2:g}&_count={data.PAGE}"
        found["code with a value of all"].append(_query(f"/Observation?code-value-quantity={high_value}"))
        found["code on a day"].append(_query(f"{asked[WAYS.index('date')]}&code={high.code}"))
    found["hot"] = [_query(path) for _, path, _ in data.searches(size, offset=False)[:ASKED]]
    page = f"_count={data.PAGE}"
    found["rare unit"] = [_query(f"/Observation?value-quantity=gt5|{data.UCUM}|kg/m2&{page}")] * ASKED
    found["text of a rare unit"] = [_query(f"/Observation?value-quantity=gt5||kg/m2&{page}")] * ASKED
    found["two broad conditions"] = [_query(f"/Observation?{'&'.join(BROAD)}&{page}")] * FEW_ASKED
    return found


def _query(path: str) -> SearchQuery:
    target = urlsplit(path)
    params = [pair for pair in parse_qsl(target.query) if pair[0] != "_include"]
    return parse_query(target.path.strip("/"), params, now=datetime.now(UTC)).query


async def _measure(store: EmbeddedStore, queries: list[SearchQuery]) -> Found:
    times, matches = [], []
    for query in queries:
        await store.search(query)
        began = time.perf_counter()
        await store.search(query)
        times.append((time.perf_counter() - began) * 1000)
        counted = await store.search(replace(query, count=0, total=True))
        matches.append(counted.total or 0)
    return Found(median(times), median(matches))


def table(sizes: Sequence[int], runs: Sequence[dict[str, Found]]) -> str:
    head = ["", *(f"{size:,}: ms (matches)" for size in sizes), "time / matches, last to first"]
    lines = [head, ["---"] * len(head)]
    for way in ROWS:
        found = [run[way] for run in runs]
        cells = [f"{each.ms:.2f} ({each.matches:,.0f})" for each in found]
        lines.append([way, *cells, f"{_growth(found[0], found[-1]):.2f}"])
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _growth(first: Found, last: Found) -> float:
    """1 or less: not slower than in proportion to the matches."""
    return (last.ms / first.ms) / max(last.matches / max(first.matches, 1), 1)


if __name__ == "__main__":
    main()
