"""The clients of the field against the served facade: what each of them documents works unchanged, on each store.

JavaScript clients are installed from `package-lock.json` into `build/clients` once; without Node and npm their tests
skip and say so, with CI=true they fail.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import hashlib
import os
import shutil
import subprocess
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from fhir_facade.flows.accounts import NewAccount
from fhir_facade.flows.launch.clients import NewClient, add_client
from fhir_facade.flows.launch.tokens import mint_token
from fhir_facade.opening import open_ports
from fhir_facade.settings import Settings
from tests.accounts import with_account
from tests.deployments import HAPI
from tests.facade import Served, facade_env, served
from tests.forms import follow, sign_in, submit
from tests.hapi_server import ROOT, answers, leave_out
from tests.patience import PATIENCE_S

HERE = Path(__file__).parent
PASSWORD = "correct horse battery"
DOCTOR = "clients-bob"
PATIENTS = {"clients-ann": "Ann Example", "clients-carl": "Carl Example"}
LOCKED = ("package.json", "package-lock.json", ".npmrc")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All on one worker, on each store: they share one server."""
    for item in items:
        if HERE in item.path.parents and item.get_closest_marker("hapi") is None:
            item.add_marker(pytest.mark.xdist_group("clients"))


@dataclass(frozen=True)
class Site:
    """A running facade. `token` may do everything; `bob` cares for `ann` and `carl`, all of them have accounts."""

    server: Served
    settings: Settings
    token: str

    @property
    def fhir(self) -> str:
        return f"{self.server.url}/fhir"

    def register(self, app: NewClient) -> None:
        """What `fhir-facade client add` does, without starting a process."""

        async def add() -> None:
            async with open_ports(self.settings, guest=True) as ports:
                await add_client(ports, app)

        asyncio.run(add())

    def http(self) -> httpx.Client:
        return httpx.Client(
            base_url=self.fhir, headers={"Authorization": f"Bearer {self.token}"}, timeout=PATIENCE_S, verify=False
        )

    def allow(self, authorize_url: str, username: str, patient: str | None = None, decision: str = "allow") -> str:
        """Through sign-in, picker and consent as a person goes; the address of the app that the browser is sent to."""
        return asyncio.run(_through_pages(authorize_url, username, patient, decision))


async def _through_pages(authorize_url: str, username: str, patient: str | None, decision: str) -> str:
    base = authorize_url.split("/oauth/", maxsplit=1)[0]
    async with httpx.AsyncClient(base_url=base, timeout=PATIENCE_S, verify=False) as browser:
        page = await follow(browser, await browser.get(authorize_url))
        page = await follow(browser, await sign_in(browser, page, username, PASSWORD))
        if patient is not None:
            page = await follow(browser, await submit(browser, page, "/oauth/patient", patient=patient))
        decided = await submit(browser, page, "/oauth/consent", decision=decision)
    return str(decided.headers["location"])


@pytest.fixture(scope="session", params=["embedded", HAPI])
def running(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The server runs once on each store for all clients."""
    folder = tmp_path_factory.mktemp("clients")
    chosen: dict[str, Any] = {"store": request.param}
    if request.param == "hapi":
        chosen["hapi_url"] = request.getfixturevalue("hapi_url")
    env = facade_env(folder, **{name.upper(): value for name, value in chosen.items()})
    with served(env, folder / "log") as server:
        settings = Settings(data_dir=folder, public_url=server.url, **chosen)
        yield Site(server, settings, asyncio.run(_people(settings)))


async def _people(settings: Settings) -> str:
    """Accounts, and a token that may do everything."""
    async with open_ports(settings, guest=True) as ports:
        await with_account(ports, NewAccount("bob", "practitioner", PASSWORD, practitioner_id=DOCTOR))
        for patient in PATIENTS:
            name = patient.removeprefix("clients-")
            await with_account(ports, NewAccount(name, "patient", PASSWORD, patient_id=patient))
        return await mint_token(ports, scope="system/*.cruds")


@pytest.fixture(scope="module")
def site(running: Site) -> Site:
    """The running server with its records: tests of others empty the HAPI that all share."""
    care = [{"reference": f"Practitioner/{DOCTOR}"}]
    names = {
        key: {"text": name, "given": name.split()[:1], "family": name.split()[1]} for key, name in PATIENTS.items()
    }
    records: list[dict[str, Any]] = [
        {"resourceType": "Practitioner", "id": DOCTOR, "name": [{"text": "Dr. Bob Berg"}]},
        *(
            {"resourceType": "Patient", "id": key, "name": [names[key]], "generalPractitioner": care}
            for key in PATIENTS
        ),
    ]
    with running.http() as client:
        for record in records:
            client.put(f"/{record['resourceType']}/{record['id']}", json=record).raise_for_status()
    return running


@pytest.fixture
def mark() -> str:
    """A value of the test's own, to tell its resources from those of others."""
    return uuid.uuid4().hex[:12]


@pytest.fixture(scope="session")
def packages() -> Path:
    """The folder `node_modules` with the clients in the locked versions."""
    missing = [tool for tool in ("node", "npm") if not answers(shutil.which(tool))]
    if missing:
        leave_out(f"JavaScript clients need Node and npm ({', '.join(missing)} not found)")
    wanted = [HERE / name for name in LOCKED]
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in wanted)).hexdigest()[:16]
    folder = ROOT / "build" / "clients" / digest
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "installed").exists():
            for path in wanted:
                shutil.copy(path, folder)
            subprocess.run(["npm", "ci"], cwd=folder, check=True, capture_output=True, timeout=5 * PATIENCE_S)
            (folder / "installed").touch()
    return folder / "node_modules"


@pytest.fixture(scope="session")
def scripts(packages: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of our scripts, where they find the clients by name as in any project."""
    folder = tmp_path_factory.mktemp("node") / "app"
    shutil.copytree(HERE / "node", folder)
    (folder / "node_modules").symlink_to(packages)
    return folder


def node_env(**own: str) -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name in ("PATH", "HOME")} | own


def run_node(scripts: Path, words: Sequence[str], **env: str) -> str:
    """What a script writes to its standard output; it may fail."""
    done = subprocess.run(
        ["node", *words],
        cwd=scripts,
        env=node_env(**env),
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert done.stdout, done.stderr
    return done.stdout


@contextlib.contextmanager
def node_server(scripts: Path, *words: str) -> Iterator[tuple[str, str]]:
    """A script that serves until the block ends; the first two lines that it writes."""
    process = subprocess.Popen(["node", *words], cwd=scripts, env=node_env(), stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield process.stdout.readline().strip(), process.stdout.readline().strip()
    finally:
        process.terminate()
        process.wait(timeout=PATIENCE_S)
        process.stdout.close()
