"""`fhir-facade serve`: worker processes that share a port, started fast, stopped cleanly.

What must be true once is looked at here, before anything heavy is loaded: settings, the lock on the data, the port.
"""

from __future__ import annotations

import gc
import logging
import socket
import sys
from contextlib import ExitStack
from tempfile import TemporaryDirectory
from typing import Final

from fhir_facade.adapters import logs
from fhir_facade.adapters.data_lock import sole_server
from fhir_facade.cli.port import bind
from fhir_facade.settings import Settings, misnamed

PATIENCE_S: Final = 3.0
"""Workers of a server that was killed end within this."""
_LOG: Final = logging.getLogger("fhir_facade.serve")


def serve() -> None:
    """Serve the FHIR API, sign-in, the convenience API and the portal. Settings come from FHIR_FACADE_ variables."""
    gc.disable()  # until all is loaded: there is nothing to collect in it
    settings = Settings()
    logs.configure(settings.log_level)
    if wrong := misnamed():
        _LOG.warning(wrong)
    with ExitStack() as stack:
        if not settings.rows_elsewhere:
            stack.enter_context(sole_server(settings.data_file, patience_s=PATIENCE_S))
        way = _alone if settings.worker_count == 1 else _together
        code = way(settings, stack)
    sys.exit(code)


def _alone(settings: Settings, stack: ExitStack) -> int:
    listening = stack.enter_context(bind(settings))
    from fhir_facade.cli.serving import serve_alone

    return serve_alone(_on_port_of(listening, settings), listening)


def _together(settings: Settings, stack: ExitStack) -> int:
    """The port stays reserved when a worker ends. Others who share ports are seen by looking without sharing first."""
    if settings.port:
        bind(settings).close()
    reserved = stack.enter_context(bind(settings, shared=True))
    metrics = stack.enter_context(TemporaryDirectory(prefix="fhir-facade-metrics-"))
    from fhir_facade.cli.serving import serve_together

    return serve_together(_on_port_of(reserved, settings), metrics)


def _on_port_of(bound: socket.socket, settings: Settings) -> Settings:
    """The port that was found when any would do."""
    return settings if settings.port else settings.model_copy(update={"port": bound.getsockname()[1]})
