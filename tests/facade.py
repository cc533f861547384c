"""A facade for tests: the real application on a real store, in this process or as the real serve process."""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from fhir_facade.app import create_app, open_ports
from fhir_facade.flows.launch.tokens import mint_token
from fhir_facade.interactions.naming import ALL, look_through
from fhir_facade.ports import Ports
from fhir_facade.rows import Put
from fhir_facade.rows.access import NamingType
from fhir_facade.settings import Settings
from tests.parted import Parted, run
from tests.patience import PATIENCE_S
from tests.ports import free_port

PUBLIC = "http://127.0.0.1:8000"


@dataclass
class Facade:
    """The application in this process. `client(scope)` is an HTTP client that holds a token of that scope."""

    settings: Settings
    ports: Ports
    app: Any

    @property
    def anonymous(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=httpx.ASGITransport(self.app), base_url=self.settings.base_url)

    async def token(self, scope: str = "system/*.cruds", **context: Any) -> str:
        return await mint_token(self.ports, scope=scope, **context)

    async def client(self, scope: str = "system/*.cruds", **context: Any) -> httpx.AsyncClient:
        client = self.anonymous
        client.headers["Authorization"] = f"Bearer {await self.token(scope, **context)}"
        return client


_unused: list[bytes] = []


async def unused_file() -> bytes:
    """The data file of a facade that nobody has used yet; made once, because its tables take a fifth of a second."""
    if not _unused:
        with tempfile.TemporaryDirectory() as folder:
            settings = Settings(data_dir=Path(folder))
            async with open_ports(settings) as ports:
                await look_through(ports)
            with contextlib.closing(sqlite3.connect(settings.data_file)) as connection:
                _unused.append(connection.serialize())
    return _unused[0]


async def count_as_looked_through(ports: Ports) -> None:
    """As after the first start. Tests share one HAPI, which holds more than it makes sense to look through for each."""
    await ports.state.write(lambda tx: tx.apply(Put(NamingType(type=ALL))))


@asynccontextmanager
async def embedded_facade(folder: Path, **settings: Any) -> AsyncIterator[Facade]:
    """A facade in `folder`, on an embedded store unless the settings name another."""
    chosen = Settings(data_dir=folder, public_url=PUBLIC, **settings)
    if not chosen.data_file.exists() and chosen.store == "embedded":
        folder.mkdir(parents=True, exist_ok=True)
        chosen.data_file.write_bytes(await unused_file())
    async with open_ports(chosen) as ports:
        if chosen.store == "hapi":
            await count_as_looked_through(ports)
        app = create_app(chosen, ports)
        try:
            yield Facade(chosen, ports, app)
        finally:
            await app.close()


@dataclass
class Served:
    """The real serve process. `env` starts commands against the same deployment."""

    url: str
    env: Mapping[str, str]
    process: subprocess.Popen[bytes] | Parted
    log: Path

    def command(self, *words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run `fhir-facade …` against this deployment."""
        return run_command(self.env, *words, stdin=stdin)

    def token(self, scope: str = "system/*.cruds", *options: str) -> str:
        return self.command("token", "--scope", scope, *options).stdout.strip()

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


def run_command(env: Mapping[str, str], *words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    result = run(env, *words, stdin=stdin)
    if result.returncode != 0:
        raise RuntimeError(f"fhir-facade {' '.join(words)}: {result.stderr}")
    return result


def facade_env(folder: Path, **settings: str) -> dict[str, str]:
    """One process, which starts faster, where `WORKERS` says nothing else."""
    port = free_port()
    address = {"PORT": str(port), "PUBLIC_URL": f"http://127.0.0.1:{port}"}
    own = {"DATA_DIR": str(folder), **address, "LOG_LEVEL": "warning", "WORKERS": "1"}
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("FHIR_FACADE_")}
    return inherited | {f"FHIR_FACADE_{name}": value for name, value in (own | settings).items()}


@contextmanager
def served(env: Mapping[str, str], log: Path, *, module: str | None = None) -> Iterator[Served]:
    """`fhir-facade serve` until the block ends; waits until it answers everything. Started from nothing, which takes
    longer, where a module is named."""
    process = Parted(("serve",), env, Path(os.devnull), log) if module is None else _from_nothing(module, env, log)
    running = Served(env["FHIR_FACADE_PUBLIC_URL"], env, process, log)
    try:
        _wait_until_healthy(running)
        yield running
    finally:
        if process.poll() is None:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=PATIENCE_S)
            if process.poll() is None:
                process.kill()


def _from_nothing(module: str, env: Mapping[str, str], log: Path) -> subprocess.Popen[bytes]:
    with log.open("ab") as stream:
        return subprocess.Popen([sys.executable, "-m", module, "serve"], env=dict(env), stderr=stream)


def _wait_until_healthy(running: Served) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        if running.process.poll() is not None:
            raise RuntimeError(f"serve ended: {running.log.read_text()}")
        with contextlib.suppress(OSError), urllib.request.urlopen(f"{running.url}/health", timeout=PATIENCE_S):
            urllib.request.urlopen(f"{running.url}/metrics", timeout=PATIENCE_S).close()  # waits until all is loaded
            return
        time.sleep(0.05)
    raise RuntimeError(f"serve did not become healthy: {running.log.read_text()}")
