"""What a line of the audit costs in processor time: written by many callers at once, and sealed.

python -m tests.bench.audit_cost
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable
from pathlib import Path
from tempfile import TemporaryDirectory

from fhir_facade.flows.audit_chain import seal, verify
from fhir_facade.interactions.audit import audit_lines, record_lines
from fhir_facade.ports import Ports
from fhir_facade.values import ClientId, FhirRequest, Interaction, Principal
from tests.facade import embedded_facade

CALLERS, LINES = 32, 400
WHO = Principal("practitioner", user="0b7f3d5c-9c4a-4c8e-a9a6-0a7b7c8d9e0f", client=ClientId("app"), token="token")


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


async def main() -> None:
    with TemporaryDirectory() as folder:
        async with embedded_facade(Path(folder)) as facade:
            for _ in range(3):
                written = await _cost(asyncio.gather(*(_read(facade.ports) for _ in range(CALLERS))))
                print(f"written {written:5.1f} µs   sealed {await _cost(seal(facade.ports)):5.1f} µs")
            assert not (await verify(facade.ports)).problems


if __name__ == "__main__":
    asyncio.run(main())
