"""Where a facade stops: every call that it makes of the world outside is a step before and a step after.

The ports of a facade are wrapped when it is put together; nothing of the facade itself knows of it.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable
from contextlib import suppress
from contextvars import Context, copy_context
from dataclasses import dataclass
from typing import Any, TypeVar

T = TypeVar("T")


class Crash(BaseException):
    """The process is gone: no `except Exception` sees it."""


@dataclass(frozen=True, slots=True)
class Call:
    """A call before which a facade was stopped."""

    arguments: tuple[Any, ...]
    more: dict[str, Any]
    context: Context


class Steps:
    """Counts the steps of a facade and raises at one of them. After a Crash nothing that still runs reaches the world;
    another error is the answer of that one call."""

    def __init__(self, stop_at: int | None = None, error: type[BaseException] = Crash) -> None:
        self.names: list[str] = []
        self.stopped = False
        self.unsent: Call | None = None
        self._stop_at = stop_at
        self._error = error

    def reach(self, name: str) -> None:
        if self.stopped and self._error is Crash:
            raise Crash(name)
        self.names.append(name)
        if len(self.names) - 1 == self._stop_at:
            self.stopped = True
            raise self._error(name)

    def watch(self, port: Any) -> Any:
        """The port with a step before and after each call."""
        return _Watched(port, self)

    async def ended(self, work: Awaitable[T]) -> T | None:
        """What came of the work; None when it was stopped."""
        result = None
        try:
            with suppress(self._error):
                result = await work
        except BaseExceptionGroup as errors:
            if errors.split(self._error)[1] is not None:
                raise
        return result


class _Watched:
    def __init__(self, port: Any, steps: Steps) -> None:
        self._port = port
        self._steps = steps

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._port, name)
        if not inspect.iscoroutinefunction(found):
            return found

        async def call(*arguments: Any, **more: Any) -> Any:
            told = f"{name} {arguments[0]}" if arguments and isinstance(arguments[0], str) else name
            try:
                self._steps.reach(f"before {told}")
            except Crash:
                self._steps.unsent = self._steps.unsent or Call(arguments, more, copy_context())
                raise
            result = await found(*arguments, **more)
            self._steps.reach(f"after {told}")
            return result

        return call
