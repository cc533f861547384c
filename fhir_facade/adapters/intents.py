"""`UnitOfWork` over two stores that share no transaction: HAPI for resources, SQL for the facade's own rows.

1. One commit of the rows' database: the intent, which names the resources and carries the row changes.
2. One HAPI transaction under the intent's id as request id, which HAPI keeps in `meta.source` of what it writes.
3. One commit: the row changes, without the intent. Writers that wait at the same time share the commits of 1 and 3.

Whoever crashes after 1 leaves the intent behind; any process then asks HAPI for the id and finishes 3 or drops it.
https://microservices.io/patterns/data/transactional-outbox.html is the same idea in the other direction.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from typing import Protocol

from fhir_facade.adapters.hapi.session import request_id
from fhir_facade.adapters.intent_gathering import Gathering
from fhir_facade.adapters.intent_groups import Groups
from fhir_facade.adapters.intent_rows import (
    all_numbered,
    apply_alone,
    begin,
    claim,
    drop,
    finish,
    finish_late,
    looked,
    refuse,
    renew,
)
from fhir_facade.adapters.state.changes import encode_changes
from fhir_facade.adapters.state.tables import Tables, facade_tables
from fhir_facade.errors import (
    BadRequest,
    Conflict,
    FacadeError,
    Gone,
    NotFound,
    PreconditionFailed,
    TooLarge,
    Unavailable,
)
from fhir_facade.ports import Clock, Commit, Committed, FhirStore, Ids, StateStore
from fhir_facade.rows import RowChange
from fhir_facade.rows.intents import Intent
from fhir_facade.values import Absent, Ref, StoredResource, Write

LEASE = timedelta(seconds=10)  # nobody else touches an intent whose writer is alive
RENEW_S = 3.0
LOOK_AGAIN = timedelta(seconds=20)
LOOKS = 7  # HAPI may go on for a while with a request whose sender died: 140 s in all
RECOVERY = timedelta(seconds=20)
RECOVERY_PAUSE_S = 0.2
ID_LENGTH = 16  # what HAPI keeps of a request id
BATCH = 100

REFUSALS = (BadRequest, Conflict, PreconditionFailed, TooLarge)  # after these nothing was written, for certain

log = logging.getLogger(__name__)


class WriteEvidence(Protocol):
    """Asks the store who wrote."""

    async def happened(self, request: str, refs: Sequence[Ref]) -> bool:
        """Whether any version of these resources was written under this request id."""


class IntentUnit:
    """Call `recover` at start-up and `settle` every few seconds; `commit` is the port."""

    def __init__(
        self,
        store: FhirStore,
        evidence: WriteEvidence,
        state: StateStore,
        clock: Clock,
        ids: Ids,
        *,
        tables: Tables | None = None,
        renew_s: float = RENEW_S,
    ) -> None:
        self._store = store
        self._evidence = evidence
        self._state = state
        self._clock = clock
        self._ids = ids
        self._tables = tables or facade_tables()
        self._renew_s = renew_s
        self._begin_all, self._finish_all = partial(begin, self._tables), partial(finish, self._tables)
        self._keeping: dict[str, asyncio.Task[None]] = {}
        self._groups = Groups(self._commit, REFUSALS)
        self._gathering = Gathering(self._commit, self.commit_each)

    async def commit(self, writes: Sequence[Write], rows: Sequence[RowChange]) -> Sequence[StoredResource]:
        """Unavailable: the outcome is not known yet; both or neither will be true when the intent was settled."""
        if not rows:
            return await self._store.write(writes)
        if not writes:
            await self._state.write(lambda tx: apply_alone(tx, self._tables, rows))
            return []
        if _is_new(writes) and all_numbered(self._tables, rows):
            return await self._gathering.commit(writes, rows)
        return await self._commit(writes, rows)

    async def _commit(self, writes: Sequence[Write], rows: Sequence[RowChange]) -> Sequence[StoredResource]:
        intent = await self._begin(writes, rows)
        try:
            stored = await self._write(intent, writes)
        except REFUSALS:
            await self._state.write(lambda tx: drop(tx, intent))
            raise
        try:
            await self._state.write_shared(self._finish_all, (intent, rows))
        except Conflict as error:
            await self._refuse(intent, error)
            raise
        return stored

    async def commit_each(self, commits: Sequence[Commit]) -> Sequence[Committed]:
        """Several in one transaction of HAPI, under one intent."""
        return await self._groups.commit_each(commits)

    async def settle(self) -> int:
        """Look after intents whose writer fell silent; returns how many were finished or dropped."""
        now = self._clock.now()
        due = (("due_at", "<=", now), ("refused", "=", None))
        intents = await self._state.read(lambda tx: tx.find(Intent, *due, order=("due_at",), limit=BATCH))
        return sum([await self._settle(intent, now) for intent in intents])

    async def recover(self) -> None:
        """Before the first request: settle what an earlier process left, which may take the length of a lease."""
        start = self._clock.now()
        left = (("created_at", "<", start), ("looks", "=", 0), ("refused", "=", None))
        while await self._state.read(lambda tx: tx.count(Intent, *left)):
            if self._clock.now() > start + RECOVERY:
                log.warning("intents of other processes are still open; they are settled in the background")
                return
            if not await self.settle():
                await asyncio.sleep(RECOVERY_PAUSE_S)

    async def _begin(self, writes: Sequence[Write], rows: Sequence[RowChange]) -> Intent:
        puts, deletes = await self._telling(writes)
        now = self._clock.now()
        intent = Intent(
            id=self._ids.new().replace("-", "")[-ID_LENGTH:],
            puts=tuple(map(str, puts)),
            deletes=tuple(map(str, deletes)),
            changes=encode_changes(self._tables, rows),
            before=("",) * len(rows),
            created_at=now,
            due_at=now + LEASE,
        )
        await self._state.write_shared(self._begin_all, (intent, rows))
        return intent

    async def _telling(self, writes: Sequence[Write]) -> tuple[list[Ref], list[Ref]]:
        """The puts and deletes that will tell whether it happened. One that makes something new tells for all: others
        may change nothing, and what is deleted somebody else may have deleted."""
        for write in writes:
            if isinstance(write.precondition, Absent):
                return [write.ref], []
        deletes = [write.ref for write in writes if write.kind == "delete" and await self._is_live(write.ref)]
        return [write.ref for write in writes if write.kind == "put"], deletes

    async def _write(self, intent: Intent, writes: Sequence[Write]) -> Sequence[StoredResource]:
        alive = asyncio.get_running_loop().call_later(self._renew_s, self._keep, intent)
        token = request_id.set(intent.id)
        try:
            return await self._store.write(writes)
        finally:
            request_id.reset(token)
            alive.cancel()
            if (keeping := self._keeping.pop(intent.id, None)) is not None:
                keeping.cancel()

    def _keep(self, intent: Intent) -> None:
        """The write takes long: say every few seconds that this process is alive."""
        self._keeping[intent.id] = asyncio.ensure_future(self._renew(intent))

    async def _renew(self, intent: Intent) -> None:
        while True:
            with suppress(FacadeError):
                await self._state.write(lambda tx: renew(tx, intent, self._clock.now() + LEASE))
            await asyncio.sleep(self._renew_s)

    async def _settle(self, intent: Intent, now: datetime) -> bool:
        if not await self._state.write(lambda tx: claim(tx, intent, now + LOOK_AGAIN)):
            return False
        try:
            happened = await self._happened(intent)
            if happened:
                await self._state.write(lambda tx: finish_late(tx, self._tables, intent))
        except Conflict as error:
            await self._refuse(intent, error)
            return True
        except Unavailable as error:
            log.warning("intent %s cannot be settled now: %s", intent.id, error)
            return False
        return happened or await self._looked_in_vain(intent)

    async def _looked_in_vain(self, intent: Intent) -> bool:
        last = intent.looks + 1 >= LOOKS
        await self._state.write(lambda tx: drop(tx, intent) if last else looked(tx, intent))
        return last

    async def _happened(self, intent: Intent) -> bool:
        """A put is known by the request id that its version carries, a delete by what is gone."""
        if intent.puts and await self._evidence.happened(intent.id, list(map(_ref, intent.puts))):
            return True
        return bool(intent.deletes) and not any([await self._is_live(_ref(text)) for text in intent.deletes])

    async def _is_live(self, ref: Ref) -> bool:
        try:
            await self._store.read(ref)
        except (NotFound, Gone):
            return False
        return True

    async def _refuse(self, intent: Intent, error: Conflict) -> None:
        """The resources are written and the rows cannot be: kept for a person, never tried again."""
        log.error("the rows of intent %s cannot be applied: %s", intent.id, error)
        await self._state.write(lambda tx: refuse(tx, intent, str(error)))


def _is_new(writes: Sequence[Write]) -> bool:
    """One new resource: nobody else's write has anything to do with it."""
    return len(writes) == 1 and isinstance(writes[0].precondition, Absent)


def _ref(text: str) -> Ref:
    kind, _, id_ = text.partition("/")
    return Ref(kind, id_)
