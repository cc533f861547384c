"""Taking the port of the server, alone or together with other processes. https://man7.org/linux/man-pages/man7/socket.7.html"""

from __future__ import annotations

import socket

from fhir_facade.cli.unread import give_up_unread
from fhir_facade.settings import Settings


def bind(settings: Settings, *, shared: bool = False) -> socket.socket:
    """A socket on the address of the settings, not listening yet. Leaves with a sentence when that is taken."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    give_up_unread(bound)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if shared:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        bound.bind((settings.host, settings.port))
    except OSError as error:
        raise SystemExit(f"fhir-facade: cannot listen on {settings.host}:{settings.port}: {error.strerror}") from error
    return bound
