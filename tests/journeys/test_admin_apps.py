"""Administrators look after the apps on a page: check, disable, and let others register some."""

import re

import pytest

from fhir_facade.flows.accounts import NewAccount, add_account
from fhir_facade.flows.launch.clients import NewClient, add_client, list_clients
from fhir_facade.flows.launch.opaque import same
from fhir_facade.rows.audit import AuditLine
from fhir_facade.rows.oauth import Client
from tests.forms import FormReader, follow, form_of, sign_in, submit

PASSWORD = "correct horse battery"
SECRET = re.compile(r"<code>(ffk_[^<]+)</code>")
REDIRECT = "https://app.example/callback"


@pytest.fixture
async def root(facade):
    await add_account(facade.ports, NewAccount("root", "admin", PASSWORD))
    async with facade.anonymous as browser:
        await follow(browser, await sign_in(browser, await browser.get("/login"), "root", PASSWORD))
        yield browser


async def test_only_administrators_see_it(facade):
    await add_account(facade.ports, NewAccount("ann", "patient", PASSWORD, patient_id="p1"))
    await add_client(facade.ports, NewClient("app", "public", "patient/*.rs", redirect_uris=(REDIRECT,)))
    async with facade.anonymous as browser:
        page = await follow(browser, await sign_in(browser, await browser.get("/login?next=/apps"), "ann", PASSWORD))
        csrf = form_of(page, "/logout").fields()["csrf"]
        assert (await browser.get("/admin/apps")).status_code == 403
        for path in ("/admin/apps", "/admin/apps/app", "/admin/new-app"):
            assert (await browser.get(path)).status_code == 403
        for path in (
            "/admin/apps",
            "/admin/apps/app",
            "/admin/apps/app/disable",
            "/admin/apps/app/enable",
            "/admin/apps/app/secret",
            "/admin/apps/app/verify",
            "/admin/invitations",
            "/admin/invitations/x/withdraw",
        ):
            assert (await browser.post(path, data={"csrf": csrf, "name": "x", "scope": "openid"})).status_code == 403
    assert not (await facade.ports.state.read(lambda tx: tx.get(Client, "app"))).disabled


async def test_an_app_registers_with_a_token_of_the_page_is_checked_and_disabled(facade, root):
    page = await root.get("/admin/apps")
    page = await submit(root, page, "/admin/invitations", name="Growth Ltd.")
    (token,) = re.findall(r"<code>(ffi_[^<]+)</code>", page.text)
    assert token not in (await root.get("/admin/apps")).text
    metadata = {"client_name": "Growth", "redirect_uris": [REDIRECT], "token_endpoint_auth_method": "none"}
    made = await root.post("/oauth/register", json=metadata, headers={"authorization": f"Bearer {token}"})
    client_id = made.json()["client_id"]

    assert "not checked" in (await root.get("/admin/apps")).text
    page = await root.get(f"/admin/apps/{client_id}")
    assert "Nobody has checked this app yet" in page.text
    page = await follow(root, await submit(root, page, f"/admin/apps/{client_id}/verify"))
    assert "Nobody has checked this app yet" not in page.text
    page = await follow(root, await submit(root, page, f"/admin/apps/{client_id}/disable"))
    page = await follow(root, await submit(root, page, f"/admin/apps/{client_id}/enable"))
    assert form_of(page, f"/admin/apps/{client_id}/disable")
    lines = await facade.ports.state.read(lambda tx: tx.find(AuditLine, ("client", "=", client_id)))
    assert [(line.actor, line.detail) for line in lines][1:] == [
        ("root", "client verified"),
        ("root", "client disabled"),
        ("root", "client enabled"),
    ]


async def test_an_app_is_registered_on_a_page_its_secret_shown_once_and_replaced_at_once(facade, root):
    new = await root.get("/admin/new-app?kind=confidential")
    asked = {"id": "growth", "name": "Growth", "redirects": f"{REDIRECT}\nhttps://app.example/other"}
    page = await submit(root, new, "/admin/apps", **asked)
    assert page.status_code == 201, page.text
    (first,) = SECRET.findall(page.text)
    assert not SECRET.findall((await root.get("/admin/apps/growth")).text)

    page = await submit(root, page, "/admin/apps/growth/secret")
    (second,) = SECRET.findall(page.text)
    row = await facade.ports.state.read(lambda tx: tx.get(Client, "growth"))
    assert row.redirect_uris == (REDIRECT, "https://app.example/other")
    assert (same(first, row.secret_hash), same(second, row.secret_hash)) == (False, True)


async def test_addresses_scopes_and_keys_of_an_app_are_changed_on_its_page(facade, root):
    keys = "https://app.example/keys.json"
    new = NewClient("app", "confidential", "patient/*.rs", redirect_uris=(REDIRECT,), jwks_uri=keys)
    await add_client(facade.ports, new)
    page = await root.get("/admin/apps/app")
    assert "See: all health data of this patient" in page.text
    changes = {"redirects": "https://app.example/new", "scope": "patient/Patient.rs", "jwks_uri": keys + "?v=2"}
    page = await follow(root, await submit(root, page, "/admin/apps/app", **changes))
    assert "The app is changed." in page.text
    row = await facade.ports.state.read(lambda tx: tx.get(Client, "app"))
    assert (row.redirect_uris, row.scope, row.jwks_uri) == (
        ("https://app.example/new",),
        "patient/Patient.rs",
        keys + "?v=2",
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"redirects": ""},
        {"redirects": "javascript:alert(1)"},
        {"scope": "nonsense"},
        {"jwks": '{"keys": []}'},
        {"id": "no spaces"},
        {"id": "app"},
    ],
)
async def test_a_registration_that_cannot_be_meant_keeps_what_was_typed(facade, root, changes):
    await add_client(facade.ports, NewClient("app", "public", "patient/*.rs", redirect_uris=(REDIRECT,)))
    asked = {"id": "growth", "name": "Growth & Co", "redirects": REDIRECT} | changes
    page = await submit(root, await root.get("/admin/new-app?kind=confidential"), "/admin/apps", **asked)
    assert page.status_code in (400, 409)
    assert 'role="alert"' in page.text
    assert "Growth &amp; Co" in page.text
    assert [row.id for row in await list_clients(facade.ports)] == ["app"]


async def test_a_change_that_cannot_be_meant_is_said_on_the_page(facade, root):
    await add_client(facade.ports, NewClient("app", "public", "patient/*.rs", redirect_uris=(REDIRECT,)))
    page = await submit(root, await root.get("/admin/apps/app"), "/admin/apps/app", scope="system/*.rs")
    assert page.status_code == 400
    assert 'role="alert"' in page.text
    assert "system/*.rs" in page.text


async def test_a_token_that_was_withdrawn_registers_nothing(root):
    page = await submit(root, await root.get("/admin/apps"), "/admin/invitations", name="Growth Ltd.")
    (token,) = re.findall(r"<code>(ffi_[^<]+)</code>", page.text)
    form = next(form for form in FormReader(page.text).forms if form.action.endswith("/withdraw"))
    assert (await root.post(form.action, data=form.fields())).status_code == 303
    made = await root.post("/oauth/register", json={}, headers={"authorization": f"Bearer {token}"})
    assert made.status_code == 401


@pytest.mark.parametrize("changes", [{"name": ""}, {"scope": "nonsense"}, {"scope": ""}, {"name": "x" * 101}])
async def test_what_cannot_be_meant_is_said_on_the_page(root, changes):
    page = await submit(root, await root.get("/admin/apps"), "/admin/invitations", **{"name": "x"} | changes)
    assert page.status_code == 400
    assert 'role="alert"' in page.text
    assert "ffi_" not in page.text


async def test_what_is_not_there_is_a_page_that_says_so(root):
    csrf = form_of(await root.get("/admin/apps"), "/logout").fields()["csrf"]
    assert (await root.get("/admin/apps/nobody")).status_code == 404
    acts = ("", "/disable", "/enable", "/secret", "/verify")
    for path in (*(f"/admin/apps/nobody{act}" for act in acts), "/admin/invitations/none/withdraw"):
        assert (await root.post(path, data={"csrf": csrf})).status_code == 404
