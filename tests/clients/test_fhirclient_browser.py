"""SMART's own library in a real browser: an app of another origin is launched, reads, writes and renews its access.

https://docs.smarthealthit.org/client-js/
"""

from __future__ import annotations

import re
import shutil
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from fhir_facade.flows.launch.clients import NewClient
from tests.browser.conftest import FLAGS, PATIENCE_MS, chromium
from tests.clients.conftest import DOCTOR, HERE, PASSWORD, Site
from tests.hapi_server import leave_out

pytestmark = pytest.mark.browser

ALLOWED = "launch launch/patient openid fhirUser offline_access patient/*.cruds user/Practitioner.rs"
ANN = "clients-ann"


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Requests for the pages of the app are no news."""


@pytest.fixture(scope="session")
def origin(packages: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where the app lives: its pages and the library, on a port of their own."""
    folder = tmp_path_factory.mktemp("pages") / "app"
    shutil.copytree(HERE / "pages", folder)
    shutil.copy(packages / "fhirclient" / "build" / "fhir-client.js", folder)
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(scope="module")
def registered(site: Site, origin: str) -> Site:
    pages = {"redirect_uris": (f"{origin}/index.html", f"{origin}/single.html"), "launch_uri": f"{origin}/launch.html"}
    site.register(NewClient("growth-chart", "public", ALLOWED, name="Growth chart", **pages))
    return site


@pytest.fixture(scope="module")
def chrome(registered: Site) -> Iterator[Browser]:
    """Opened after the server is ready: while it is there, its event loop keeps this process from having another."""
    if chromium() is None:
        leave_out("Chromium is not installed; on Debian: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def page(chrome: Browser) -> Iterator[Page]:
    """A browser in which nobody is signed in."""
    context = chrome.new_context(locale="en-GB")
    opened = context.new_page()
    opened.set_default_timeout(PATIENCE_MS)
    yield opened
    context.close()


@pytest.fixture
def standalone(registered: Site, origin: str) -> str:
    return f"{origin}/launch.html?iss={registered.fhir}"


def sign_in(page: Page, name: str) -> None:
    page.get_by_label("User name").fill(name)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()


def decide(page: Page, button: str = "Allow") -> None:
    page.get_by_role("heading", name="Allow Growth chart?").wait_for()
    page.get_by_role("button", name=button, exact=True).click()


def ask(page: Page, expression: str) -> Any:
    """What the app gets for an expression about its `client`."""
    return page.evaluate(f"() => app.then(async (client) => {expression})")


def opened_by_ann(page: Page, standalone: str) -> None:
    page.goto(standalone)
    sign_in(page, "ann")
    decide(page)
    page.get_by_role("heading", name="Ann Example").wait_for()


def test_a_doctor_opens_the_app_picks_a_patient_and_allows_it(page: Page, standalone: str, origin: str) -> None:
    page.goto(standalone)
    sign_in(page, "bob")
    page.get_by_label("Carl Example").check()
    page.get_by_role("button", name="Continue").click()
    decide(page)

    page.get_by_role("heading", name="Carl Example").wait_for()
    expect(page).to_have_url(re.compile(f"^{re.escape(origin)}/index.html([?]|$)"))
    assert ask(page, "client.user.fhirUser") == f"Practitioner/{DOCTOR}"
    assert ask(page, "(await client.user.read()).name[0].text") == "Dr. Bob Berg"
    page.reload()
    page.get_by_role("heading", name="Carl Example").wait_for()


def test_a_doctor_opens_the_app_from_the_record_of_a_patient(page: Page, registered: Site, origin: str) -> None:
    page.goto(f"{registered.server.url}/login?next=/patients/{ANN}")
    sign_in(page, "bob")
    page.get_by_role("button", name="Open Growth chart").click()
    decide(page)

    page.get_by_role("heading", name="Ann Example").wait_for()
    expect(page).to_have_url(re.compile(f"^{re.escape(origin)}/index.html([?]|$)"))
    told = ask(page, "client.state.tokenResponse")
    assert told["patient"] == ANN
    assert told["smart_style_url"].startswith(registered.server.url)
    assert page.evaluate("url => fetch(url).then((answer) => answer.json())", told["smart_style_url"])


def test_a_service_of_the_ehr_opens_the_app(page: Page, registered: Site) -> None:
    with registered.http() as ehr:
        body = {"client_id": "growth-chart", "user": "bob", "patient": ANN, "need_patient_banner": False}
        issued = ehr.post(f"{registered.server.url}/api/v1/launches", json=body).json()
    page.goto(issued["url"])
    sign_in(page, "bob")
    decide(page)

    page.get_by_role("heading", name="Ann Example").wait_for()
    assert ask(page, "client.state.tokenResponse.need_patient_banner") is False


def test_a_person_signs_in_in_a_window_of_its_own(page: Page, standalone: str) -> None:
    with page.expect_popup() as opened:
        page.goto(f"{standalone}&target=popup")
    sign_in(opened.value, "ann")
    decide(opened.value)

    page.get_by_role("heading", name="Ann Example").wait_for()


def test_an_app_of_one_page_goes_on_after_a_reload(page: Page, registered: Site, origin: str) -> None:
    page.goto(f"{origin}/single.html?iss={registered.fhir}")
    sign_in(page, "ann")
    decide(page)
    page.get_by_role("heading", name="Ann Example").wait_for()
    page.reload()

    page.get_by_role("heading", name="Ann Example").wait_for()


def test_an_app_of_one_page_is_opened_again_where_the_sign_in_left_it(
    page: Page, registered: Site, origin: str
) -> None:
    """The library takes an `iss` in the address for the server to sign in to; ours names itself there as issuer."""
    page.goto(f"{origin}/single.html?iss={registered.fhir}")
    sign_in(page, "ann")
    decide(page)
    page.get_by_role("heading", name="Ann Example").wait_for()
    another = page.context.new_page()
    another.goto(page.url)
    decide(another)

    another.get_by_role("heading", name="Ann Example").wait_for()


def test_the_app_is_told_when_the_person_does_not_allow_it(page: Page, standalone: str) -> None:
    page.goto(standalone)
    sign_in(page, "ann")
    decide(page, "Do not allow")

    page.get_by_role("heading", name="access_denied").wait_for()


def test_the_app_writes_and_reads_page_by_page(page: Page, standalone: str) -> None:
    opened_by_ann(page, standalone)
    observation = """{
      resourceType: "Observation", status: "final", code: { text: "browser" },
      subject: { reference: `Patient/${client.patient.id}` },
    }"""
    made = ask(page, f"[await client.create({observation}), await client.create({observation})]")
    assert {one["resourceType"] for one in made} == {"Observation"}
    changed = ask(page, f"client.update({{ ...{observation}, id: '{made[0]['id']}', status: 'amended' }})")
    assert changed["meta"]["versionId"] == "2"
    patch = '[{ op: "replace", path: "/status", value: "final" }]'
    assert ask(page, f"client.patch('Observation/{made[0]['id']}', {patch})")["meta"]["versionId"] == "3"

    asked = "client.patient.request('Observation?code:text=browser&_count=1', { pageLimit: 0, flat: true })"
    assert {one["id"] for one in ask(page, asked)} == {one["id"] for one in made}
    asked = f"client.request('Observation/{made[0]['id']}', {{ resolveReferences: 'subject' }})"
    assert ask(page, asked)["subject"]["name"][0]["text"] == "Ann Example"
    asked = f"(await client.request({{ url: 'Observation/{made[0]['id']}', includeResponse: true }})).response"
    assert ask(page, f"{asked}.headers.get('etag')") == 'W/"3"'
    for one in made:
        ask(page, f"client.delete('Observation/{one['id']}')")
    assert ask(page, f"client.request('Observation/{made[0]['id']}').catch((error) => error.status)") == 410


def test_the_app_renews_its_access_when_asked_and_by_itself(page: Page, standalone: str) -> None:
    opened_by_ann(page, standalone)
    tokens = [ask(page, "client.state.tokenResponse")]
    ask(page, "void (await client.refresh())")
    tokens.append(ask(page, "client.state.tokenResponse"))
    ask(page, "{ client.state.expiresAt = 0; await client.patient.read(); }")
    tokens.append(ask(page, "client.state.tokenResponse"))

    for name in ("access_token", "refresh_token"):
        assert len({token[name] for token in tokens}) == 3
    assert {token["patient"] for token in tokens} == {ANN}
    assert ask(page, "(await client.patient.read()).id") == ANN
