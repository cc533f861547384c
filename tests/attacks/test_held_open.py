"""Requests that are held open until whoever sent them may no longer: a body that comes slowly, an answer that is read
slowly, a form on its way. Each is judged by what its sender may do at its end, not at its beginning.

https://cwe.mitre.org/data/definitions/367.html
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
import pytest_asyncio

from fhir_facade.flows.accounts import NewAccount, add_account, disable_account
from fhir_facade.flows.launch.authorize import decide
from fhir_facade.flows.launch.clients import NewClient, add_client
from fhir_facade.flows.launch.opened import Lost
from fhir_facade.flows.launch.sign_in import Caller
from fhir_facade.flows.launch.verify import TRUST
from fhir_facade.flows.sessions import load_session
from fhir_facade.flows.sign_ins import end_sign_ins_of
from fhir_facade.rows.accounts import Account
from fhir_facade.rows.oauth import Grant
from tests.attacks.hospital import PASSWORD, STORES, Hospital, bundle, entry, hospital_on
from tests.attacks.test_catalogue_sign_in import CHALLENGE, REDIRECT
from tests.facade import PUBLIC
from tests.forms import form_of, sign_in

pytestmark = pytest.mark.asyncio(loop_scope="module")
SCOPE = "launch/patient offline_access patient/Observation.rs"
MANY = 400
Meanwhile = Callable[[], Awaitable[Any]]


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=STORES)
async def hospital(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Hospital]:
    async with hospital_on(request.param, request, tmp_path_factory.mktemp("hospital")) as opened:
        await add_client(opened.facade.ports, NewClient("app", "public", SCOPE, redirect_uris=(REDIRECT,)))
        yield opened


async def another_account(hospital: Hospital, name: str) -> Account:
    """One more account of anna, to be ended by the test."""
    new = NewAccount(hospital.id(name), "patient", PASSWORD, patient_id=hospital.id("anna"))
    return await add_account(hospital.facade.ports, new)


async def ended(hospital: Hospital, account: Account) -> None:
    """The account is disabled, and every process knows it."""
    await disable_account(hospital.facade.ports, account.username)
    await asyncio.sleep(TRUST.total_seconds() + 0.1)


async def held(body: bytes, meanwhile: Meanwhile) -> AsyncIterator[bytes]:
    yield body[:20]
    await meanwhile()
    yield body[20:]


async def test_a_body_that_is_held_back_until_its_token_is_withdrawn(hospital: Hospital) -> None:
    """A token was looked at before the body came, and a body may come as slowly as its sender likes."""
    account = await another_account(hospital, "slow-body")
    app = await hospital.facade.client("patient/*.cruds", username=account.username)
    reading = json.dumps(hospital.reading("anna", valueString="written too late")).encode()

    answer = await app.post(
        "/fhir/Observation",
        content=held(reading, lambda: ended(hospital, account)),
        headers={"Content-Type": "application/fhir+json"},
    )

    assert answer.status_code == 401, answer.text
    written = await hospital.service.get(f"/fhir/Observation?subject=Patient/{hospital.id('anna')}")
    assert "written too late" not in written.text


async def test_an_answer_that_is_read_slowly_until_its_token_is_withdrawn(hospital: Hospital) -> None:
    """A batch is answered as it is read: whoever read slowly went on asking in it for as long as they liked."""
    account = await another_account(hospital, "slow-reader")
    app = await hospital.facade.client("patient/*.cruds", username=account.username)
    asked = bundle("batch", *(entry("GET", f"Observation/{hospital.id('own')}") for _ in range(MANY)))

    answered = await read_slowly(hospital, app, asked, lambda: ended(hospital, account))

    statuses = [each["response"]["status"][:3] for each in answered["entry"]]
    assert len(statuses) == MANY
    assert (statuses[0], statuses[-1]) == ("200", "401")
    assert statuses == sorted(statuses)


async def read_slowly(
    hospital: Hospital, app: httpx.AsyncClient, body: dict[str, Any], meanwhile: Meanwhile
) -> dict[str, Any]:
    """What is answered to somebody who takes the first part, and the rest only when `meanwhile` is over."""
    request = app.build_request("POST", "/fhir", json=body)
    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": "POST",
        "path": "/fhir",
        "raw_path": b"/fhir",
        "query_string": b"",
        "headers": [(name.lower(), value) for name, value in request.headers.raw if name.lower() != b"accept-encoding"],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 8000),
        "scheme": "http",
    }
    parts: list[bytes] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": request.content, "more_body": False}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.body":
            parts.append(message.get("body", b""))
            if len(parts) == 1:
                await meanwhile()

    await hospital.facade.app(scope, receive, send)
    return dict(json.loads(b"".join(parts)))


async def test_a_consent_that_is_held_back_until_the_person_has_signed_out_everywhere(hospital: Hospital) -> None:
    """Who was signed in was looked at before the form came: an app was allowed by a session that was over."""
    account = await another_account(hospital, "slow-form")
    async with hospital.facade.anonymous as browser:
        browser.headers["Accept"] = "text/html"
        page = await consent_page(browser, account.username)
        form = urlencode(form_of(page, "/oauth/consent").fields(decision="allow"), doseq=True).encode()
        answer = await browser.post(
            "/oauth/consent",
            content=held(form, lambda: end_sign_ins_of(hospital.facade.ports, account, actor="admin")),
            headers={"Content-Type": "application/x-www-form-urlencoded"},
        )

    assert "code=" not in answer.headers.get("location", ""), answer.headers
    assert await grants_of(hospital, account) == []


async def test_a_consent_at_the_very_moment_of_signing_out_everywhere(hospital: Hospital) -> None:
    """Between the look at the session and the writing of the permission there was time for it to end: what an app got
    then outlived it, the new password after it too."""
    account = await another_account(hospital, "last-moment")
    ports, deps = hospital.facade.ports, hospital.facade.app.web.state.deps
    async with hospital.facade.anonymous as browser:
        browser.headers["Accept"] = "text/html"
        page = await consent_page(browser, account.username)
        (cookie,) = [one.value for one in browser.cookies.jar if one.name == "fhir_facade"]
    signed_in = await load_session(ports, cookie)
    assert signed_in is not None
    fields = form_of(page, "/oauth/consent").fields()
    await end_sign_ins_of(ports, account, actor="admin")

    with pytest.raises(Lost):
        await decide(deps.oauth.sign_in, fields["request"][0], cookie, signed_in, fields["scope"], Caller())

    assert await grants_of(hospital, account) == []


async def consent_page(browser: httpx.AsyncClient, username: str) -> httpx.Response:
    parameters = {
        "response_type": "code",
        "client_id": "app",
        "redirect_uri": REDIRECT,
        "scope": SCOPE,
        "state": "a-state-of-the-app",
        "aud": f"{PUBLIC}/fhir",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
    }
    begun = await browser.get("/oauth/authorize", params=parameters)
    assert begun.status_code == 303, begun.text
    login = await browser.get(begun.headers["location"])
    entered = await sign_in(browser, login, username, PASSWORD)
    return await browser.get(entered.headers["location"])


async def grants_of(hospital: Hospital, account: Account) -> list[Any]:
    return list(await hospital.facade.ports.state.read(lambda tx: tx.find(Grant, ("account_id", "=", account.id))))
