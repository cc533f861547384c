"""One PostgreSQL cluster and one real HAPI for a whole test run, and one that checks no references, as pytest fixtures.

The first test that asks starts them through a keeper process (`tests/hapi_keeper.py`); all pytest-xdist workers share
them. The keeper waits for the run's lock, which the kernel frees when pytest ends however it ends, and stops what it
started. Without Java, Maven or PostgreSQL the tests skip and say so; with CI=true they fail.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import IO, NoReturn
from urllib.parse import urlsplit

import pytest
from _pytest.nodeid import coerce_node_id

RUN_FOLDER = "FHIR_FACADE_TEST_RUN"
ROOT = Path(__file__).resolve().parent.parent
EMPTYING_ATTEMPTS = 5
POSTGRES_TOOLS = ("initdb", "postgres", "pg_ctl", "psql")
HAPI_TOOLS = {"java": "-version", "mvn": "--version"}
"""What has to be there, and how it is asked whether it works."""

_run_lock = pytest.StashKey[IO[str]]()
_emptied = [0]


@dataclass(frozen=True, slots=True)
class HapiServer:
    """A running HAPI: `url` ends in `/fhir`, `canary` is the random text that this very server says in /metadata."""

    url: str
    postgres_url: str
    canary: str


def pytest_configure(config: pytest.Config) -> None:
    """The controller (or the only process) opens the run; workers inherit its folder from the environment."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        return
    folder = Path(tempfile.mkdtemp(prefix="fhir-facade-run-"))
    folder.chmod(0o755)
    os.environ[RUN_FOLDER] = str(folder)
    lock = (folder / "alive").open("w")
    fcntl.flock(lock, fcntl.LOCK_EX)
    config.stash[_run_lock] = lock


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """One worker runs all tests of the one HAPI: some of them empty it."""
    for item in items:
        if item.get_closest_marker("hapi") is not None:
            item.add_marker(pytest.mark.xdist_group("hapi"))


@pytest.hookimpl(wrapper=True)
def pytest_collection_finish(session: pytest.Session) -> Iterator[None]:
    """Groups of tests hold: pytest-xdist 3.8 writes them where pytest 9.2 does not look for the name of a test."""
    for item in session.items:
        grouped = getattr(item, "_nodeid", item.nodeid)
        if grouped != item.nodeid:
            item._id = coerce_node_id(grouped)
    yield


def pytest_unconfigure(config: pytest.Config) -> None:
    lock = config.stash.get(_run_lock, None)
    if lock is None:
        return
    folder = Path(lock.name).parent
    if not any("error" not in json.loads(state.read_text()) for state in folder.glob("*.json")):
        shutil.rmtree(folder, ignore_errors=True)
    lock.close()


@pytest.fixture(scope="session")
def postgres_server() -> str:
    """The superuser's URL of a PostgreSQL cluster of this test run."""
    if missing := [tool for tool in POSTGRES_TOOLS if postgres_tool(tool) is None]:
        leave_out(f"PostgreSQL is not installed ({', '.join(missing)} not found)")
    return str(kept("postgres")["url"])


@pytest.fixture(scope="session")
def hapi_server(postgres_server: str) -> HapiServer:
    """A real HAPI on PostgreSQL, shared by the whole run, proven to be the one that this run started."""
    return started("hapi")


@pytest.fixture(scope="session")
def unchecked_hapi_url(postgres_server: str) -> str:
    """One that keeps references to nothing."""
    return started("hapi_unchecked").url


def started(service: str) -> HapiServer:
    if missing := [tool for tool, asked in HAPI_TOOLS.items() if not answers(shutil.which(tool), asked)]:
        leave_out(f"HAPI needs Java 17 and Maven ({', '.join(missing)} not found)")
    state = kept(service)
    server = HapiServer(state["url"], state["postgres_url"], state["canary"])
    assert said_by(server.url) == server.canary, f"{server.url} is not the HAPI that this test run started"
    return server


@pytest.fixture(scope="session")
def hapi_url(hapi_server: HapiServer) -> str:
    return hapi_server.url


@pytest.fixture
def empty_hapi_url(hapi_url: str) -> str:
    """HAPI without any resource."""
    empty_hapi(hapi_url)
    return hapi_url


@pytest.fixture(scope="module")
def postgres_url(postgres_server: str) -> Iterator[str]:
    """An empty database of the test module: `postgresql://user:password@host:port/name`."""
    name = f"t{uuid.uuid4().hex}"
    psql(postgres_server, f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C'")
    yield urlsplit(postgres_server)._replace(path=f"/{name}").geturl()
    psql(postgres_server, f"DROP DATABASE {name} WITH (FORCE)")


def times_emptied() -> int:
    """How often the tests of this process have emptied HAPI: whoever put something there sees whether it is gone."""
    return _emptied[0]


def empty_hapi(url: str) -> None:
    """Remove everything, also while HAPI still works on what a test before this one had asked for."""
    _emptied[0] += 1
    asked = {"resourceType": "Parameters", "parameter": [{"name": "expungeEverything", "valueBoolean": True}]}
    headers = {"Content-Type": "application/fhir+json"}
    request = urllib.request.Request(f"{url}/$expunge", json.dumps(asked).encode(), headers)
    for attempt in range(EMPTYING_ATTEMPTS):
        try:
            with urllib.request.urlopen(request, timeout=120) as answer:
                assert answer.status == 200
                return
        except urllib.error.HTTPError as error:
            if error.code != 409 or attempt == EMPTYING_ATTEMPTS - 1:
                raise
            time.sleep(0.5)


def leave_out(reason: str) -> NoReturn:
    """Skip, or fail where everything has to be there."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"{reason}; CI=true demands it", pytrace=False)
    pytest.skip(reason)


def kept(service: str) -> dict[str, str]:
    """The state of a service of this run; the first caller starts it, the others wait for it."""
    folder = Path(os.environ[RUN_FOLDER])
    state = folder / f"{service}.json"
    with (folder / f"{service}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not state.exists():
            start_keeper(service, folder, state)
    content: dict[str, str] = json.loads(state.read_text())
    if problem := content.get("error"):
        pytest.fail(f"{service} did not start: {problem}", pytrace=False)
    return content


def start_keeper(service: str, folder: Path, state: Path) -> None:
    """Runs until the state file is there; the keeper writes it in every case, also with the error that stopped it."""
    log = (folder / f"{service}.log").open("w")
    keeper = subprocess.Popen(
        [sys.executable, "-m", "tests.hapi_keeper", service, str(folder)],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=log,
        start_new_session=True,
    )
    log.close()
    assert keeper.stdout is not None
    with keeper.stdout as ready:
        ready.read()
    if not state.exists():
        state.write_text(json.dumps({"error": (folder / f"{service}.log").read_text()[-2000:]}))
    keeper.returncode = 0  # it outlives us on purpose: no warning about a child that still runs


def said_by(url: str) -> str:
    with urllib.request.urlopen(f"{url}/metadata?_elements=implementation", timeout=30) as answer:
        return str(json.load(answer)["implementation"]["description"])


def psql(url: str, statement: str) -> None:
    tool = postgres_tool("psql")
    assert tool is not None
    words = [tool, "-q", "-o", os.devnull, "-v", "ON_ERROR_STOP=1", "-d", url, "-c", statement]
    subprocess.run(words, check=True, timeout=60)


def postgres_tool(name: str) -> str | None:
    """Debian keeps the server's programs out of the path."""
    installed = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: -int(path.parts[-3]))
    return next((tool for tool in (shutil.which(name), *map(str, installed)) if answers(tool)), None)


@cache
def answers(tool: str | None, asked: str = "--version") -> bool:
    """Whether a program is there and works."""
    return tool is not None and subprocess.run([tool, asked], capture_output=True, check=False).returncode == 0
