"""`fhir-facade serve`: one process on uvicorn, started fast, stopped cleanly."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
import socket
from types import FrameType

import uvicorn

from fhir_facade.adapters import logs
from fhir_facade.api.root import Root
from fhir_facade.app import open_ports, running
from fhir_facade.cli.heads import BoundedHeads
from fhir_facade.errors import FacadeError
from fhir_facade.ports import Ports
from fhir_facade.settings import Settings

SHUTDOWN_S = 10
GC_THRESHOLDS = (50_000, 20, 20)
_LOG = logging.getLogger("fhir_facade.serve")


def serve() -> None:
    """Serve the FHIR API, sign-in, the convenience API and the portal. Settings come from FHIR_FACADE_ variables."""
    settings = Settings()
    logs.configure(settings.log_level)
    listening = _bind(settings)
    if settings.port == 0:
        settings = settings.model_copy(update={"port": listening.getsockname()[1]})
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(_serve(settings, listening))


def _bind(settings: Settings) -> socket.socket:
    """Bind before anything is opened, so that a taken port is found at once."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((settings.host, settings.port))
    except OSError as error:
        raise SystemExit(f"fhir-facade: cannot listen on {settings.host}:{settings.port}: {error.strerror}") from error
    return listening


async def _serve(settings: Settings, listening: socket.socket) -> None:
    async with open_ports(settings) as ports, running(settings, ports) as app:
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            server_header=False,
            date_header=False,
            lifespan="off",
            timeout_graceful_shutdown=SHUTDOWN_S,
            proxy_headers=False,
            http=BoundedHeads,
        )
        await _tell_what_is_down(ports)
        _collect_less()
        await _Server(config, settings, app).serve(sockets=[listening])


class _Server(uvicorn.Server):
    """Tells its addresses once it answers there, and the application before it waits for the requests in flight."""

    def __init__(self, config: uvicorn.Config, settings: Settings, app: Root) -> None:
        super().__init__(config)
        self._settings = settings
        self._app = app

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        base = self._settings.base_url
        addresses = {"portal": f"{base}/", "fhir": self._settings.fhir_url, "docs": f"{base}/docs"}
        _LOG.info("serve.listening", extra={"url": base, **addresses, "store": self._settings.store})

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Ends in order: the signal is not raised again while stores are open. A second Ctrl+C does not wait."""
        self.force_exit = self.should_exit and sig == signal.SIGINT
        self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._app.stop()
        await super().shutdown(sockets)


def _collect_less() -> None:
    """What lives as long as the process is not looked through again; of the rest nearly all is freed without the
    collector, which otherwise takes as long as the requests themselves when Bundles make many objects at once."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)


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
