"""What the audit costs: processor time of a line, written by many callers at once, and sealed; and what part of the
reads over HAPI it takes.

python -m tests.bench.audit_cost
python -m tests.bench.audit_cost --over-hapi [--seconds 3] [--rounds 5]
"""

from __future__ import annotations

import argparse
import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import TypeVar

from fhir_facade.flows.audit_chain import seal, verify
from fhir_facade.interactions.audit import audit_lines, record_lines
from fhir_facade.interactions.dispatch import dispatch
from fhir_facade.opening import open_ports
from fhir_facade.ports import Ports, StateStore, StateTransaction
from fhir_facade.rows import Row
from fhir_facade.settings import Settings
from fhir_facade.values import ClientId, FhirRequest, Interaction, Principal, Scope
from tests.bench.servers import hapi
from tests.facade import embedded_facade

CALLERS, LINES = 32, 400
WARM_UP_S = 5.0
WHO = Principal("practitioner", user="0b7f3d5c-9c4a-4c8e-a9a6-0a7b7c8d9e0f", client=ClientId("app"), token="token")
SERVICE = Principal("backend", client=ClientId("service"), scopes=(Scope("system", "*", frozenset("cruds")),))

T = TypeVar("T")
Item = TypeVar("Item")
RowT = TypeVar("RowT", bound=Row)


# --- one line -------------------------------------------------------------------------------------------------


async def _read(ports: Ports) -> None:
    for number in range(LINES):
        asked = FhirRequest(
            Interaction.READ, "Observation", f"reading-{number}", request_id=f"request-{number}", address="192.0.2.1"
        )
        await record_lines(ports, audit_lines(ports, WHO, asked, {"a-patient"}, version="1"))


async def _cost(work: Awaitable[object]) -> float:
    """Microseconds of processor time for each line."""
    before = os.times()
    await work
    after = os.times()
    return (after.user + after.system - before.user - before.system) * 1e6 / (CALLERS * LINES)


async def line_by_line() -> None:
    with TemporaryDirectory() as folder:
        async with embedded_facade(Path(folder)) as facade:
            for _ in range(3):
                written = await _cost(asyncio.gather(*(_read(facade.ports) for _ in range(CALLERS))))
                print(f"written {written:5.1f} µs   sealed {await _cost(seal(facade.ports)):5.1f} µs")
            assert not (await verify(facade.ports)).problems


# --- over HAPI ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Unaudited:
    """The rows of a facade that could be and must not be: lines of reads are written nowhere. For this page only."""

    state: StateStore

    async def append(self, rows: Sequence[Row]) -> None:
        return None

    async def read(self, work: Callable[[StateTransaction], T]) -> T:
        return await self.state.read(work)

    async def present(self, row: type[Row], keys: Collection[str]) -> frozenset[str]:
        return await self.state.present(row, keys)

    async def write(self, work: Callable[[StateTransaction], T]) -> T:
        return await self.state.write(work)

    async def write_shared(
        self, work: Callable[[StateTransaction, Sequence[Item]], Sequence[T]], item: Item, *, in_turn: bool = False
    ) -> T:
        return await self.state.write_shared(work, item, in_turn=in_turn)

    async def ping(self) -> None:
        await self.state.ping()


async def over_hapi(url: str, folder: Path, seconds: float, rounds: int) -> None:
    """Reads through the door, in turns with and without the audit. No HTTP server is in front: in a real one the part
    of the audit is smaller."""
    async with open_ports(Settings(store="hapi", hapi_url=url, data_dir=folder)) as audited:
        bare = replace(audited, state=Unaudited(audited.state))
        await _load(audited)
        await _rate(audited, WARM_UP_S)
        kept: list[float] = []
        for _ in range(rounds):
            without, with_ = await _rate(bare, seconds), await _rate(audited, seconds)
            kept.append(with_ / without)
            print(f"with the audit {with_:7,.0f}/s   without {without:7,.0f}/s   kept {kept[-1]:6.1%}", flush=True)
        print(f"kept, median of {rounds} rounds: {median(kept):.1%}; the target is 90 %")


async def _load(ports: Ports) -> None:
    for number in range(CALLERS):
        body = f'{{"resourceType":"Patient","id":"patient-{number}","active":true}}'.encode()
        await dispatch(ports, SERVICE, FhirRequest(Interaction.UPDATE, "Patient", f"patient-{number}", body=body))


async def _rate(ports: Ports, seconds: float) -> float:
    """Reads in a second of as many callers."""
    began = time.monotonic()
    ends = began + seconds

    async def caller(number: int) -> int:
        done, asked = 0, FhirRequest(Interaction.READ, "Patient", f"patient-{number}", request_id=f"caller-{number}")
        while time.monotonic() < ends:
            await dispatch(ports, SERVICE, asked)
            done += 1
        return done

    done = sum(await asyncio.gather(*map(caller, range(CALLERS))))
    return done / (time.monotonic() - began)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--over-hapi", action="store_true")
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--rounds", type=int, default=5)
    chosen = parser.parse_args()
    if not chosen.over_hapi:
        asyncio.run(line_by_line())
        return
    with TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)  # PostgreSQL is not started as root
        with hapi(Path(folder) / "hapi") as server:
            asyncio.run(over_hapi(server.base_url, Path(folder) / "facade", chosen.seconds, chosen.rounds))


if __name__ == "__main__":
    main()
