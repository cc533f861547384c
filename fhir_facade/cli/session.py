"""How a command gets at the ports: it owns the data file, or works beside the running server as a guest."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from typing import TypeVar

from rich.console import Console

from fhir_facade.interactions.audit import record_operator
from fhir_facade.opening import open_ports
from fhir_facade.ports import Ports
from fhir_facade.settings import Settings

T = TypeVar("T")

CONSOLE = Console(stderr=True)
"""Where progress goes, so that standard output holds results only."""


def with_ports(work: Callable[[Ports], Awaitable[T]], *, recorded: str | None = None) -> T:
    """Run `work` with open ports of the settings, before the first start as well as beside a running server.

    `recorded` is the audit line of what the operator does, where the work writes none itself.
    """

    async def run() -> T:
        async with open_ports(Settings(), guest=True) as ports:
            if recorded is not None:
                await record_operator(ports, "admin", recorded)
            return await work(ports)

    return asyncio.run(run())


def secret_from_stdin(what: str) -> str:
    """One line of standard input without its line end; leaves with a sentence when there is none."""
    try:
        line = sys.stdin.readline().rstrip("\r\n")
    except UnicodeDecodeError:
        sys.exit(f"fhir-facade: {what} on standard input is not UTF-8")
    if not line:
        sys.exit(f"fhir-facade: {what} is expected on standard input")
    return line
