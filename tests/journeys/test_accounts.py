"""Accounts over REST: who may keep them, and that an account and its person are made together or not at all."""

import asyncio
import threading
from contextlib import suppress

import httpx
import pytest

from fhir_facade.flows.accounts import NewAccount, add_account
from fhir_facade.rows.accounts import Account
from fhir_facade.rows.audit import AuditLine
from tests.facade import embedded_facade, facade_env, served
from tests.forms import follow, form_of, sign_in, submit
from tests.patience import PATIENCE_S

PASSWORD = "correct horse battery"
ANN = {"name": [{"text": "Ann Example"}], "birthDate": "1980-05-17"}
ACCOUNTS = "/api/v1/accounts"


@pytest.fixture
async def admin(facade):
    """Somebody who keeps accounts, with a token of the command line."""
    await add_account(facade.ports, NewAccount("root", "admin", PASSWORD))
    async with await facade.client("user/*.cruds", username="root") as client:
        yield client


def asked(username="ann", **changes):
    return {"username": username, "password": PASSWORD, "role": "patient", "person": ANN} | changes


async def accounts(facade, **where):
    conditions = [(name, "=", value) for name, value in where.items()]
    return await facade.ports.state.read(lambda tx: tx.find(Account, *conditions))


async def patients(client):
    return (await client.get("/fhir/Patient?_summary=count")).json()["total"]


# --- who may --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("role", "scope"), [("patient", "patient/*.cruds"), ("practitioner", "user/*.cruds"), ("backend", "system/*.cruds")]
)
async def test_only_administrators_keep_accounts(facade, role, scope):
    context = {}
    if role != "backend":
        person = {"patient_id": "p1"} if role == "patient" else {"practitioner_id": "d1"}
        await add_account(facade.ports, NewAccount("somebody", role, PASSWORD, **person))
        context = {"username": "somebody"}
    async with await facade.client(scope, **context) as client:
        for method, path in (("GET", ""), ("POST", ""), ("GET", "/x"), ("PATCH", "/x"), ("DELETE", "/x")):
            body = {"json": asked() if method == "POST" else {}} if method in ("POST", "PATCH") else {}
            assert (await client.request(method, ACCOUNTS + path, **body)).status_code == 403
        for act in ("password-link", "sign-out"):
            assert (await client.post(f"{ACCOUNTS}/x/{act}")).status_code == 403


async def test_nobody_without_a_token(facade):
    async with facade.anonymous as client:
        assert (await client.get(ACCOUNTS)).status_code == 401
        assert (await client.get("/api/v1/me")).status_code == 401


# --- made together --------------------------------------------------------------------------------------------


@pytest.mark.both_stores
async def test_an_account_and_its_person_are_made_together(facade, client, admin):
    answer = await admin.post(ACCOUNTS, json=asked())
    assert answer.status_code == 201, answer.text
    made = answer.json()
    assert answer.headers["location"] == f"{ACCOUNTS}/{made['id']}"
    assert (await client.get(f"/fhir/{made['fhirUser']}")).json()["name"] == ANN["name"]
    (row,) = await accounts(facade, username="ann")
    assert f"Patient/{row.patient_id}" == made["fhirUser"]
    lines = await facade.ports.state.read(lambda tx: tx.find(AuditLine, ("user", "=", row.id)))
    assert [(line.action, line.actor, line.detail) for line in lines] == [("admin", "root", "account added")]


@pytest.mark.both_stores
async def test_a_person_that_is_refused_leaves_no_account(facade, client, admin):
    before = await patients(client)
    answer = await admin.post(ACCOUNTS, json=asked(person={"gender": "no such code"}))
    assert answer.status_code == 422
    assert await accounts(facade, username="ann") == []
    assert await patients(client) == before


@pytest.mark.both_stores
async def test_of_racers_for_a_name_one_gets_it_and_the_others_leave_no_person(facade, client, admin):
    before = await patients(client)
    spellings = ("Ann", "ann", "ANN", "aNN")
    answers = await asyncio.gather(*(admin.post(ACCOUNTS, json=asked(name)) for name in spellings))
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409]
    assert await patients(client) == before + 1
    assert len(await accounts(facade, username_key="ann")) == 1


def test_a_killed_server_leaves_no_account_without_its_person_and_no_person_without_an_account(tmp_path):
    env = facade_env(tmp_path)
    with served(env, tmp_path / "log.txt") as server:
        server.command("user", "add", "--username", "root", "--role", "admin", "--password-stdin", stdin=PASSWORD)
        headers = {"authorization": f"Bearer {server.token('user/*.cruds', '--user', 'root')}"}
        begun, answered = threading.Event(), []

        def work(number):
            with (
                httpx.Client(base_url=server.url, headers=headers, timeout=PATIENCE_S) as client,
                suppress(httpx.TransportError),
            ):
                for count in range(200):
                    answered.append(client.post(ACCOUNTS, json=asked(f"u{number}-{count}")).status_code)
                    begun.set()

        threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        assert begun.wait(PATIENCE_S)
        while len(answered) < 6:
            threads[0].join(0.01)
        server.kill()
        for thread in threads:
            thread.join()

    async def left():
        async with embedded_facade(tmp_path) as facade, await facade.client() as client:
            bundle = (await client.get("/fhir/Patient?_count=1000")).json()
            rows = await accounts(facade, role="patient")
            return {entry["resource"]["id"] for entry in bundle["entry"]}, {row.patient_id for row in rows}

    people, named = asyncio.run(left())
    assert people == named
    assert len(named) >= len(answered)
    assert set(answered) == {201}


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"person": None}, id="a patient without person"),
        pytest.param({"person": None, "patient": "nobody"}, id="a patient who is not there"),
        pytest.param({"person": ANN | {"id": "x"}}, id="a person with an id"),
        pytest.param({"person": ANN | {"resourceType": "Practitioner"}}, id="a person of another type"),
        pytest.param({"patient": "p1"}, id="a person and the name of one"),
        pytest.param({"role": "admin"}, id="an administrator with a person"),
        pytest.param({"role": "staff", "person": None, "organization": "nowhere"}, id="staff of nowhere"),
        pytest.param({"password": "short"}, id="a short password"),
        pytest.param({"username": "a b"}, id="a name with a space"),
        pytest.param({"zone": "Europe/Nowhere"}, id="an unknown zone"),
    ],
)
async def test_an_account_that_cannot_be_meant_is_refused(facade, client, admin, changes):
    answer = await admin.post(ACCOUNTS, json=asked() | changes)
    assert answer.status_code == 400, answer.text
    assert PASSWORD not in answer.text
    assert len(await accounts(facade)) == 1  # the administrator
    assert await patients(client) == 0


async def test_an_account_can_name_a_person_who_is_there(facade, client, admin):
    there = {"resourceType": "RelatedPerson", "id": "r1", "patient": {"reference": "Patient/p1"}}
    await client.put("/fhir/Patient/p1", json={"resourceType": "Patient", "id": "p1"})
    await client.put("/fhir/RelatedPerson/r1", json=there)
    body = {"username": "mum", "password": PASSWORD, "role": "proxy", "related_person": "r1"}
    assert (await admin.post(ACCOUNTS, json=body)).json()["fhirUser"] == "RelatedPerson/r1"


# --- kept -----------------------------------------------------------------------------------------------------


async def test_accounts_are_listed_by_name_page_by_page(facade, admin):
    for name in ("dora", "bert", "carl"):
        await add_account(facade.ports, NewAccount(name, "patient", PASSWORD, patient_id=name))
    first = (await admin.get(ACCOUNTS, params={"limit": 3})).json()
    rest = (await admin.get(ACCOUNTS, params={"limit": 3, "after": first["next"]})).json()
    assert [one["username"] for one in first["accounts"] + rest["accounts"]] == ["bert", "carl", "dora", "root"]
    assert rest["next"] is None
    only = (await admin.get(ACCOUNTS, params={"role": "admin"})).json()
    assert [one["username"] for one in only["accounts"]] == ["root"]
    assert "password" not in str(first)


async def test_a_deactivated_account_is_out_at_once_and_comes_back_when_enabled(facade, admin):
    ann = await add_account(facade.ports, NewAccount("ann", "patient", PASSWORD, patient_id="p1"))
    async with facade.anonymous as browser:
        await follow(browser, await sign_in(browser, await browser.get("/login"), "ann", PASSWORD))
        assert (await browser.get("/api/v1/me")).json()["username"] == "ann"
        answer = await admin.delete(f"{ACCOUNTS}/{ann.id}")
        assert (answer.status_code, answer.json()["disabled"]) == (200, True)
        assert (await browser.get("/api/v1/me")).status_code == 401
        assert (await sign_in(browser, await browser.get("/login"), "ann", PASSWORD)).status_code == 401
        assert (await admin.patch(f"{ACCOUNTS}/{ann.id}", json={"disabled": False})).status_code == 200
        assert (await sign_in(browser, await browser.get("/login"), "ann", PASSWORD)).status_code == 303


async def test_nobody_disables_the_own_account(facade, admin):
    own = (await admin.get("/api/v1/me")).json()["id"]
    assert (await admin.delete(f"{ACCOUNTS}/{own}")).status_code == 400
    assert (await admin.patch(f"{ACCOUNTS}/{own}", json={"disabled": True})).status_code == 400
    assert (await admin.patch(f"{ACCOUNTS}/{own}", json={"zone": "Europe/Berlin"})).status_code == 200


async def test_what_is_not_there_is_not_found(admin):
    assert (await admin.get(f"{ACCOUNTS}/nobody")).status_code == 404
    assert (await admin.patch(f"{ACCOUNTS}/nobody", json={"zone": "Europe/Berlin"})).status_code == 404
    assert (await admin.delete(f"{ACCOUNTS}/nobody")).status_code == 404


# --- me -------------------------------------------------------------------------------------------------------


async def test_a_new_password_needs_the_old_one_and_ends_the_other_sessions(facade):
    await add_account(facade.ports, NewAccount("ann", "patient", PASSWORD, patient_id="p1"))
    async with facade.anonymous as here, facade.anonymous as there:
        page = await follow(
            here, await sign_in(here, await here.get("/login", params={"next": "/apps"}), "ann", PASSWORD)
        )
        await follow(there, await sign_in(there, await there.get("/login"), "ann", PASSWORD))
        headers = {"x-csrf-token": form_of(page, "/logout").fields()["csrf"][0]}
        new = {"password": "another long password"}
        for wrong in ({}, {"current_password": "wrong password"}):
            assert (await here.patch("/api/v1/me", json=new | wrong, headers=headers)).status_code == 403
        answer = await here.patch("/api/v1/me", json=new | {"current_password": PASSWORD}, headers=headers)
        assert answer.status_code == 200
        assert (await here.get("/api/v1/me")).status_code == 200
        assert (await there.get("/api/v1/me")).status_code == 401


@pytest.mark.parametrize("keep_apps", [None, False, True])
async def test_apps_stay_at_a_new_password_where_the_person_says_so(facade, keep_apps):
    await add_account(facade.ports, NewAccount("ann", "patient", PASSWORD, patient_id="p1"))
    app = await facade.client("patient/*.rs", username="ann")
    async with facade.anonymous as here:
        page = await follow(
            here, await sign_in(here, await here.get("/login", params={"next": "/apps"}), "ann", PASSWORD)
        )
        headers = {"x-csrf-token": form_of(page, "/logout").fields()["csrf"][0]}
        new = {"password": "another long password", "current_password": PASSWORD}
        said = {} if keep_apps is None else {"keep_apps": keep_apps}

        assert (await here.patch("/api/v1/me", json=new | said, headers=headers)).status_code == 200

    assert (await app.get("/fhir/Patient/p1")).status_code == (404 if keep_apps else 401)


@pytest.mark.both_stores
@pytest.mark.parametrize("said", [None, {}, {"keep_apps": False}, {"keep_apps": True}], ids=str)
async def test_whoever_is_signed_out_everywhere_has_no_app_left_unless_that_is_said(facade, admin, said):
    ann = await add_account(facade.ports, NewAccount("ann", "patient", PASSWORD, patient_id="p1"))
    app, other = [await facade.client("patient/*.rs", username=name) for name in ("ann", "root")]
    async with facade.anonymous as browser:
        await follow(browser, await sign_in(browser, await browser.get("/login?next=/apps"), "ann", PASSWORD))

        ended = await admin.post(f"{ACCOUNTS}/{ann.id}/sign-out", json=said)

        assert (await browser.get("/api/v1/me")).status_code == 401
    stays = bool(said and said["keep_apps"])
    assert ended.json() == {"sessions": 1, "permissions": 0 if stays else 1}
    assert (await app.get("/fhir/Patient/p1")).status_code == (404 if stays else 401)
    assert (await other.get("/fhir/Patient/p1")).status_code != 401
    lines = await facade.ports.state.read(
        lambda tx: tx.find(AuditLine, ("user", "=", ann.id), ("action", "=", "admin"), order=("id",))
    )
    assert lines[-1].detail == f"signed out: 1 sessions, {0 if stays else 1} permissions of apps ended"


async def test_signing_out_somebody_who_is_not_there_or_by_words_that_are_not_known_does_nothing(facade, admin):
    ann = await add_account(facade.ports, NewAccount("ann", "patient", PASSWORD, patient_id="p1"))
    app = await facade.client("patient/*.rs", username="ann")

    assert (await admin.post(f"{ACCOUNTS}/nobody/sign-out")).status_code == 404
    assert (await admin.post(f"{ACCOUNTS}/{ann.id}/sign-out", json={"keepApps": True})).status_code == 400
    assert (await app.get("/fhir/Patient/p1")).status_code == 404


async def test_the_password_is_changed_on_a_page_too_and_guesses_are_slowed(facade):
    await add_account(facade.ports, NewAccount("ann", "patient", PASSWORD, patient_id="p1"))
    async with facade.anonymous as browser:
        login = await browser.get("/login", params={"next": "/sign-ins"})
        page = await follow(browser, await sign_in(browser, login, "ann", PASSWORD))
        new = "another long password"
        for current, given, status in (("wrong password", new, 403), (PASSWORD, "short", 400), (PASSWORD, new, 303)):
            answer = await submit(browser, page, "/sign-ins/password", current=current, new=given)
            assert answer.status_code == status
        assert "apps have to ask you again" in (await follow(browser, answer)).text
        answer = await submit(browser, page, "/sign-ins/password", current=new, new=PASSWORD, keep_apps="yes")
        assert "apps" not in (await follow(browser, answer)).text.partition("The password is changed.")[2][:60]
        answer = await submit(browser, page, "/sign-ins/password", current=PASSWORD, new=new)
        for _ in range(6):
            answer = await submit(browser, page, "/sign-ins/password", current="wrong password", new=PASSWORD)
        assert "tried too often" in answer.text
        assert (await sign_in(browser, await facade.anonymous.get("/login"), "ann", new)).status_code in (403, 429)


async def test_a_person_changes_the_own_zone(facade):
    await add_account(facade.ports, NewAccount("ann", "patient", PASSWORD, patient_id="p1"))
    async with await facade.client("patient/*.rs", username="ann") as client:
        assert (await client.patch("/api/v1/me", json={"zone": "Europe/Berlin"})).json()["zone"] == "Europe/Berlin"
        assert (await client.patch("/api/v1/me", json={"zone": "x"})).status_code == 400
        assert (await client.patch("/api/v1/me", json={"role": "admin"})).status_code == 400


async def test_a_token_of_nobody_has_no_account(client):
    assert (await client.get("/api/v1/me")).status_code == 401


# --- patients who make accounts for themselves ----------------------------------------------------------------


def sign_up(**changes):
    return {"username": "eve", "password": PASSWORD, "patient": ANN} | changes


async def test_nobody_signs_up_where_it_is_not_offered(facade):
    async with facade.anonymous as client:
        assert (await client.post(f"{ACCOUNTS}/register", json=sign_up())).status_code == 403
    assert await accounts(facade) == []


async def test_a_patient_signs_up_and_sees_the_own_record(tmp_path):
    async with embedded_facade(tmp_path, self_registration=True) as facade, facade.anonymous as client:
        made = await client.post(f"{ACCOUNTS}/register", json=sign_up())
        assert made.status_code == 201
        assert made.json()["role"] == "patient"
        page = await follow(client, await sign_in(client, await client.get("/login"), "eve", PASSWORD))
        assert "Ann Example" in page.text


@pytest.mark.parametrize("name", ["generalPractitioner", "identifier", "link", "managingOrganization", "id", "meta"])
async def test_a_patient_who_signs_up_says_nothing_that_others_have_to(tmp_path, name):
    async with embedded_facade(tmp_path, self_registration=True) as facade, facade.anonymous as client:
        answer = await client.post(f"{ACCOUNTS}/register", json=sign_up(patient=ANN | {name: []}))
        assert (answer.status_code, await accounts(facade)) == (400, [])


async def test_one_address_does_not_sign_up_by_the_hundred(tmp_path):
    async with embedded_facade(tmp_path, self_registration=True) as facade, facade.anonymous as client:
        many = [client.post(f"{ACCOUNTS}/register", json=sign_up(username="no such name")) for _ in range(64)]
        assert {answer.status_code for answer in await asyncio.gather(*many)} == {400, 429}


# --- who looked -------------------------------------------------------------------------------------------------


async def test_an_administrator_who_looks_at_accounts_and_apps_is_in_the_audit(facade, admin):
    (root,) = await accounts(facade, username="root")
    await admin.get(ACCOUNTS, headers={"X-Request-ID": "looking"})
    await admin.get(f"{ACCOUNTS}/{root.id}", headers={"X-Request-ID": "looking"})
    async with facade.anonymous as browser:
        browser.headers["Accept"] = "text/html"
        await sign_in(browser, await browser.get("/login"), "root", PASSWORD)
        for path in ("/admin/accounts", f"/admin/accounts/{root.id}", "/admin/apps"):
            assert (await browser.get(path)).status_code == 200

    lines = await facade.ports.state.read(lambda tx: tx.find(AuditLine, ("user", "=", root.id), order=("id",)))
    looked = [line for line in lines if line.action == "admin" and line.detail != "account added"]
    shown = ("account shown", f"account/{root.id}")
    assert [(line.detail, line.entity) for line in looked] == [
        ("accounts listed", None), shown, ("accounts listed", None), shown, ("clients listed", None),
    ]  # fmt: skip
    assert {line.request_id for line in looked[:2]} == {"looking"}


# --- notices, and links to choose a password --------------------------------------------------------------------


async def test_where_notices_go_is_said_with_the_password_or_by_an_administrator(facade, client, admin):
    made = (await admin.post(ACCOUNTS, json=asked(email="ann@home.example", language="de"))).json()
    assert (made["email"], made["language"]) == ("ann@home.example", "de")
    changed = (await admin.patch(f"{ACCOUNTS}/{made['id']}", json={"email": "", "language": "en"})).json()
    assert (changed["email"], changed["language"]) == (None, "en")
    assert (await admin.patch(f"{ACCOUNTS}/{made['id']}", json={"email": "nowhere"})).status_code == 400
    async with await facade.client("patient/*.cruds", username="ann") as ann:
        wrong = {"email": "new@home.example", "current_password": "wrong guess"}
        assert (await ann.patch("/api/v1/me", json=wrong)).status_code == 403
        right = await ann.patch("/api/v1/me", json=wrong | {"current_password": PASSWORD})
        assert right.json()["email"] == "new@home.example"


async def test_a_link_to_choose_a_password_is_for_administrators_to_make(facade, client, admin):
    made = (await admin.post(ACCOUNTS, json=asked())).json()
    async with await facade.client("patient/*.cruds", username="ann") as ann:
        assert (await ann.post(f"{ACCOUNTS}/{made['id']}/password-link")).status_code == 403
    assert (await admin.post(f"{ACCOUNTS}/nobody/password-link")).status_code == 404
    answer = await admin.post(f"{ACCOUNTS}/{made['id']}/password-link")
    assert answer.status_code == 201
    assert answer.headers["cache-control"] == "no-store"
    async with facade.anonymous as browser:
        assert "Choose a password" in (await browser.get(answer.json()["url"])).text
