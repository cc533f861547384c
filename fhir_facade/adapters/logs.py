"""Logs as one JSON object a line: time, level, event, fields. Only fields that a caller named are written."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, TextIO

import msgspec

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "color_message"}
_ENCODE = msgspec.json.Encoder(enc_hook=str).encode
_NOISY = ("authlib", "httpx", "httpcore", "asyncio", "alembic")


class JsonLines(logging.Formatter):
    """`record.msg` is the event; everything given as `extra` becomes a member."""

    def format(self, record: logging.LogRecord) -> str:
        """A record may stand for several lines, each with its own time and members: then it brings them as `lines`."""
        head = {"level": record.levelname.lower(), "logger": record.name, "event": record.getMessage()}
        lines: Sequence[tuple[float, Mapping[str, Any]]] | None = vars(record).get("lines")
        if lines is not None:
            told = [_ENCODE({"at": _at(int(at * 1000)), **head, **members}) for at, members in lines]
            return b"\n".join(told).decode()
        own = {name: value for name, value in vars(record).items() if name not in _STANDARD}
        trace = {"trace": self.formatException(record.exc_info)} if record.exc_info else {}
        return _ENCODE({"at": _at(int(record.created * 1000)), **head, **own, **trace}).decode()


@lru_cache(maxsize=8)
def _at(ms: int) -> str:
    """Of lines that are written at once many have the same."""
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds")


class TurnHandler(logging.Handler):
    """Writes the lines of one turn of the event loop at once; warnings and what comes from elsewhere immediately.

    Writing costs little by itself, but each time it lets another thread take the interpreter away.
    """

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self._stream = stream
        self._lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self._lines.append(self.format(record) + "\n")
        if record.levelno >= logging.WARNING:
            self.flush()
        elif len(self._lines) == 1:
            self._flush_soon()

    def _flush_soon(self) -> None:
        loop = _running_loop()
        if loop is None:
            self.flush()
        else:
            loop.call_soon(self.flush)

    def flush(self) -> None:
        self.acquire()
        try:
            lines, self._lines = self._lines, []
            if lines:
                self._stream.write("".join(lines))
                self._stream.flush()
        finally:
            self.release()


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def configure(level: str) -> None:
    """Send everything from `level` up to standard error; libraries that would log tokens or addresses from warning."""
    handler = TurnHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in _NOISY:
        logging.getLogger(name).setLevel(logging.WARNING)
