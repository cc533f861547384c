"""Administrators keep accounts on pages: find, make, help back in, sign out, disable; and never see a chart."""

import re
from datetime import UTC, datetime
from urllib.parse import urlsplit

import pytest

from fhir_facade.flows.accounts import NewAccount, add_account
from fhir_facade.rows.accounts import Account, Session
from fhir_facade.rows.audit import AuditLine
from tests.forms import follow, form_of, sign_in, submit

PASSWORD = "correct horse battery"
LINK = re.compile(r"<code>(http[^<]+/new-password\?link=ffp_[^<]+)</code>")
DOCTOR = {"resourceType": "Practitioner", "id": "d1"}


@pytest.fixture
async def root(facade):
    await add_account(facade.ports, NewAccount("root", "admin", PASSWORD))
    async with facade.anonymous as browser:
        await follow(browser, await sign_in(browser, await browser.get("/login"), "root", PASSWORD))
        yield browser


async def account(facade, name):
    (row,) = await facade.ports.state.read(lambda tx: tx.find(Account, ("username_key", "=", name)))
    return row


async def make(root, role, **asked):
    page = await root.get(f"/admin/new-account?role={role}")
    return await submit(root, page, "/admin/accounts", **asked)


async def test_only_administrators_keep_accounts(facade):
    ann = await add_account(facade.ports, NewAccount("ann", "patient", PASSWORD, patient_id="p1"))
    async with facade.anonymous as browser:
        page = await follow(browser, await sign_in(browser, await browser.get("/login?next=/apps"), "ann", PASSWORD))
        csrf = form_of(page, "/logout").fields()["csrf"]
        for path in ("/admin/accounts", "/admin/new-account", f"/admin/accounts/{ann.id}"):
            assert (await browser.get(path)).status_code == 403
        for act in ("", "/disable", "/enable", "/sign-out", "/password-link"):
            assert (await browser.post(f"/admin/accounts/{ann.id}{act}", data={"csrf": csrf})).status_code == 403
        assert (await browser.post("/admin/accounts", data={"csrf": csrf, "role": "admin"})).status_code == 403
    assert await account(facade, "ann") == ann


@pytest.mark.both_stores
async def test_a_patient_is_made_with_an_account_and_chooses_the_password_alone(facade, client, root):
    await client.put("/fhir/Practitioner/d1", json=DOCTOR)
    asked = {"username": "ann", "given": "Ann Marie", "family": "Example", "born": "1980-05-17", "doctor": "d1"}
    page = await make(root, "patient", email="ann@home.example", **asked)
    assert page.status_code == 201, page.text
    row = await account(facade, "ann")
    person = (await client.get(f"/fhir/Patient/{row.patient_id}")).json()
    assert person["name"] == [{"family": "Example", "given": ["Ann", "Marie"]}]
    assert person["birthDate"] == "1980-05-17"
    assert person["generalPractitioner"] == [{"reference": "Practitioner/d1"}]
    assert row.email == "ann@home.example"

    (link,) = LINK.findall(page.text)
    assert not LINK.findall((await root.get(f"/admin/accounts/{row.id}")).text)
    where = urlsplit(link)
    async with facade.anonymous as browser:
        form = await browser.get(f"{where.path}?{where.query}")
        assert "ann" in form.text
        chosen = {"new": "a password of mine", "again": "a password of mine"}
        gone = await submit(browser, form, "/new-password", **chosen)
        login = await follow(browser, gone)
        home = await follow(browser, await sign_in(browser, login, "ann", "a password of mine"))
        assert "Ann Marie Example" in home.text
        again = await browser.get(f"{where.path}?{where.query}")
        assert again.status_code == 410
        assert "works no more" in again.text
    lines = await facade.ports.state.read(
        lambda tx: tx.find(AuditLine, ("user", "=", row.id), ("action", "=", "admin"))
    )
    assert [(line.actor, line.detail) for line in lines] == [
        ("root", "account added"),
        ("root", "link to choose a password made"),
        ("person", "account changed: password, with a link"),
    ]


async def test_every_role_can_be_made_with_what_it_needs(facade, client, root):
    for resource in (
        {"resourceType": "Patient", "id": "p1"},
        {"resourceType": "Patient", "id": "p2"},
        {"resourceType": "Organization", "id": "o1", "name": "Clinic"},
    ):
        await client.put(f"/fhir/{resource['resourceType']}/{resource['id']}", json=resource)
    made = {
        "bo": await make(root, "practitioner", username="bo", family="Berg"),
        "eve": await make(root, "proxy", username="eve", given="Eve", patient="p1"),
        "sue": await make(root, "staff", username="sue", organization="o1"),
        "top": await make(root, "admin", username="top"),
        "old": await make(root, "patient", username="old", existing="p2"),
    }
    assert {name: page.status_code for name, page in made.items()} == dict.fromkeys(made, 201)
    related = (await client.get(f"/fhir/RelatedPerson/{(await account(facade, 'eve')).related_person_id}")).json()
    assert related["patient"] == {"reference": "Patient/p1"}
    assert (await account(facade, "sue")).organization_id == "o1"
    assert (await account(facade, "old")).patient_id == "p2"
    assert "Practitioner/" in made["bo"].text


@pytest.mark.parametrize(
    ("role", "asked"),
    [
        ("patient", {"username": "x"}),
        ("patient", {"username": "two words", "family": "X"}),
        ("patient", {"username": "x", "family": "X", "born": "yesterday"}),
        ("patient", {"username": "x", "existing": "nobody"}),
        ("patient", {"username": "root", "family": "X"}),
        ("patient", {"username": "x", "family": "X", "email": "nowhere"}),
        ("patient", {"username": "x", "family": "X", "zone": "Nowhere/City"}),
        ("proxy", {"username": "x", "family": "X", "patient": "nobody"}),
        ("staff", {"username": "x", "organization": ""}),
    ],
)
async def test_what_cannot_be_meant_makes_nothing_and_keeps_what_was_typed(facade, client, root, role, asked):
    page = await make(root, role, **asked)
    assert page.status_code in (400, 409, 422)
    assert 'role="alert"' in page.text
    assert f'value="{asked["username"]}"' in page.text
    rows = await facade.ports.state.read(lambda tx: tx.find(Account))
    assert [row.username for row in rows] == ["root"]
    assert (await client.get("/fhir/Patient?_summary=count")).json()["total"] == 0


async def test_accounts_are_found_by_the_beginning_of_a_name_by_role_and_by_record(facade, root):
    for number in range(30):
        await facade.ports.state.append([row_of(f"patient-{number:02}", patient_id=f"p{number}")])
    await facade.ports.state.append([row_of("Zoe", role="practitioner", practitioner_id="d9")])

    def names(page):
        return re.findall(r"<strong>([^<]+)</strong>\s*<small>", page.text)

    first = await root.get("/admin/accounts")
    assert names(first)[0] == "patient-00"
    (more,) = re.findall(r'href="(/admin/accounts\?[^"]*after=[^"]+)"', first.text)
    second = await root.get(more.replace("&amp;", "&"))
    assert names(second) == ["patient-25", "patient-26", "patient-27", "patient-28", "patient-29", "root", "Zoe"]
    assert names(await root.get("/admin/accounts?text=PATIENT-1")) == [f"patient-1{each}" for each in range(10)]
    assert names(await root.get("/admin/accounts?text=p7")) == ["patient-07"]
    assert names(await root.get("/admin/accounts?role=practitioner")) == ["Zoe"]
    assert "No account fits" in (await root.get("/admin/accounts?text=p7&role=admin")).text


def row_of(name, *, role="patient", **person):
    at = datetime(2026, 1, 1, tzinfo=UTC)
    key = name.casefold()
    return Account(id=key, username=name, username_key=key, role=role, password_hash="", created_at=at, **person)


async def test_an_account_is_signed_out_disabled_and_enabled_again(facade, root):
    ann = await add_account(facade.ports, NewAccount("ann", "patient", PASSWORD, patient_id="p1"))
    async with facade.anonymous as browser:
        await sign_in(browser, await browser.get("/login"), "ann", "wrong guess")
        await sign_in(browser, await browser.get("/login"), "ann", PASSWORD)
        path = f"/admin/accounts/{ann.id}"
        page = await root.get(path)
        assert "Refused" in page.text
        assert "Signed in" in page.text
        first, second = [await facade.client("patient/*.rs", username="ann") for _ in range(2)]
        page = await follow(root, await submit(root, page, f"{path}/sign-out", keep_apps="yes"))
        assert "Apps go on" in page.text
        assert "Not signed in anywhere" in page.text
        assert (await first.get("/fhir/Patient/p1")).status_code == 404
        page = await follow(root, await submit(root, page, f"{path}/sign-out"))
        assert "apps have to ask again" in page.text
        assert (await second.get("/fhir/Patient/p1")).status_code == 401
        assert not await facade.ports.state.read(lambda tx: tx.count(Session, ("account_id", "=", ann.id)))

        page = await follow(root, await submit(root, page, f"{path}/disable"))
        csrf = form_of(page, "/logout").fields()["csrf"]
        assert (await root.post(f"{path}/password-link", data={"csrf": csrf})).status_code == 409
        refused = await sign_in(browser, await browser.get("/login"), "ann", PASSWORD)
        assert refused.status_code == 401
        await follow(root, await submit(root, page, f"{path}/enable"))
        assert (await sign_in(browser, await browser.get("/login"), "ann", PASSWORD)).status_code == 303


async def test_nobody_disables_the_own_account(facade, root):
    path = f"/admin/accounts/{(await account(facade, 'root')).id}"
    page = await root.get(path)
    assert "This is your own account" in page.text
    csrf = form_of(page, "/logout").fields()["csrf"]
    assert (await root.post(f"{path}/disable", data={"csrf": csrf})).status_code == 400
    assert not (await account(facade, "root")).disabled


async def test_the_address_of_an_account_is_changed_on_its_page(facade, root):
    path = f"/admin/accounts/{(await account(facade, 'root')).id}"
    page = await root.get(path)
    wrong = await submit(root, page, path, email="nowhere", zone="Europe/Berlin")
    assert wrong.status_code == 400
    assert 'value="nowhere"' in wrong.text
    await submit(root, page, path, email="root@home.example", zone="Europe/Berlin")
    row = await account(facade, "root")
    assert (row.email, row.zone) == ("root@home.example", "Europe/Berlin")


async def test_an_account_that_is_not_there_is_a_page_that_says_so(root):
    assert (await root.get("/admin/accounts/nobody")).status_code == 404


@pytest.mark.parametrize(
    ("typed", "said"),
    [({"new": "short", "again": "short"}, "at least 8"), ({"new": "long enough", "again": "another one"}, "differ")],
)
async def test_a_password_that_cannot_be_meant_leaves_the_link_working(facade, root, typed, said):
    row = await account(facade, "root")
    page = await submit(root, await root.get(f"/admin/accounts/{row.id}"), f"/admin/accounts/{row.id}/password-link")
    where = urlsplit(LINK.findall(page.text)[0])
    form = await root.get(f"{where.path}?{where.query}")
    wrong = await submit(root, form, "/new-password", **typed)
    assert wrong.status_code == 400
    assert said in wrong.text
    right = await submit(root, wrong, "/new-password", new="a password of mine", again="a password of mine")
    assert right.status_code == 303
