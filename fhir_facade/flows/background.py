"""Work that outlives the request that began it, or that nobody asks for: synchronisations and what falls due.

A connection that is due is leased in its own row, so that any process can take it over when this one dies.
https://www.postgresql.org/docs/15/explicit-locking.html tells why the row, not the process, has to know.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta
from typing import Any, Final

from fhir_facade.errors import FacadeError
from fhir_facade.flows.alert_rules import store_rules
from fhir_facade.flows.alongside import again_and_again, alongside
from fhir_facade.flows.audit_chain import drop_old, seal
from fhir_facade.flows.audit_copy import copy
from fhir_facade.flows.launch.sweep import sweep
from fhir_facade.flows.mail import deliver_due
from fhir_facade.flows.sync import pause, sync
from fhir_facade.flows.wearables.report import SyncReport
from fhir_facade.interactions.alerts.marks import compare
from fhir_facade.interactions.audit_refusals import close_counts
from fhir_facade.interactions.naming import look_through
from fhir_facade.ports import Ports, StateTransaction
from fhir_facade.rows.connections import Connection

LEASE: Final = timedelta(minutes=2)
AT_ONCE: Final = 4
LOOK_EVERY_S: Final = 5.0
SWEEP_EVERY_S: Final = 900.0
MAIL_EVERY_S: Final = 5.0
SEAL_EVERY_S: Final = 10.0
CLOSE_EVERY_S: Final = 30.0
COPY_EVERY_S: Final = 10.0
NAMED_EVERY_S: Final = 60.0
RULES_EVERY_S: Final = 60.0
GRACE_S: Final = 5.0
_LOG = logging.getLogger(__name__)


# --- synchronisations of this process -------------------------------------------------------------------------


class RunningSyncs:
    """The synchronisations under way in this process. They go on when the one who asked goes away."""

    def __init__(self, ports: Ports) -> None:
        self._ports = ports
        self._running: dict[tuple[str, bool], asyncio.Task[SyncReport]] = {}
        self._stopping = asyncio.Event()

    async def wait_for(self, connection_id: str, *, full: bool = False, wait_s: float) -> SyncReport | None:
        """Begin a sync, or join the same one under way here or in another process; its report, or None when it takes
        longer than `wait_s`.

        Access is the caller's business. Errors as of `sync`.
        """
        task = self._begin(connection_id, full=full)
        stopping = asyncio.ensure_future(self._stopping.wait())
        try:
            await asyncio.wait([task, stopping], timeout=wait_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopping.cancel()
        return task.result() if task.done() and not task.cancelled() else None

    async def run(self, connection_id: str) -> SyncReport:
        """The same without a limit; it goes on when the one who waits is cancelled."""
        return await asyncio.shield(self._begin(connection_id, full=False))

    def stop(self) -> None:
        """Whoever waits or listens gets an answer now: the process is about to end."""
        self._stopping.set()
        self._ports.streams.announce("event")

    @property
    def stopping(self) -> bool:
        return self._stopping.is_set()

    async def close(self) -> None:
        """Give what runs a moment, then end it: the next sync ends in the same state."""
        self.stop()
        running = list(self._running.values())
        if running:
            await asyncio.wait(running, timeout=GRACE_S)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    def _begin(self, connection_id: str, *, full: bool) -> asyncio.Task[SyncReport]:
        key = (connection_id, full)
        task = self._running.get(key)
        if task is None:
            task = asyncio.create_task(self._in_turn(connection_id, full=full))
            self._running[key] = task
            task.add_done_callback(lambda done: self._ended(key, done))
        return task

    async def _in_turn(self, connection_id: str, *, full: bool) -> SyncReport:
        """After the other kind of sync of the same connection, however long it takes."""
        other = self._running.get((connection_id, not full))
        if other is not None:
            await asyncio.wait([other])
        return await sync(self._ports, connection_id, full=full)

    def _ended(self, key: tuple[str, bool], task: asyncio.Task[SyncReport]) -> None:
        """The text of an error could name a person; the trace of a defect is needed to repair it."""
        del self._running[key]
        error = None if task.cancelled() else task.exception()
        if isinstance(error, FacadeError):
            _LOG.warning("sync.failed", extra={"error": type(error).__name__})
        elif error is not None:
            _LOG.error("sync.defect", exc_info=error)


# --- synchronisations that are due ----------------------------------------------------------------------------


async def sync_due(ports: Ports, syncs: RunningSyncs, *, at_once: int = AT_ONCE) -> int:
    """Synchronise everything that is due and not leased, so many at once; how many there were."""
    done = 0
    while leased := await ports.state.write(lambda tx: _lease(tx, ports.clock.now(), at_once)):
        await asyncio.gather(*(_sync_leased(ports, syncs, each) for each in leased))
        done += len(leased)
    return done


def _lease(tx: StateTransaction, now: datetime, most: int) -> list[Connection]:
    """Connections that belong to this process until the lease ends."""
    due = [
        each
        for free in (("leased_until", "=", None), ("leased_until", "<=", now))
        for each in tx.find(Connection, ("due_at", "<=", now), free, order=("due_at",), limit=most)
    ]
    leased: list[Connection] = []
    for each in due[:most]:
        unchanged = [("id", "=", each.id), ("due_at", "=", each.due_at), ("leased_until", "=", each.leased_until)]
        leased += tx.change(Connection, unchanged, leased_until=now + LEASE)
    return leased


async def _sync_leased(ports: Ports, syncs: RunningSyncs, connection: Connection) -> None:
    try:
        async with alongside(_keep_lease(ports, connection.id)):
            await syncs.run(connection.id)
    except FacadeError:  # logged where the sync ended
        await _push_back(ports, connection)
    except Exception:
        await _push_back(ports, connection)
        raise


async def _keep_lease(ports: Ports, connection_id: str) -> None:
    """Renew the lease as long as this process lives and works on it."""
    while True:
        await asyncio.sleep(LEASE.total_seconds() / 3)
        where = [("id", "=", connection_id), ("leased_until", "!=", None)]
        until = ports.clock.now() + LEASE
        with suppress(FacadeError):
            await ports.state.write(lambda tx: tx.change(Connection, where, leased_until=until))  # noqa: B023


async def _push_back(ports: Ports, connection: Connection) -> None:
    failures = connection.failures + 1
    values = {"failures": failures, "due_at": ports.clock.now() + pause(failures), "leased_until": None}
    await ports.state.write(lambda tx: tx.change(Connection, [("id", "=", connection.id)], **values))


# --- all of it ------------------------------------------------------------------------------------------------


@asynccontextmanager
async def background(ports: Ports, syncs: RunningSyncs) -> AsyncIterator[None]:
    """Everything a serving process does unasked, for the life of the block."""
    async with alongside(
        again_and_again("sync", LOOK_EVERY_S, lambda: sync_due(ports, syncs)),
        again_and_again("mail", MAIL_EVERY_S, lambda: deliver_due(ports)),
        again_and_again("sweep", SWEEP_EVERY_S, lambda: sweep(ports)),
        again_and_again("compare guards", SWEEP_EVERY_S, lambda: compare(ports)),
        again_and_again("store the alert rules", RULES_EVERY_S, lambda: store_rules(ports)),
        again_and_again("look for who is named", NAMED_EVERY_S, lambda: look_through(ports, tell=_tell_looked)),
        again_and_again("close counts of refusals", CLOSE_EVERY_S, lambda: close_counts(ports)),
        again_and_again("seal the audit", SEAL_EVERY_S, lambda: seal(ports)),
        again_and_again("drop old audit", SWEEP_EVERY_S, lambda: drop_old(ports)),
        *_where_asked_for(ports),
    ):
        yield


def _tell_looked(name: str, amount: int) -> None:
    _LOG.info("records.looked_through", extra={"type": name, "records": amount})


def _where_asked_for(ports: Ports) -> list[Coroutine[Any, Any, None]]:
    """What a setting switches on."""
    if not ports.deployment.audit_copied:
        return []
    return [again_and_again("copy the audit", COPY_EVERY_S, lambda: copy(ports))]
