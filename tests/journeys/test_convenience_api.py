"""An app connects a wearable over REST, reads it, sees the score, types in readings and disconnects."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from fhir_facade.app import create_app
from fhir_facade.flows.accounts import NewAccount, disable_account
from fhir_facade.flows.launch.clients import disable_client
from fhir_facade.flows.launch.opaque import csrf_token
from fhir_facade.flows.launch.sign_in import Caller
from fhir_facade.flows.launch.tokens import mint_token, new_access_token, revoke_grants
from fhir_facade.flows.sessions import sign_in_with_password
from fhir_facade.flows.wearables.pending import MOST_PENDING
from fhir_facade.rows import Put, Remove
from fhir_facade.rows.accounts import Account
from fhir_facade.rows.audit import AuditLine
from fhir_facade.rows.connections import Connection, PendingConnection
from fhir_facade.rows.events import Event
from fhir_facade.rows.oauth import Client, Grant
from fhir_facade.rules.score.tables import sentences
from fhir_facade.settings import Settings
from fhir_facade.simulator.data_types import SCOPES, SLEEP
from terminology.canonical import HEALTH_SCORE
from tests.accounts import with_account
from tests.facade import PUBLIC
from tests.wearables import ALEX, SAM, World

CONNECTIONS = "/api/v1/connections"
PASSWORD = "correct horse battery"


@dataclass
class Api:
    """The convenience API of a world with a wearable vendor."""

    world: World
    app: object

    def browser(self, **headers: str) -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=httpx.ASGITransport(self.app), base_url=PUBLIC, headers=headers)

    async def app_of(self, patient: str | None = "p1", scope: str = "patient/*.cruds") -> httpx.AsyncClient:
        """A client with a token."""
        token = await mint_token(self.world.ports, scope=scope, patient=patient)
        return self.browser(Authorization=f"Bearer {token}")

    async def app_in_the_name_of_ann(self) -> httpx.AsyncClient:
        """A client with a token that ann, the person of p1, allowed the app `tracker`."""
        ports = self.world.ports
        now = ports.clock.now()
        account = await with_account(ports, NewAccount("ann", "patient", PASSWORD, patient_id="p1"))
        client = Client(id="tracker", kind="public", scope="patient/*.cruds", created_at=now)
        grant = Grant(
            id="g1",
            scope=client.scope,
            created_at=now,
            expires_at=now + timedelta(days=1),
            client_id=client.id,
            account_id=account.id,
            patient="p1",
        )

        def allow(tx):
            tx.apply(Put(client), Put(grant))
            return new_access_token(tx, ports.ids, grant, grant.scope, now, timedelta(minutes=10)).text

        return self.browser(Authorization=f"Bearer {await ports.state.write(allow)}")

    async def signed_in(self, username: str = "ann", patient: str = "p1") -> tuple[httpx.AsyncClient, str]:
        """A browser with a portal session, and the CSRF token of its pages."""
        account = NewAccount(username=username, password=PASSWORD, role="patient", patient_id=patient)
        await with_account(self.world.ports, account)
        cookie = await sign_in_with_password(
            self.world.ports, username=username, password=PASSWORD, old_cookie=None, caller=Caller()
        )
        return self.browser(Cookie=f"fhir_facade={cookie}"), csrf_token(cookie)

    async def connected(self, app: httpx.AsyncClient, account: str = ALEX, scopes=tuple(SCOPES), **asked) -> str:
        """The id of a connection that went all the way through the vendor."""
        begun = (await app.post(CONNECTIONS, json={"vendor": "google-health", **asked})).json()
        redirect = await self.world.click(begun["authorize_url"], account, scopes)
        await self.browser().get(f"{CONNECTIONS}/callback", params=redirect)
        return begun["id"]

    async def rows(self, row, *where):
        return await self.world.ports.state.read(lambda tx: tx.find(row, *where))


@pytest.fixture
async def api(world, tmp_path: Path):
    app = create_app(Settings(data_dir=tmp_path, public_url=PUBLIC), world.ports)
    yield Api(world, app)
    await app.close()


# --- refusals -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "status", "word"),
    [
        pytest.param({"vendor": "wristwatch"}, 400, "google-health", id="unknown vendor"),
        pytest.param({}, 400, "vendor", id="no vendor"),
        pytest.param({"vendor": "google-health", "colour": "red"}, 400, "colour", id="unknown member"),
        pytest.param(
            {"vendor": "google-health", "patient": "p2"}, 404, "Patient/p2 is not there", id="foreign patient"
        ),
        pytest.param({"vendor": "google-health", "patient": "p9"}, 404, "Patient/p9 is not there", id="absent patient"),
    ],
)
async def test_what_cannot_be_connected_says_why(api, body, status, word):
    app = await api.app_of("p1")

    answer = await app.post(CONNECTIONS, json=body)

    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert word in answer.json()["detail"]
    assert await api.rows(Connection) == []


async def test_a_system_token_has_to_say_which_patient(api):
    app = await api.app_of(None, "system/*.cruds")

    unnamed = await app.post(CONNECTIONS, json={"vendor": "google-health"})
    named = await app.post(CONNECTIONS, json={"vendor": "google-health", "patient": "p2"})

    assert (unnamed.status_code, named.status_code) == (400, 201)
    assert '"patient"' in unnamed.json()["detail"]


@pytest.mark.parametrize("path", ["", "/sync"], ids=["connect", "sync"])
async def test_a_token_that_may_only_read_is_refused(api, path):
    full = await api.app_of("p1")
    connection = await api.connected(full)
    reader = await api.app_of("p1", "patient/*.rs")

    answer = await reader.post(
        f"{CONNECTIONS}/{connection}{path}" if path else CONNECTIONS,
        json={"vendor": "google-health"} if not path else {},
    )

    assert answer.status_code == 403


@pytest.mark.both_stores
@pytest.mark.parametrize(("method", "path"), [("GET", ""), ("POST", "/sync"), ("DELETE", "")])
async def test_a_foreign_connection_answers_like_an_absent_one(api, method, path):
    theirs = await api.connected(await api.app_of("p2"), SAM)
    absent = "0" * len(theirs)
    mine = await api.app_of("p1")

    foreign, missing = [await mine.request(method, f"{CONNECTIONS}/{each}{path}") for each in (theirs, absent)]

    assert foreign.status_code == missing.status_code == 404
    assert _neutral(foreign, theirs) == _neutral(missing, absent)


def _neutral(answer: httpx.Response, name: str) -> bytes:
    """The answer without what every request has of its own."""
    return answer.content.replace(name.encode(), b"ID").replace(answer.headers["x-request-id"].encode(), b"RID")


@pytest.mark.parametrize(
    ("headers", "status"),
    [({}, 401), ({"Authorization": "Bearer fhirfacade_at_nobody"}, 401), ({"Authorization": "Basic YTpi"}, 401)],
    ids=["nobody", "unknown token", "another scheme"],
)
async def test_who_is_unknown_is_refused_and_recorded(api, headers, status):
    answer = await api.browser(**headers).get(f"{CONNECTIONS}/c1")

    assert answer.status_code == status
    assert answer.headers["www-authenticate"] == "Bearer"
    (line,) = await api.rows(AuditLine, ("request_id", "=", answer.headers["x-request-id"]))
    assert (line.outcome, line.actor, line.entity, line.detail) == (
        "refused",
        "anonymous",
        "/api/v1/connections/c1",
        "401 login",
    )


async def test_a_refused_person_is_named_in_the_record(api):
    theirs = await api.connected(await api.app_of("p2"), SAM)

    answer = await (await api.app_of("p1")).get(f"{CONNECTIONS}/{theirs}")

    (line,) = await api.rows(AuditLine, ("request_id", "=", answer.headers["x-request-id"]))
    assert (line.outcome, line.actor, line.detail) == ("refused", "patient", "404 not-found")
    assert line.token is not None


async def test_a_session_needs_the_token_of_its_page_to_change_something(api):
    browser, csrf = await api.signed_in()
    body = {"vendor": "google-health"}

    without = await browser.post(CONNECTIONS, json=body)
    wrong = await browser.post(CONNECTIONS, json=body, headers={"X-CSRF-Token": "x" * 43})
    right = await browser.post(CONNECTIONS, json=body, headers={"X-CSRF-Token": csrf})

    assert (without.status_code, wrong.status_code, right.status_code) == (403, 403, 201)
    assert "X-CSRF-Token" in without.json()["detail"]
    assert (await browser.get(CONNECTIONS)).json()["connections"][0]["id"] == right.json()["id"]


# --- the way back from the vendor -----------------------------------------------------------------------------


async def test_a_refusal_at_the_vendor_becomes_a_page_with_the_way_out(api):
    app = await api.app_of()
    begun = (await app.post(CONNECTIONS, json={"vendor": "google-health"})).json()
    redirect = await api.world.click(begun["authorize_url"], ALEX, decision="deny")

    page = await api.browser().get(f"{CONNECTIONS}/callback", params=redirect)

    assert redirect["error"] == "access_denied"
    assert page.status_code == 403
    assert page.headers["content-type"].startswith("text/html")
    assert "begin the connection again" in page.text
    assert (await app.get(f"{CONNECTIONS}/{begun['id']}")).json()["state"] == "pending"


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda query: query | {"state": "s" * 43}, id="unknown state"),
        pytest.param(lambda query: {"code": query["code"]}, id="no state"),
    ],
)
async def test_a_state_that_is_not_ours_becomes_a_page(api, spoil):
    begun = (await (await api.app_of()).post(CONNECTIONS, json={"vendor": "google-health"})).json()
    redirect = await api.world.click(begun["authorize_url"], ALEX)

    page = await api.browser().get(f"{CONNECTIONS}/callback", params=spoil(redirect))

    assert page.status_code == 400
    assert "Begin the connection again" in page.text


async def test_a_state_works_once(api):
    begun = (await (await api.app_of()).post(CONNECTIONS, json={"vendor": "google-health"})).json()
    redirect = await api.world.click(begun["authorize_url"], ALEX)

    first, second = [await api.browser().get(f"{CONNECTIONS}/callback", params=redirect) for _ in range(2)]

    assert (first.status_code, second.status_code) == (200, 400)


async def test_a_state_dies_after_ten_minutes(api):
    begun = (await (await api.app_of()).post(CONNECTIONS, json={"vendor": "google-health"})).json()
    redirect = await api.world.click(begun["authorize_url"], ALEX)
    api.world.clock.forward(minutes=10, seconds=1)

    page = await api.browser().get(f"{CONNECTIONS}/callback", params=redirect)

    assert page.status_code == 400


async def test_a_vendor_that_fails_becomes_a_page_with_its_reason(api):
    begun = (await (await api.app_of()).post(CONNECTIONS, json={"vendor": "google-health"})).json()
    redirect = await api.world.click(begun["authorize_url"], ALEX)
    await api.world.fault(kind="server-error", where="token", times=-1)

    page = await api.browser().get(f"{CONNECTIONS}/callback", params=redirect)

    assert page.status_code == 502
    assert "Try again" in page.text


async def test_a_connection_begun_in_the_portal_comes_back_to_the_portal(api):
    browser, csrf = await api.signed_in()
    headers = {"X-CSRF-Token": csrf}
    begun = (await browser.post(CONNECTIONS, json={"vendor": "google-health"}, headers=headers)).json()
    redirect = await api.world.click(begun["authorize_url"], ALEX)

    stranger = await api.browser().get(f"{CONNECTIONS}/callback", params=redirect)
    owner = await browser.get(f"{CONNECTIONS}/callback", params=redirect)

    assert stranger.status_code == 400
    assert (owner.status_code, owner.headers["location"]) == (303, f"/connections/{begun['id']}")


async def _grant_withdrawn(ports):
    await ports.state.write(lambda tx: revoke_grants(tx, ports.clock.now(), "a test"))


async def _account_disabled(ports):
    await disable_account(ports, "ann")


async def _client_disabled(ports):
    await disable_client(ports, "tracker")


async def _account_erased(ports):
    """As erasing a patient does it: the rows are gone."""
    await ports.state.write(lambda tx: tx.apply(*(Remove(Account, (each.id,)) for each in tx.find(Account))))


@pytest.mark.both_stores
@pytest.mark.parametrize("withdraw", [_grant_withdrawn, _account_disabled, _client_disabled, _account_erased])
async def test_what_an_app_began_ends_when_its_permission_is_withdrawn(api, withdraw):
    app = await api.app_in_the_name_of_ann()
    begun = (await app.post(CONNECTIONS, json={"vendor": "google-health"})).json()
    redirect = await api.world.click(begun["authorize_url"], ALEX)
    await withdraw(api.world.ports)
    await api.world.forget_log()

    page = await api.browser().get(f"{CONNECTIONS}/callback", params=redirect)
    again = await api.browser().get(f"{CONNECTIONS}/callback", params=redirect)

    assert (page.status_code, again.status_code) == (403, 400)
    assert "The permission under which this was begun was withdrawn" in page.text
    assert await api.world.asked("/token") == []
    (connection,) = await api.rows(Connection)
    assert (connection.state, connection.account) == ("pending", None)


async def test_what_an_app_began_is_completed_after_its_token_ran_out(api):
    token = await mint_token(api.world.ports, scope="patient/*.cruds", patient="p1", minutes=1)
    app = api.browser(Authorization=f"Bearer {token}")
    begun = (await app.post(CONNECTIONS, json={"vendor": "google-health"})).json()
    redirect = await api.world.click(begun["authorize_url"], ALEX)
    api.world.clock.forward(minutes=9)

    page = await api.browser().get(f"{CONNECTIONS}/callback", params=redirect)

    assert page.status_code == 200
    assert (await app.get(CONNECTIONS)).status_code == 401


@pytest.mark.both_stores
async def test_a_vendor_account_of_another_person_is_a_conflict_that_says_what_to_do(api):
    await api.connected(await api.app_of("p1"))
    pages = []
    for headers in ({}, {"Accept-Language": "de"}, {"Accept": "application/json"}):
        begun = (await (await api.app_of("p2")).post(CONNECTIONS, json={"vendor": "google-health"})).json()
        redirect = await api.world.click(begun["authorize_url"], ALEX)
        pages.append(await api.browser().get(f"{CONNECTIONS}/callback", params=redirect, headers=headers))

    page, german, problem = pages
    assert [each.status_code for each in pages] == [409] * 3
    assert "already connected to another record here" in page.text
    assert "schon mit einer anderen Akte verbunden" in german.text
    assert problem.headers["content-type"] == "application/problem+json"
    assert "disconnect it there first" in problem.json()["detail"]
    assert not any("p1" in each.text for each in pages)


async def test_another_account_of_the_same_vendor_is_a_conflict_too(api):
    app = await api.app_of("p1")
    await api.connected(app)
    begun = (await app.post(CONNECTIONS, json={"vendor": "google-health"})).json()
    redirect = await api.world.click(begun["authorize_url"], SAM)

    page = await api.browser().get(f"{CONNECTIONS}/callback", params=redirect)

    assert page.status_code == 409
    assert "This record is connected to another account" in page.text


@pytest.mark.both_stores
async def test_a_link_of_somebody_else_binds_no_wearable_to_their_record(api):
    begun = (await (await api.app_of("p1")).post(CONNECTIONS, json={"vendor": "google-health"})).json()
    redirect = await api.world.click(begun["authorize_url"], ALEX)
    browser, _ = await api.signed_in("bob", "p2")

    lured = await browser.get(f"{CONNECTIONS}/callback", params=redirect, headers={"Accept-Language": "de"})
    own = await api.browser().get(f"{CONNECTIONS}/callback", params=redirect, headers={"Accept-Language": "de"})

    assert lured.status_code == 400
    assert "gehört zu einem anderen Browser" in lured.text
    assert own.status_code == 200
    assert "Das Gerät ist verbunden" in own.text


@pytest.mark.both_stores
async def test_beginnings_without_end_fill_no_table(api):
    app = await api.app_of()
    begun = []
    for _ in range(MOST_PENDING + 2):
        begun.append((await app.post(CONNECTIONS, json={"vendor": "google-health"})).json())
        api.world.clock.forward(seconds=1)
    first, last = [await api.world.click(each["authorize_url"], ALEX) for each in (begun[0], begun[-1])]

    pages = [await api.browser().get(f"{CONNECTIONS}/callback", params=redirect) for redirect in (first, last)]

    assert [page.status_code for page in pages] == [400, 200]
    assert len(await api.rows(PendingConnection)) == MOST_PENDING


# --- the way that works ---------------------------------------------------------------------------------------


@pytest.mark.both_stores
async def test_an_app_connects_reads_looks_and_disconnects(api):
    app = await api.app_of()
    connection = await api.connected(app)

    before = (await app.get(f"{CONNECTIONS}/{connection}")).json()
    read = await app.post(f"{CONNECTIONS}/{connection}/sync")
    after = (await app.get(f"{CONNECTIONS}/{connection}")).json()
    again = (await app.post(f"{CONNECTIONS}/{connection}/sync", json={"full": True})).json()
    gone = await app.delete(f"{CONNECTIONS}/{connection}")

    assert (before["state"], before["last_sync"], before["missing_scopes"]) == ("active", None, [])
    assert set(before["granted_scopes"]) >= {SLEEP}
    assert read.status_code == 200, read.text
    metrics = read.json()["metrics"]
    assert metrics["steps"]["created"] > 0
    assert set(metrics["steps"]) == {"read", "created", "updated", "unchanged", "removed", "unreadable", "error"}
    assert metrics["steps"]["unreadable"] == {}
    assert read.json()["provenance"].startswith("Provenance/")
    assert after["last_sync"] is not None
    assert all(metric["created"] == metric["updated"] == 0 for metric in again["metrics"].values())
    assert gone.json() == {"revoked": True}
    assert (await app.get(f"{CONNECTIONS}/{connection}")).status_code == 404


async def test_an_app_is_told_what_the_vendor_sent_and_nobody_could_read(api):
    app = await api.app_of()
    connection = await api.connected(app)
    await app.post(f"{CONNECTIONS}/{connection}/sync")
    nights = [each for each in (await api.world.observations()).values() if "|sleep|" in each["identifier"][0]["value"]]
    days = [each["effectivePeriod"]["end"][:10] for each in nights]
    await api.world.fault(kind="correct", account=ALEX, where="sleep", date=max(days), factor=-1)

    report = (await app.post(f"{CONNECTIONS}/{connection}/sync")).json()

    assert report["metrics"]["sleep"]["unreadable"] == {"summary.minutesAsleep is out of range": days.count(max(days))}
    assert report["metrics"]["steps"]["unreadable"] == {}
    assert report["error"] is None


async def test_a_sync_that_takes_longer_goes_on(api):
    app = await api.app_of()
    connection = await api.connected(app)

    accepted = await app.post(f"{CONNECTIONS}/{connection}/sync", json={"wait_s": 0})
    joined = await app.post(f"{CONNECTIONS}/{connection}/sync")

    assert accepted.status_code == 202
    assert accepted.headers["location"] == f"{CONNECTIONS}/{connection}"
    assert accepted.json()["id"] == connection
    assert joined.json()["metrics"]["steps"]["created"] > 0, "the second call joined the first"


async def test_a_sync_that_is_still_going_on_ends_with_the_application(api):
    app = await api.app_of()
    connection = await api.connected(app)
    await api.world.fault(kind="slow", where="steps", times=-1)
    await app.post(f"{CONNECTIONS}/{connection}/sync", json={"wait_s": 0})

    await api.app.close()

    late = await app.post(f"{CONNECTIONS}/{connection}/sync", json={"wait_s": 60})
    assert late.status_code == 202, "nobody waits in an application that ends"


async def test_what_was_not_granted_is_told(api):
    app = await api.app_of()
    connection = await api.connected(app, scopes=tuple(scope for scope in SCOPES if scope != SLEEP))

    found = (await app.get(CONNECTIONS)).json()["connections"]

    assert [(each["id"], each["state"], each["missing_scopes"]) for each in found] == [
        (connection, "missing-scopes", [SLEEP])
    ]


# --- score ----------------------------------------------------------------------------------------------------


@pytest.mark.both_stores
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_the_score_of_a_foreign_patient_answers_like_an_absent_one(api, method):
    app = await api.app_of("p1")

    foreign, missing = [await app.request(method, f"/api/v1/patients/{each}/score") for each in ("p2", "p9")]

    assert foreign.status_code == missing.status_code == 404
    assert _neutral(foreign, "p2") == _neutral(missing, "p9")


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_the_score_needs_a_scope_that_reads_observations(api, method):
    app = await api.app_of("p1", "patient/Patient.rs")

    assert (await app.request(method, "/api/v1/patients/p1/score")).status_code == 403


@pytest.mark.parametrize(
    ("born", "reason"),
    [(None, "unknown-birth-date"), ("2015-01-01", "under-age")],
)
async def test_who_cannot_be_scored_is_told_why(api, born, reason):
    system = await api.app_of(None, "system/*.cruds")
    await system.put(
        "/fhir/Patient/p1", json={"resourceType": "Patient", "id": "p1"} | ({"birthDate": born} if born else {})
    )

    answer = await (await api.app_of()).post("/api/v1/patients/p1/score")

    assert answer.status_code == 422
    assert answer.json()["reason"] == reason
    assert answer.json()["field"] == "Patient.birthDate"


async def test_who_may_not_read_the_date_of_birth_is_not_told_that_it_is_the_reason(api):
    system = await api.app_of(None, "system/*.cruds")
    app, answers = await api.app_of("p1", "patient/Observation.rs"), []
    for born in ({}, {"birthDate": "2015-01-01"}):
        await system.put("/fhir/Patient/p1", json={"resourceType": "Patient", "id": "p1"} | born)
        answers.append(await app.post("/api/v1/patients/p1/score"))

    unknown, young = answers
    assert (unknown.status_code, unknown.json()["reason"]) == (422, "not-scorable")
    assert _neutral(unknown, "p1") == _neutral(young, "p1")
    assert "birth" not in unknown.text


async def test_a_score_of_nothing_names_everything_that_is_missing(api):
    answer = (await (await api.app_of()).get("/api/v1/patients/p1/score")).json()

    assert answer["observation"]["status"] == answer["summary"]["status"] == "preliminary"
    assert (answer["summary"]["value"], answer["summary"]["category"]) == (None, None)
    assert len(answer["summary"]["missing"]) == len(answer["summary"]["parts"]) == 8
    assert all(part["absent"] for part in answer["summary"]["parts"])


@pytest.mark.both_stores
async def test_a_sync_leaves_a_score_that_explains_itself(api):
    app = await api.app_of()
    connection = await api.connected(app)

    await app.post(f"{CONNECTIONS}/{connection}/sync")

    (stored,) = await api.world.search("Observation", patient="p1", code="le8-composite")
    answer = (await app.get("/api/v1/patients/p1/score")).json()
    points = {part["code"]: part["points"] for part in answer["summary"]["parts"]}
    assert answer["observation"]["id"] == stored["id"]
    assert points["le8-activity"] is not None
    assert points["le8-sleep"] is not None
    assert points["le8-diet"] is None
    assert answer["summary"]["next_step"]
    assert "medical" in answer["summary"]["disclaimer"]
    (event,) = await api.rows(Event, ("topic", "=", "score"))
    assert json.loads(event.data)["observation"] == f"Observation/{stored['id']}"


SCORE = "/api/v1/patients/p1/score"


async def speaks(api, *languages):
    """What p1's record says about languages; the first is preferred."""
    spoken = [
        {"language": {"coding": [{"system": "urn:ietf:bcp:47", "code": code}]}, "preferred": at == 0}
        for at, code in enumerate(languages)
    ]
    service = await api.app_of(None, "system/*.cruds")
    patient = (await service.get("/fhir/Patient/p1")).json()
    assert (await service.put("/fhir/Patient/p1", json={**patient, "communication": spoken})).status_code == 200


@pytest.mark.parametrize(
    ("method", "spoken", "asked", "language"),
    [
        ("GET", (), None, "en"),
        ("GET", ("de-CH", "en"), None, "de"),
        ("GET", ("de",), "en-GB,en;q=0.9", "en"),
        ("POST", (), "fr;q=1, de;q=0.5", "de"),
        ("POST", ("de",), "fr", "de"),
    ],
    ids=["nothing known", "the patient's", "asked for", "second best", "none that there is"],
)
async def test_a_score_speaks_the_language_of_who_asks_else_of_the_patient(api, method, spoken, asked, language):
    if spoken:
        await speaks(api, *spoken)
    headers = {} if asked is None else {"Accept-Language": asked}

    answer = await (await api.app_of()).request(method, SCORE, headers=headers)

    told = answer.json()["summary"]
    assert told["language"] == answer.headers["content-language"] == language
    assert told["parts"][0]["name"] == sentences(language).names[told["parts"][0]["code"]]
    assert told["missing"][0] in told["explanation"]
    assert told["disclaimer"] == sentences(language).disclaimer


async def test_a_score_speaks_the_language_of_the_account_when_the_record_knows_none(api):
    account = NewAccount("ann", "patient", PASSWORD, patient_id="p1", language="de")
    await with_account(api.world.ports, account)

    answer = await (await api.app_of()).get(SCORE)

    assert answer.json()["summary"]["language"] == "de"
    assert answer.json()["observation"]["note"][-1]["text"] == sentences("de").disclaimer


async def test_a_sync_that_read_nothing_leaves_no_score(api):
    app = await api.app_of()
    connection = await api.connected(app)
    await api.world.fault(kind="server-error", times=-1)

    await app.post(f"{CONNECTIONS}/{connection}/sync")

    assert await api.world.search("Observation", patient="p1") == []
    assert await api.rows(Event, ("topic", "=", "score")) == []


@pytest.mark.both_stores
async def test_the_same_record_gives_the_same_score_written_once(api):
    app = await api.app_of()

    first, second = [await app.post("/api/v1/patients/p1/score") for _ in range(2)]

    assert first.json() == second.json()
    assert first.json()["observation"]["meta"]["versionId"] == "1"
    assert len(await api.rows(Event, ("topic", "=", "score"))) == 1
    assert len(await api.world.search("Device", _id=first.json()["observation"]["device"]["reference"][7:])) == 1


@pytest.mark.both_stores
async def test_several_who_ask_for_the_same_score_at_once_write_it_once(api):
    app = await api.app_of()

    answers = await asyncio.gather(*(app.post("/api/v1/patients/p1/score") for _ in range(4)))

    assert {answer.json()["observation"]["meta"]["versionId"] for answer in answers} == {"1"}
    assert len(await api.rows(Event, ("topic", "=", "score"))) == 1


async def test_an_answer_about_oneself_moves_the_score(api):
    app = await api.app_of()
    await app.post("/api/v1/patients/p1/score")

    await app.post("/api/v1/patients/p1/vitals", json={"nicotine_exposure": "never"})

    after = (await app.post("/api/v1/patients/p1/score")).json()
    assert after["summary"]["value"] == 100
    assert after["observation"]["meta"]["versionId"] == "2"


def _told(code: str, days_ago: int, *, status: str = "final", **value) -> dict:
    system = "http://loinc.org" if code[0].isdigit() else HEALTH_SCORE
    kind = {"system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": "vital-signs"}
    return {
        "resourceType": "Observation",
        "status": status,
        "category": [{"coding": [kind]}],
        "code": {"coding": [{"system": system, "code": code}]},
        "subject": {"reference": "Patient/p1"},
        "effectiveDateTime": (datetime.now(UTC) - timedelta(days=days_ago)).isoformat(),
        **value,
    }


def _amount(value: float, unit: str) -> dict:
    return {"valueQuantity": {"value": value, "unit": unit, "system": "http://unitsofmeasure.org", "code": unit}}


@pytest.mark.both_stores
@pytest.mark.parametrize(
    ("once", "often", "part", "points"),
    [
        pytest.param(
            [_told("43396-1", 200, **_amount(120, "mg/dL"))],
            [_told("1558-6", ago, **_amount(95, "mg/dL")) for ago in range(1, 62)],
            "le8-lipids",
            100,
            id="lipids once, glucose every day",
        ),
        pytest.param(
            [_told("diabetes", 300, valueBoolean=True), _told("4548-4", 1, **_amount(6.0, "%"))],
            [_told("mepa-score", ago, **_amount(12, "{score}")) for ago in range(1, 62)],
            "le8-glucose",
            40,
            id="a diagnosis once, the diet every day",
        ),
        pytest.param(
            [_told("39156-5", 60, **_amount(22, "kg/m2"))],
            [_told("29463-7", ago, **_amount(70, "kg")) for ago in range(1, 41)],
            "le8-bmi",
            100,
            id="a body mass index once, the weight every day",
        ),
        pytest.param(
            [_told("39156-5", 60, **_amount(22, "kg/m2"))],
            [_told("39156-5", ago, status="entered-in-error", **_amount(70, "kg/m2")) for ago in range(1, 41)],
            "le8-bmi",
            100,
            id="much that was withdrawn since",
        ),
    ],
)
async def test_what_is_told_often_hides_nothing_that_is_told_seldom(api, once, often, part, points):
    system = await api.app_of(None, "system/*.cruds")
    await system.put("/fhir/Patient/p1", json={"resourceType": "Patient", "id": "p1", "birthDate": "1980-01-01"})
    entries = [{"resource": each, "request": {"method": "POST", "url": "Observation"}} for each in (*once, *often)]
    written = await system.post("/fhir", json={"resourceType": "Bundle", "type": "transaction", "entry": entries})
    assert written.status_code == 200, written.text

    answer = (await system.post("/api/v1/patients/p1/score")).json()

    assert {each["code"]: each["points"] for each in answer["summary"]["parts"]}[part] == points


# --- vitals ---------------------------------------------------------------------------------------------------


@pytest.mark.both_stores
@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        pytest.param(b"{", 400, None, id="no JSON"),
        pytest.param(b"[]", 400, None, id="no object"),
        pytest.param(b"{}", 422, "entry", id="no reading"),
        pytest.param(b'{"heart_rate": "fast"}', 422, "heart_rate", id="a text"),
        pytest.param(b'{"heart_rate": -3}', 422, "heart_rate", id="below zero"),
        pytest.param(b'{"weight": 80, "heart_rate": 9999}', 422, "heart_rate", id="more than any heart does"),
        pytest.param(b'{"blood_pressure": {"systolic": 0}}', 422, "blood_pressure.systolic", id="inside a panel"),
        pytest.param(b'{"heart_rate": 60, "mood": 3}', 422, "mood", id="unknown member"),
        pytest.param(b'{"weight": 80, "effective": "yesterday"}', 422, "effective", id="no time"),
    ],
)
async def test_a_bad_reading_is_refused_whole_and_named(api, body, status, field):
    answer = await (await api.app_of()).post("/api/v1/patients/p1/vitals", content=body)

    assert answer.status_code == status
    assert answer.json().get("field") == field
    assert await api.world.observations() == {}


async def test_readings_for_a_foreign_patient_answer_like_for_an_absent_one(api):
    app = await api.app_of("p1")

    foreign, missing = [
        await app.post(f"/api/v1/patients/{each}/vitals", json={"heart_rate": 60}) for each in ("p2", "p9")
    ]

    assert foreign.status_code == missing.status_code == 404
    assert _neutral(foreign, "p2") == _neutral(missing, "p9")


async def test_readings_for_nobody_are_refused_also_from_a_system(api):
    app = await api.app_of(None, "system/*.cruds")

    assert (await app.post("/api/v1/patients/p9/vitals", json={"heart_rate": 60})).status_code == 404


async def test_a_token_that_may_only_read_records_nothing(api):
    app = await api.app_of("p1", "patient/*.rs")

    assert (await app.post("/api/v1/patients/p1/vitals", json={"heart_rate": 60})).status_code == 403


async def test_a_granular_scope_records_what_it_covers(api):
    scope = "patient/Observation.c?category=http://terminology.hl7.org/CodeSystem/observation-category|vital-signs"
    app = await api.app_of("p1", scope)

    vital = await app.post("/api/v1/patients/p1/vitals", json={"heart_rate": 60})
    answer = await app.post("/api/v1/patients/p1/vitals", json={"nicotine_exposure": "never"})

    assert (vital.status_code, answer.status_code) == (201, 404)


@pytest.mark.both_stores
async def test_readings_keep_their_digits_and_come_back_as_observations(api):
    app = await api.app_of()
    body = b'{"weight": 80.50, "blood_pressure": {"systolic": 120, "diastolic": 80}, "effective": "2026-08-09"}'

    written = await app.post("/api/v1/patients/p1/vitals", content=body)

    assert written.status_code == 201
    weight, pressure = written.json()["observations"]
    assert '"value":80.50' in (await app.get(f"/fhir/{weight}")).text
    assert (await app.get(f"/fhir/{pressure}")).json()["component"][0]["valueQuantity"]["value"] == 120


async def test_who_looked_at_a_connection_is_in_the_record(api):
    app = await api.app_of()
    connection = await api.connected(app)

    one = await app.get(f"{CONNECTIONS}/{connection}")
    all_of_them = await app.get(CONNECTIONS)

    for answer in (one, all_of_them):
        lines = await api.rows(AuditLine, ("request_id", "=", answer.headers["x-request-id"]))
        assert [(line.action, line.outcome, line.patient) for line in lines] == [("read", "success", "p1")]
        assert lines[0].entity.startswith("Consent/")
