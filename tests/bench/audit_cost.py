"""What the audit costs: processor time of a line, written by many callers at once, and sealed; and what part of the
reads over HAPI it takes.

python -m tests.bench.audit_cost
python -m tests.bench.audit_cost --over-hapi [--seconds 3] [--rounds 9]
"""

from __future__ import annotations

import argparse
import asyncio
import os
from collections.abc import Awaitable
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from fhir_facade.flows.audit_chain import seal, verify
from fhir_facade.interactions.audit import audit_lines, record_lines
from fhir_facade.ports import Ports
from fhir_facade.values import ClientId, FhirRequest, Interaction, Principal
from tests.bench import data
from tests.bench.load import measure
from tests.bench.run import LEAD_IN_S, Workload, planned
from tests.bench.servers import Server, facade_over, hapi
from tests.facade import embedded_facade

CALLERS, LINES = 32, 400
PATIENTS, READINGS = 100, 30
WARM_UP_S = 60.0
WHO = Principal("practitioner", user="0b7f3d5c-9c4a-4c8e-a9a6-0a7b7c8d9e0f", client=ClientId("app"), token="token")


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


def over_hapi(folder: Path, seconds: float, rounds: int) -> None:
    """Reads through two servers before one HAPI in turns: one as it is, one that writes no audit."""
    workload = Workload(data.Made(data.Size(PATIENTS, READINGS)))
    with hapi(folder / "hapi") as below:
        for body in workload.data.stored():
            below.ask(("POST", "", body))
        with (
            facade_over(below, folder / "audited") as audited,
            facade_over(below, folder / "bare", module="tests.bench.unaudited") as bare,
        ):
            for server in (below, audited, bare):
                _rate(server, workload, WARM_UP_S)
            kept = []
            for _ in range(rounds):
                without, with_ = _rate(bare, workload, seconds), _rate(audited, workload, seconds)
                kept.append(with_ / without)
                print(f"with the audit {with_:7,.0f}/s   without {without:7,.0f}/s   kept {kept[-1]:6.1%}", flush=True)
    print(f"kept, median of {rounds} rounds: {median(kept):.1%}; the target is 90 %")


def _rate(server: Server, workload: Workload, seconds: float) -> float:
    """Reads in a second of as many callers."""
    measure(planned(server, workload, "read", CALLERS, LEAD_IN_S))
    return measure(planned(server, workload, "read", CALLERS, seconds)).per_second


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--over-hapi", action="store_true")
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--rounds", type=int, default=9)
    chosen = parser.parse_args()
    if not chosen.over_hapi:
        asyncio.run(line_by_line())
        return
    with TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)  # PostgreSQL is not started as root
        over_hapi(Path(folder), chosen.seconds, chosen.rounds)


if __name__ == "__main__":
    main()
