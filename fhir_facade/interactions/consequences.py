"""What follows from a write and is committed with it: alerts raised, updated and cleared, and their events."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fhir_facade.ports import Ports
from fhir_facade.rows import RowChange
from fhir_facade.values import Ref, Write


@dataclass(frozen=True, slots=True)
class Consequences:
    """`guards` are the resources, with the versions seen, on which the decision rests."""

    writes: tuple[Write, ...] = ()
    rows: tuple[RowChange, ...] = ()
    guards: tuple[tuple[Ref, str], ...] = ()


NOTHING = Consequences()


async def consequences(ports: Ports, writes: Sequence[Write]) -> Consequences:
    """Judge the alert rules for the observations among the writes."""
    return NOTHING
