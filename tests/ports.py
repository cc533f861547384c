"""Ports for servers that are told theirs before they start."""

from __future__ import annotations

import random
import socket
from contextlib import suppress

LOWEST, HIGHEST, TRIES = 20_000, 32_000, 100
_chance = random.SystemRandom()


def free_port() -> int:
    """One that nobody listens on. It lies below those that systems hand out to connections: while the server still
    starts, none of these takes it."""
    for _ in range(TRIES):
        port = _chance.randrange(LOWEST, HIGHEST)
        with suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            return port
    raise RuntimeError(f"no port between {LOWEST} and {HIGHEST} is free")
