"""Logs as one JSON object a line: time, level, event, fields. Only fields that a caller named are written."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, TextIO

import msgspec

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "color_message"}
_NOISY = ("authlib", "httpx", "httpcore", "asyncio", "alembic")


class JsonLines(logging.Formatter):
    """`record.msg` is the event; everything given as `extra` becomes a member."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "at": _at(int(record.created * 1000)),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
            **_members(record),
        }
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        return msgspec.json.encode(line, enc_hook=str).decode()


@lru_cache(maxsize=8)
def _at(ms: int) -> str:
    """Of lines that are written at once many have the same."""
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds")


def _members(record: logging.LogRecord) -> Mapping[str, Any]:
    """What the caller named; a record made for speed brings it as `members`."""
    own = vars(record)
    ready: Mapping[str, Any] | None = own.get("members")
    return ready if ready is not None else {name: value for name, value in own.items() if name not in _STANDARD}


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
