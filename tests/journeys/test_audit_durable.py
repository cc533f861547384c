"""A line is durable before the answer leaves, and where it cannot be nothing is answered: full disks, databases that
may not be written, and processes that are killed right after they answered.

Over HAPI the store is our own facade on loopback: what is promised here is the facade's, whatever holds the resources.
"""

from __future__ import annotations

import asyncio
import contextlib
import resource
import tarfile
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from fhir_facade.adapters.keys import create_key_file
from fhir_facade.adapters.sqlite_file import SqliteFile
from fhir_facade.adapters.state.postgres import PostgresState
from fhir_facade.adapters.state.sqlite import SqliteState
from fhir_facade.adapters.system_clock import SystemClock
from fhir_facade.ports import StateStore
from fhir_facade.rows.audit import AuditLine, RefusalCount
from tests.facade import Served, facade_env, run_command, served
from tests.hapi_server import psql
from tests.mirror import mirror
from tests.patience import PATIENCE_S

READERS = 24
PATIENT = {"resourceType": "Patient", "id": "anna"}
ROWS = ["embedded", "HAPI and SQLite", pytest.param("HAPI and PostgreSQL", marks=pytest.mark.postgres)]


@pytest.fixture(scope="module")
def store_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with mirror(tmp_path_factory.mktemp("mirror")) as url:
        yield url


@dataclass
class Server:
    """One serve process for all tests of these rows, started again for who comes after it was killed."""

    env: Mapping[str, str]
    log: Path
    stack: contextlib.ExitStack
    _process: Served | None = None

    def running(self) -> Served:
        if self._process is None or self._process.process.poll() is not None:
            self._process = self.stack.enter_context(served(self.env, self.log))
        return self._process


@pytest.fixture(scope="module", params=ROWS)
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, store_url: str
) -> Iterator[Server]:
    folder, over = tmp_path_factory.mktemp("deployment"), {}
    if request.param != "embedded":
        create_key_file(folder / "keys.json", SystemClock())
        over = {"STORE": "hapi", "HAPI_URL": store_url, "KEYS_FILE": str(folder / "keys.json")}
    if request.param == "HAPI and PostgreSQL":
        over["DATABASE_URL"] = request.getfixturevalue("postgres_url")
    with contextlib.ExitStack() as stack:
        yield Server(facade_env(folder, **over), folder / "log.txt", stack)


@pytest.fixture
def running(server: Server) -> Served:
    return server.running()


@pytest.fixture(scope="module")
def token(server: Server) -> str:
    return server.running().token()


@pytest.fixture
async def app(running: Served, token: str) -> AsyncIterator[httpx.AsyncClient]:
    """Holds a token that may do everything; the patient is there."""
    headers = {"Authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(base_url=running.url, headers=headers, timeout=PATIENCE_S) as client:
        assert (await client.put("/fhir/Patient/anna", json=PATIENT)).status_code in (200, 201)
        yield client


async def audited(env: Mapping[str, str]) -> set[str]:
    """The ids of the requests that have a line for a read that went well."""
    async with rows_of(env) as state:
        lines = await state.read(lambda tx: tx.find(AuditLine, ("action", "=", "read"), ("outcome", "=", "success")))
        return {line.request_id for line in lines}


@contextlib.asynccontextmanager
async def rows_of(env: Mapping[str, str]) -> AsyncIterator[StateStore]:
    """As a command beside the server has them, or without one."""
    if url := env.get("FHIR_FACADE_DATABASE_URL"):
        state = PostgresState(url)
        yield state
        await state.close()
        return
    file = SqliteFile(Path(env["FHIR_FACADE_DATA_DIR"]) / "facade.sqlite")
    file.open()
    yield SqliteState(file, spooled=AuditLine)
    file.close()


# --- what cannot be written ---------------------------------------------------------------------------------------


async def test_where_no_line_can_be_written_nothing_is_answered_and_afterwards_everything_is(
    running: Served, app: httpx.AsyncClient
) -> None:
    """A full disk; of PostgreSQL a database that may only be read, as after a change-over to its copy."""
    before = await app.get("/fhir/Patient/anna", headers={"X-Request-ID": "before"})
    url = running.env.get("FHIR_FACADE_DATABASE_URL")
    with read_only(url) if url else no_room(running.process.pid):
        refused = [await app.get(path, headers={"X-Request-ID": f"no-{place}"}) for place, path in enumerate(READS)]
        nobody = await app.get("/fhir/Patient/anna", headers={"Authorization": "Bearer ffa_unknown"})
    after = await app.get("/fhir/Patient/anna", headers={"X-Request-ID": "after"})

    assert [answer.status_code for answer in [*refused, nobody]] == [503] * (len(READS) + 1)
    assert not [answer for answer in refused if "anna" in answer.text]
    assert (before.status_code, after.status_code) == (200, 200)
    told = await audited(running.env)
    assert {"before", "after"} <= told
    assert not [name for name in told if name.startswith("no-")]


READS = ("/fhir/Patient/anna", "/fhir/Patient?_id=anna", "/fhir/Patient/anna/_history", "/fhir/Patient/anna")


@contextlib.contextmanager
def no_room(pid: int) -> Iterator[None]:
    """No file of the process grows beyond what it is. https://man7.org/linux/man-pages/man2/getrlimit.2.html (RLIMIT_FSIZE)"""
    soft, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (1, hard))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (soft, hard))


@contextlib.contextmanager
def read_only(database_url: str) -> Iterator[None]:
    name = database_url.rpartition("/")[2]
    outside = urlsplit(database_url)._replace(path="/postgres").geturl()
    hang_up = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"
    psql(outside, f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    psql(outside, hang_up)
    try:
        yield
    finally:
        psql(outside, f"ALTER DATABASE {name} RESET default_transaction_read_only")
        psql(outside, hang_up)


# --- copied -------------------------------------------------------------------------------------------------------


async def test_a_backup_has_the_line_of_every_read_that_was_answered_before_it(
    running: Served, app: httpx.AsyncClient, tmp_path: Path
) -> None:
    names = {f"copied-{number}" for number in range(READERS)}
    answers = await asyncio.gather(*(app.get("/fhir/Patient/anna", headers={"X-Request-ID": name}) for name in names))
    assert {answer.status_code for answer in answers} == {200}

    copied = await asyncio.to_thread(run_command, running.env, "backup", str(tmp_path / "copy.tar"))
    assert copied.returncode == 0, copied.stderr
    if "FHIR_FACADE_DATABASE_URL" in running.env:
        assert "PostgreSQL" in copied.stdout  # the rows are not in it, and it says so
        return
    with tarfile.open(tmp_path / "copy.tar") as archive:
        archive.extract("facade.sqlite", tmp_path / "data", filter="data")
    assert names <= await audited({"FHIR_FACADE_DATA_DIR": str(tmp_path / "data")})


# --- many at once -------------------------------------------------------------------------------------------------


async def test_strangers_who_ask_all_at_once_are_each_counted(running: Served, app: httpx.AsyncClient) -> None:
    """They meet on one row; PostgreSQL would repeat their transactions until they gave up."""
    before = await counted(running.env)
    nobody = {"Authorization": "Bearer ffa_made_up"}

    answers = await asyncio.gather(*(app.get("/fhir/Patient/anna", headers=nobody) for _ in range(2 * READERS)))

    assert {answer.status_code for answer in answers} == {401}
    assert await counted(running.env) - before in (2 * READERS - 1, 2 * READERS)


async def counted(env: Mapping[str, str]) -> int:
    """How many refusals were counted beyond the first of their kind."""
    async with rows_of(env) as state:
        return sum(count.more for count in await state.read(lambda tx: tx.find(RefusalCount)))


# --- killed right after the answer ------------------------------------------------------------------------------


async def test_who_was_answered_is_in_the_audit_though_the_process_is_killed_with_the_answer(
    running: Served, app: httpx.AsyncClient
) -> None:
    answered: set[str] = set()

    async def read(number: int) -> None:
        """Until nobody answers any more; the first who has read twice kills the process."""
        for turn in range(1000):
            name = f"reader-{number}-{turn}"
            answer = await app.get("/fhir/Patient/anna", headers={"X-Request-ID": name})
            answered.update({name} if answer.status_code == 200 else ())
            if turn == 1:
                running.kill()

    ended = await asyncio.gather(*(read(number) for number in range(READERS)), return_exceptions=True)

    assert all(isinstance(each, httpx.TransportError) for each in ended), ended
    assert answered
    assert answered <= await audited(running.env)
