"""Answers requests with uvicorn, in one process or in several that were parted before anything was open.

`/health` is answered as soon as the stores are open; what other requests need is loaded meanwhile, in each process
for itself, so that the one that watches them stays small.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import socket
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from importlib import import_module
from types import FrameType
from typing import Any

import uvicorn

from fhir_facade.adapters.memory import Marks
from fhir_facade.api.doorway import Doorway
from fhir_facade.cli.connections import Connections, shared_by_workers
from fhir_facade.cli.heads import limited_to
from fhir_facade.cli.heap import give_holes_back, tidy_heap
from fhir_facade.cli.port import bind
from fhir_facade.cli.threads import limit_threads
from fhir_facade.cli.workers import Worker, Workers, apart
from fhir_facade.errors import FacadeError
from fhir_facade.opening import open_ports
from fhir_facade.ports import Ports
from fhir_facade.settings import Settings

SHUTDOWN_S = 10
KEPT_S = 75
"""A connection on which nothing is asked stays open longer than the other side keeps it, which then lets go first: what
it sends while we do is lost. Clients keep theirs for 5 s (httpx) to 60 s (proxies)."""
REFUSED_TOLD_EVERY_S = 60
GC_THRESHOLDS = (50_000, 20, 20)
_LOG = logging.getLogger("fhir_facade.serve")


def serve_alone(settings: Settings, listening: socket.socket) -> int:
    """Until a signal ends it; the exit code."""
    tidy_heap()
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(_open_and_serve(settings, listening, lambda: _tell_addresses(settings)))
    return 0


def serve_together(settings: Settings, metrics_folder: str) -> int:
    """What is done once is done before the processes part: migrations, keys, intents that an earlier server left."""
    tidy_heap()
    if code := apart(lambda: _prepare(settings)):
        return code
    marks = Marks(settings.worker_count)

    def work(worker: Worker) -> None:
        marks.mine(worker.number)
        with asyncio.Runner(loop_factory=_loop_factory()) as runner, bind(settings, shared=True) as listening:
            runner.get_loop().add_reader(worker.lifeline, _end_at_once)
            runner.run(_open_and_serve(settings, listening, worker.ready, marks, metrics_folder))

    _collect_less()
    return Workers(settings.worker_count, work, ready=lambda: _tell_addresses(settings)).run()


def _prepare(settings: Settings) -> None:
    async def once() -> None:
        async with open_ports(settings) as ports:
            await _look_around(settings, ports)

    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(once())


def _end_at_once() -> None:
    """The server was killed: whoever starts it again finds its port and its data free."""
    os.kill(os.getpid(), signal.SIGKILL)


def _config(doorway: Doorway, connections: Connections) -> uvicorn.Config:
    return uvicorn.Config(
        doorway,
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        lifespan="off",
        timeout_keep_alive=KEPT_S,
        timeout_graceful_shutdown=SHUTDOWN_S,
        proxy_headers=False,
        http=limited_to(connections),
        ws="none",
    )


async def _open_and_serve(
    settings: Settings,
    listening: socket.socket,
    ready: Callable[[], None],
    marks: Marks | None = None,
    metrics_folder: str | None = None,
) -> None:
    limit_threads()
    async with open_ports(settings, marks=marks) as ports, AsyncExitStack() as stack:
        doorway, connections = Doorway(ports), shared_by_workers(settings)
        config = _config(doorway, connections)

        async def load() -> None:
            """In a thread, because /health is answered meanwhile."""
            application = await asyncio.to_thread(import_module, "fhir_facade.app")
            doorway.open(await stack.enter_async_context(application.running(settings, ports, metrics_folder)))
            _collect_less()
            ready()

        if marks is None:
            await _look_around(settings, ports)
        for name, lasting in {"refused connections": _tell_refused(connections), "heap": give_holes_back()}.items():
            stack.callback(asyncio.create_task(lasting, name=name).cancel)
        await _Server(config, doorway, load).serve(sockets=[listening])


async def _tell_refused(connections: Connections) -> None:
    while True:
        await asyncio.sleep(REFUSED_TOLD_EVERY_S)
        connections.tell()


def _tell_addresses(settings: Settings) -> None:
    base = settings.base_url
    addresses = {"portal": f"{base}/", "fhir": settings.fhir_url, "docs": f"{base}/docs"}
    more = {"store": settings.store, "workers": settings.worker_count}
    _LOG.info("serve.listening", extra={"url": base, **addresses, **more})


class _Server(uvicorn.Server):
    """Loads what is behind the doorway, and tells that to end before it waits for the requests in flight."""

    def __init__(self, config: uvicorn.Config, doorway: Doorway, load: Callable[[], Coroutine[Any, Any, None]]) -> None:
        super().__init__(config)
        self._doorway = doorway
        self._load = load
        self._loading: asyncio.Task[None] | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._loading = asyncio.create_task(self._load(), name="load")
        self._loading.add_done_callback(self._loaded)

    def _loaded(self, loading: asyncio.Task[None]) -> None:
        if loading.cancelled() or loading.exception():
            self.should_exit = True

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Ends in order: the signal is not raised again while stores are open. A second Ctrl+C does not wait."""
        self.force_exit = self.should_exit and sig == signal.SIGINT
        self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._doorway.stop()
        await super().shutdown(sockets)
        if self._loading is not None:
            await self._loading


def _collect_less() -> None:
    """What lives as long as the process is not looked through again; of the rest nearly all is freed without the
    collector, which otherwise takes as long as the requests themselves when Bundles make many objects at once."""
    gc.collect()
    gc.freeze()
    gc.enable()
    gc.set_threshold(*GC_THRESHOLDS)


async def _look_around(settings: Settings, ports: Ports) -> None:
    """Once before anybody is served."""
    from fhir_facade.flows.audit_chain import refuse_foreign_keys

    await refuse_foreign_keys(ports, str(settings.keys_path))
    await _tell_what_is_down(ports)


async def _tell_what_is_down(ports: Ports) -> None:
    """A store that is down is no reason not to start: /health says 503, and calls are answered once it is back."""
    try:
        await ports.store.ping()
    except FacadeError as error:
        _LOG.warning("serve.store_down", extra={"error": str(error), "until": "calls answer 503 until it is back"})


def _loop_factory() -> type[asyncio.AbstractEventLoop] | None:
    """uvloop where it is installed."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.Loop
