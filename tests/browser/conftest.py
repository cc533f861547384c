"""A real browser in front of the real serve process, with the vendor simulator as a process of its own beside it.

Debian's Chromium is used where it is; without it the tests skip and say so, with CI=true they fail.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from axe_core_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, expect, sync_playwright

from fhir_facade.simulator.app import DEFAULT_CLIENT
from tests.facade import Served, facade_env, served
from tests.patience import PATIENCE_S

PASSWORD = "correct horse battery"
ALEX, SAM = "alex@example.com", "sam@example.com"
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
OXYGEN = "59408-5"
GRAVE = {"serious", "critical"}
NOTHING_ELSE = {"resultTypes": ["violations"]}
"""What axe-core describes node by node: to describe each that is good takes most of its time on a page of tables.
https://github.com/dequelabs/axe-core/blob/develop/doc/API.md#options-parameter"""
PATIENCE_MS = 1000 * PATIENCE_S
expect.set_options(timeout=PATIENCE_MS)
MOST_TABS = 200
FOCUSED = """() => {
  const element = document.activeElement;
  const label = element.labels && element.labels.length ? element.labels[0].innerText : "";
  return (label || element.innerText || element.value || "").trim();
}"""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All on one worker: they share one browser and one server."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker("browser")
            item.add_marker(pytest.mark.xdist_group("browser"))


def pytest_runtest_setup(item: pytest.Item) -> None:
    if Path(__file__).parent not in item.path.parents or chromium() is not None:
        return
    reason = "Chromium is not installed; on Debian: apt-get install chromium"
    if os.environ.get("CI") == "true":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


def chromium() -> str | None:
    return shutil.which("chromium")


@dataclass
class World:
    """The server, and HTTP clients for what a test prepares: `fhir` may do everything, `vendor` is the simulator;
    `connected` are the patients whose wearables were read already."""

    server: Served
    fhir: httpx.Client
    vendor: httpx.Client
    connected: set[str] = field(default_factory=set)

    @property
    def url(self) -> str:
        return self.server.url

    def put(self, resource: dict[str, Any]) -> None:
        answer = self.fhir.put(f"/fhir/{resource['resourceType']}/{resource['id']}", json=resource)
        assert answer.status_code in (200, 201), answer.text

    def patient(self, name: str, title: str) -> None:
        """A patient of Dr. Berg, with an account of that name."""
        care = [{"reference": "Practitioner/berg"}]
        person = {"resourceType": "Patient", "id": name, "birthDate": "1980-05-17", "name": [{"text": title}]}
        self.put({**person, "generalPractitioner": care})
        self.account(name, "patient", "--patient", name)

    def account(self, name: str, role: str, *options: str) -> None:
        words = ("user", "add", "--username", name, "--role", role, *options, "--password-stdin")
        self.server.command(*words, stdin=PASSWORD)

    def reading(self, patient: str, code: str, value: float, unit: str) -> None:
        """A vital sign of this moment."""
        category = {"system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": "vital-signs"}
        observation = {
            "resourceType": "Observation",
            "status": "final",
            "category": [{"coding": [category]}],
            "code": {"coding": [{"system": "http://loinc.org", "code": code}]},
            "subject": {"reference": f"Patient/{patient}"},
            "effectiveDateTime": datetime.now(UTC).isoformat(timespec="seconds"),
            "valueQuantity": {"value": value, "unit": unit, "system": "http://unitsofmeasure.org", "code": unit},
        }
        answer = self.fhir.post("/fhir/Observation", json=observation)
        assert answer.status_code == 201, answer.text


@contextmanager
def simulator(folder: Path) -> Iterator[str]:
    """The vendor simulator on a free port; its first line tells the address."""
    command = [sys.executable, "-m", "fhir_facade.simulator", "--port", "0"]
    with (folder / "simulator.log").open("w+") as log:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        found = re.search(r"http://127\.0\.0\.1:\d+", line)
        assert found is not None, line
        yield found[0]
    finally:
        process.terminate()
        process.wait(timeout=PATIENCE_S)
        process.stdout.close()


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("portal")
    with simulator(folder) as vendor:
        env = facade_env(
            folder / "data",
            GOOGLE_AUTHORIZE_URL=f"{vendor}/o/oauth2/v2/auth",
            GOOGLE_TOKEN_URL=f"{vendor}/token",
            GOOGLE_REVOKE_URL=f"{vendor}/revoke",
            GOOGLE_HEALTH_API_BASE=vendor,
            GOOGLE_CLIENT_ID=DEFAULT_CLIENT.client_id,
            GOOGLE_CLIENT_SECRET=DEFAULT_CLIENT.client_secret,
        )
        with (
            served(env, folder / "serve.log") as server,
            httpx.Client(base_url=vendor, timeout=PATIENCE_S) as simulated,
        ):
            token = server.token("system/*.cruds", "--minutes", "60")
            with httpx.Client(
                base_url=server.url, timeout=PATIENCE_S, headers={"Authorization": f"Bearer {token}"}
            ) as client:
                built = World(server, client, simulated)
                _people(built)
                yield built


def _people(world: World) -> None:
    world.put({"resourceType": "Practitioner", "id": "berg", "name": [{"text": "Dr. Bo Berg"}]})
    world.account("bo", "practitioner", "--practitioner", "berg")
    world.account("root", "admin")
    for name, title in (("ann", "Ann Example"), ("carl", "Carl Example"), ("dora", "Dora Example")):
        world.patient(name, title)


@pytest.fixture(scope="module")
def chrome() -> Iterator[Browser]:
    """Gone with its module: while it is there, its event loop keeps every other test of this process from having one."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
        yield browser
        browser.close()


@dataclass
class Visitor:
    """Somebody in front of a browser of their own; `complaints` is what the browser's console complained about."""

    page: Page
    url: str
    complaints: list[str] = field(default_factory=list)

    def open(self, path: str) -> None:
        self.page.goto(f"{self.url}{path}")

    def sign_in(self, name: str) -> None:
        self.open("/login")
        self.page.get_by_label(re.compile("User name|Benutzername")).fill(name)
        self.page.get_by_label(re.compile("Password|Passwort")).fill(PASSWORD)
        self.page.get_by_role("button", name=re.compile("Sign in|Anmelden")).click()
        self.page.wait_for_url(f"{self.url}/")

    def tab_to(self, name: str) -> None:
        """Press Tab until the element of that name, label or text has the focus."""
        for _ in range(MOST_TABS):
            self.page.keyboard.press("Tab")
            if self.page.evaluate(FOCUSED).startswith(name):
                return
        raise AssertionError(f"no way to '{name}' by the keyboard on {self.page.url}")

    def violations(self) -> list[str]:
        """What axe-core finds serious or critical on the page that is open."""
        found = Axe().run(self.page, options=NOTHING_ELSE)["violations"]
        grave = [each for each in found if each["impact"] in GRAVE]
        return [f"{each['id']}: {node['html']}" for each in grave for node in each["nodes"]]

    def too_wide(self) -> int:
        """By how many pixels the page is wider than the window."""
        return int(self.page.evaluate("document.documentElement.scrollWidth - window.innerWidth"))


class Visitors:
    """Opens browsers: each visitor has a new profile."""

    def __init__(self, chrome: Browser, url: str) -> None:
        self._chrome = chrome
        self._url = url
        self._opened: list[BrowserContext] = []

    def __call__(self, *, width: int = 1280, height: int = 900, scheme: Any = "light", **options: Any) -> Visitor:
        options = {"locale": "en-GB", "reduced_motion": "reduce"} | options
        window: Any = {"width": width, "height": height}
        context = self._chrome.new_context(viewport=window, color_scheme=scheme, **options)
        self._opened.append(context)
        visitor = Visitor(context.new_page(), self._url)
        visitor.page.set_default_timeout(PATIENCE_MS)
        visitor.page.on("console", lambda message: _note(visitor, message))
        visitor.page.on("pageerror", lambda error: visitor.complaints.append(str(error)))
        return visitor

    def close(self) -> None:
        for context in self._opened:
            context.close()


def _note(visitor: Visitor, message: ConsoleMessage) -> None:
    """What the vendor's pages complain about is not ours."""
    if message.type in ("error", "warning") and message.location["url"].startswith(visitor.url):
        visitor.complaints.append(message.text)


@pytest.fixture
def visitor(chrome: Browser, world: World) -> Iterator[Visitors]:
    visitors = Visitors(chrome, world.url)
    yield visitors
    visitors.close()


SYNC_MS = PATIENCE_MS
"""A first synchronisation on a busy machine."""


def connect(visitor: Visitor, account: str) -> None:
    """Through the vendor's own pages, from the button back to ours."""
    page = visitor.page
    page.get_by_role("button", name=re.compile("^Connect Google Health|^Google Health verbinden")).click()
    page.get_by_role("button", name=account).click()
    page.get_by_role("button", name="Continue").click()
    page.wait_for_url(re.compile(r"/connections/[0-9a-f-]+$"))


def disconnect(visitor: Visitor) -> None:
    visitor.page.get_by_role("link", name=re.compile("^Disconnect|^Trennen")).click()
    visitor.page.get_by_role("button", name=re.compile("^Disconnect|^Trennen")).click()
    visitor.page.wait_for_url(f"{visitor.url}/?done=disconnected")


@pytest.fixture(scope="module")
def dora(chrome: Browser, world: World) -> str:
    """The patient Dora has connected a wearable, read it, and has an alert that is open."""
    if "dora" in world.connected:
        return "dora"
    visitors = Visitors(chrome, world.url)
    dora = visitors()
    dora.sign_in("dora")
    connect(dora, SAM)
    dora.page.wait_for_url(f"{world.url}/", timeout=SYNC_MS)
    visitors.close()
    world.reading("dora", OXYGEN, 88, "%")
    world.connected.add("dora")
    return "dora"
