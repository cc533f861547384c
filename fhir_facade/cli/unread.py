"""Answers that nobody reads are given up after a while, so that whoever asks for much and takes nothing holds nothing.

https://cwe.mitre.org/data/definitions/772.html. What is not read waits first in the kernel, then in the process, which
holds back the rest; both are looked at here, and only from when something waits: an answer that is read costs nothing.
"""

from __future__ import annotations

import asyncio
import fcntl
import socket
import sys
import termios
from typing import Final

WITHIN_S: Final = 60.0
"""So long a connection takes nothing, or next to nothing, before it is given up."""
LEAST: Final = 32 * 1024
"""Bytes that a connection takes within that time at least: a tenth of what the slowest of mobile networks carries."""


class Unread:
    """What one connection has still to send. It is looked at from `watch` until `end`."""

    def __init__(self, transport: asyncio.Transport, within_s: float) -> None:
        self._transport = transport
        self._within_s = within_s
        self._left = 0
        self._timer: asyncio.TimerHandle | None = None

    def watch(self) -> None:
        if self._timer is None:
            self._left = _unread(self._transport)
            self._wait()

    def end(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _wait(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(self._within_s, self._look)

    def _look(self) -> None:
        """What is not sent is thrown away: to close in order would wait for it."""
        left = _unread(self._transport)
        if left > self._left - LEAST:
            self._transport.abort()
            return
        self._left = left
        self._wait()


def give_up_unread(listening: socket.socket, within_s: float = WITHIN_S) -> None:
    """The kernel ends connections, taken from this socket, whose other side takes nothing of what is for it or is gone:
    it alone knows of answers and of events of a stream that are so small that they wait in it. Beside Linux it knows no
    such limit. https://www.rfc-editor.org/rfc/rfc5482"""
    if sys.platform == "linux":
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(within_s * 1000))


def _unread(transport: asyncio.Transport) -> int:
    """Bytes that the other side has not taken. With those in the kernel, which asks for more only when it has sent a
    third of its megabytes: by itself a slow reader would look like one who does not read."""
    return transport.get_write_buffer_size() + _in_kernel(transport.get_extra_info("socket"))


def _in_kernel(connection: socket.socket) -> int:
    try:
        return int.from_bytes(fcntl.ioctl(connection.fileno(), termios.TIOCOUTQ, bytes(4)), sys.byteorder)
    except OSError:  # gone meanwhile, or a system that does not tell
        return 0
