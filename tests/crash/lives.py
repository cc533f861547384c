"""One life of a facade after the other on the same data, put together from the real adapters as a deployment is."""

from __future__ import annotations

import sqlite3
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from fhir_facade.adapters.embedded import EmbeddedStore, EmbeddedUnit
from fhir_facade.adapters.hapi import HapiStore
from fhir_facade.adapters.hapi.session import HapiSession
from fhir_facade.adapters.intents import LEASE, LOOK_AGAIN, LOOKS, IntentUnit
from fhir_facade.adapters.keys import open_key_file
from fhir_facade.adapters.locks import ProcessLocks
from fhir_facade.adapters.memory import ProcessMemory
from fhir_facade.adapters.sqlite_file import SqliteFile
from fhir_facade.adapters.state.sqlite import SqliteState
from fhir_facade.adapters.streams import ProcessStreams
from fhir_facade.adapters.system_clock import RandomIds
from fhir_facade.adapters.vault import KeyFileVault
from fhir_facade.ports import Clock, FhirStore, Ids, Ports, StateStore, UnitOfWork
from fhir_facade.values import Deployment
from tests.crash.steps import Steps
from tests.facade import PUBLIC

FILE = "facade.sqlite"


class Hands:
    """Time that the test moves; it begins now, because readings of long ago raise no alert."""

    def __init__(self, begin: datetime | None = None) -> None:
        self._time = begin or datetime.now(UTC).replace(microsecond=0)

    def now(self) -> datetime:
        return self._time

    def pass_by(self, span: timedelta) -> None:
        self._time += span


class CountedIds:
    """Ids that say whose they are, the same ones in each repetition."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self.given: list[str] = []

    def new(self) -> str:
        self.given.append(f"{self._prefix}-{len(self.given):04}")
        return self.given[-1]

    def secret(self) -> str:
        return RandomIds().secret()


@dataclass
class Case:
    """What belongs to one example: other examples share its store."""

    prefix: str = field(default_factory=lambda: uuid.uuid4().hex[:12])
    clock: Hands = field(default_factory=Hands)

    def __post_init__(self) -> None:
        self.ids = CountedIds(self.prefix)

    def name(self, word: str) -> str:
        return f"{self.prefix}-{word}"


Life = Callable[[Case, Steps], AbstractAsyncContextManager[Ports]]
Trace = Callable[[sqlite3.Connection, str], None]
"""Told each statement of the writer of a data file before it is carried out."""


def embedded(folder: Path, trace: Trace | None = None) -> Life:
    """Lives on the data file in `folder`."""

    @asynccontextmanager
    async def life(case: Case, steps: Steps) -> AsyncIterator[Ports]:
        file = SqliteFile(folder / FILE)
        file.open()
        try:
            state = SqliteState(file)
            await state.migrate()
            store = EmbeddedStore(file, case.clock)
            store.start()
            unit = EmbeddedUnit(store, state.apply_changes)
            if trace is not None:
                file.writer.set_trace_callback(partial(trace, file.writer))
            watch = steps.watch
            yield _ports(folder, watch(store), watch(state), watch(unit), case.clock, case.ids)
        finally:
            file.close()

    return life


def over_hapi(url: str, folder: Path) -> Life:
    """Lives on the HAPI at `url`, with the facade's own rows in `folder`."""

    @asynccontextmanager
    async def life(case: Case, steps: Steps) -> AsyncIterator[Ports]:
        file = SqliteFile(folder / FILE)
        file.open()
        session = HapiSession(url, pool_size=8)
        try:
            state = SqliteState(file)
            await state.migrate()
            watched = steps.watch(state)
            store = HapiStore(steps.watch(session))
            unit = IntentUnit(store, store, watched, case.clock, case.ids)
            yield _ports(folder, store, watched, unit, case.clock, case.ids)
        finally:
            await session.close()
            file.close()

    return life


def _ports(folder: Path, store: FhirStore, state: StateStore, unit: UnitOfWork, clock: Clock, ids: Ids) -> Ports:
    keys = folder / "keys.json"
    return Ports(
        store=store,
        state=state,
        unit=unit,
        locks=ProcessLocks(),
        clock=clock,
        ids=ids,
        vault=KeyFileVault(open_key_file(keys, clock, create=not keys.exists())),
        streams=ProcessStreams(),
        vendors={},
        memory=ProcessMemory(),
        deployment=Deployment(fhir_url=f"{PUBLIC}/fhir", software_version="0", self_registration=True),
    )


async def look_for_intents(ports: Ports, case: Case) -> None:
    """What a process does before its first request."""
    if isinstance(ports.unit, IntentUnit):
        case.clock.pass_by(LEASE)
        await ports.unit.recover()


async def recover(ports: Ports, case: Case) -> None:
    """What a process does at its start, and in the minutes after it."""
    await look_for_intents(ports, case)
    for _ in range(LOOKS if isinstance(ports.unit, IntentUnit) else 0):
        case.clock.pass_by(LOOK_AGAIN)
        await ports.unit.settle()
