"""The servers that are compared, each started here on loopback and ended with the block that asked for it."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from fhir_facade.settings import Settings
from tests.bench.bare import Fixed
from tests.bench.data import Request
from tests.bench.report import BARE, HAPI, JAVA, OVER, POSTGRESQL, PYTHON
from tests.facade import facade_env, run_command, served
from tests.hapi_keeper import publish, start_hapi, start_postgres
from tests.hapi_server import POSTGRES_TOOLS, ROOT, postgres_tool, psql
from tests.ports import free_port

JAVA_OPTS = "-Xmx2g -Dspring.datasource.hikari.connection-timeout=30000"  # a request may wait for its connection
POSTGRES = {
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "shared_buffers": "512MB",
    "max_connections": "200",
    "listen_addresses": "127.0.0.1",
    "timezone": "UTC",
    "log_timezone": "UTC",
}
TOKEN_MINUTES = "240"
_ADDED = frozenset(("connection", "content-length", "transfer-encoding"))
"""Headers that the server of the bare framework makes by itself."""
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Processes:
    """`families` count with all their children."""

    alone: tuple[int, ...] = ()
    families: tuple[int, ...] = ()

    def cpu_s(self) -> float:
        """Processor seconds until now."""
        return sum(map(_cpu_of, {*self.alone, *_members(self.families)}))


@dataclass(frozen=True)
class Server:
    """Something that answers FHIR. `processes` are those whose time counts, each part of it with a name."""

    name: str
    base_url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    processes: Mapping[str, Processes] = field(default_factory=dict)
    tidy: Callable[[], None] = lambda: None
    """Does now what its database would do behind some of the measurements."""

    @property
    def host(self) -> str:
        return str(urlsplit(self.base_url).hostname)

    @property
    def port(self) -> int:
        return int(urlsplit(self.base_url).port or 80)

    def message(self, request: Request) -> bytes:
        """The request as it goes over the wire."""
        method, path, body = request
        target = urlsplit(self.base_url).path + path
        headers = {"Host": f"{self.host}:{self.port}", "Accept": "application/fhir+json", **self.headers}
        if body:
            headers |= {"Content-Type": "application/fhir+json", "Content-Length": str(len(body))}
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        return f"{method} {target} HTTP/1.1\r\n{lines}\r\n".encode() + body

    def ask(self, request: Request) -> bytes:
        """The body of one answer, to load data and to look at."""
        return self.answer(request).body

    def answer(self, request: Request) -> Fixed:
        """One answer. RuntimeError for one of 400 and above."""
        method, path, body = request
        headers = {"Accept": "application/fhir+json", "Content-Type": "application/fhir+json", **self.headers}
        made = urllib.request.Request(f"{self.base_url}{path}", data=body or None, headers=headers, method=method)
        try:
            with urllib.request.urlopen(made, timeout=120) as answer:
                told = {name.lower(): value for name, value in answer.headers.items()}
                return Fixed(answer.status, {name: told[name] for name in told if name not in _ADDED}, answer.read())
        except urllib.error.HTTPError as error:
            raise RuntimeError(f"{self.name}: {method} {path}: {error.code} {error.read()[:400]!r}") from error

    def cpu_s(self) -> dict[str, float]:
        """Processor seconds of its parts until now; nothing where the system does not tell."""
        if not Path("/proc/self/stat").exists():
            return {}
        return {part: processes.cpu_s() for part, processes in self.processes.items()}


def _members(families: tuple[int, ...]) -> Iterator[int]:
    yield from families
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and families:
            with contextlib.suppress(OSError, IndexError):
                if int(_fields(int(folder.name))[1]) in families:
                    yield int(folder.name)


def _cpu_of(pid: int) -> float:
    try:
        return (int(_fields(pid)[11]) + int(_fields(pid)[12])) / TICKS
    except OSError:
        return 0.0


def _fields(pid: int) -> list[str]:
    """What /proc/PID/stat says after the name, which may hold blanks."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def missing() -> list[str]:
    """What a comparison with HAPI lacks on this machine."""
    tools = [tool for tool in ("java", "mvn") if shutil.which(tool) is None]
    return tools + [tool for tool in POSTGRES_TOOLS if postgres_tool(tool) is None]


@contextmanager
def bare(
    answers: Mapping[str, Fixed], folder: Path, *, logs: bool = False, processes: int | None = None
) -> Iterator[Server]:
    """The ceiling, answering `/name` with these from as many processes as the facade has, or as are said; `logs`:
    with a line of the server's own log for each."""
    folder.mkdir()
    for name, fixed in answers.items():
        (folder / name).write_bytes(msgspec.msgpack.encode(fixed))
    port = free_port()
    command = [sys.executable, "-m", "tests.bench.bare", str(port), str(folder), *(["logs"] if logs else [])]
    many = processes or Settings(workers=0).worker_count
    with folder.with_suffix(".log").open("wb") as log:
        started = [subprocess.Popen(command, cwd=ROOT, stdout=log) for _ in range(many)]
    try:
        own = Processes(tuple(process.pid for process in started))
        server = Server(BARE, f"http://127.0.0.1:{port}", processes={PYTHON: own})
        _wait(server, f"/{next(iter(answers))}")
        yield server
    finally:
        for process in started:
            process.terminate()
            process.wait()


def _wait(server: Server, path: str) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            server.ask(("GET", path, b""))
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return


@contextmanager
def facade(name: str, folder: Path, *, module: str = "fhir_facade", **settings: str) -> Iterator[Server]:
    """The real serve process with its default settings; every request carries an access token."""
    folder.mkdir()
    env = facade_env(folder, **{"LOG_LEVEL": "info", "WORKERS": "0", **settings})
    with served(env, folder / "log", module=module) as running:
        token = run_command(env, "token", "--scope", "system/*.cruds", "--minutes", TOKEN_MINUTES).stdout.strip()
        own = Processes(families=(running.process.pid,))
        yield Server(name, f"{running.url}/fhir", {"Authorization": f"Bearer {token}"}, {PYTHON: own})


@contextmanager
def facade_over(hapi: Server, folder: Path, *, module: str = "fhir_facade", **chosen: str) -> Iterator[Server]:
    folder.mkdir()
    keys = folder / "keys.json"
    run_command(facade_env(folder), "keys", "new", str(keys))
    settings = {"STORE": "hapi", "HAPI_URL": hapi.base_url, "KEYS_FILE": str(keys), **chosen}
    with facade(OVER, folder / "data", module=module, **settings) as server:
        yield Server(server.name, server.base_url, server.headers, {**server.processes, **hapi.processes})


@contextmanager
def hapi(folder: Path, java_opts: str = JAVA_OPTS) -> Iterator[Server]:
    """HAPI, by itself with its compiler at full power, on a PostgreSQL that writes durably, as the embedded store does."""
    folder.mkdir()
    folder.chmod(0o755)
    state, stop_postgres = start_postgres(folder, POSTGRES)
    try:
        publish(folder / "postgres.json", state)
        said, stop_hapi = start_hapi(folder, java_opts)
        publish(folder / "hapi.json", said)
        try:
            postmaster = int((folder / "postgres" / "data" / "postmaster.pid").read_text().split()[0])
            parts = {JAVA: Processes((int(said["pid"]),)), POSTGRESQL: Processes(families=(postmaster,))}
            yield Server(HAPI, said["url"], processes=parts, tidy=lambda: _vacuum(state["url"]))
        finally:
            stop_hapi()
    finally:
        stop_postgres()


def _vacuum(admin: str) -> None:
    """https://www.postgresql.org/docs/current/routine-vacuuming.html"""
    for work in ("VACUUM (ANALYZE)", "CHECKPOINT"):
        psql(admin.removesuffix("/postgres") + "/hapi", work)


def version_of(server: Server) -> str:
    """What a FHIR server calls itself."""
    software = json.loads(server.ask(("GET", "/metadata?_elements=software", b""))).get("software", {})
    return f"{software.get('name', 'unknown')} {software.get('version', '')}".strip()
