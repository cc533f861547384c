"""Administrators look after the apps on a page: check, disable, and let others register some."""

import re

import pytest

from fhir_facade.flows.accounts import NewAccount, add_account
from fhir_facade.flows.launch.clients import NewClient, add_client
from fhir_facade.rows.audit import AuditLine
from fhir_facade.rows.oauth import Client
from tests.forms import FormReader, follow, form_of, sign_in, submit

PASSWORD = "correct horse battery"
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
        for path in (
            "/admin/apps/app/disable",
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

    page = await root.get("/admin/apps")
    assert "not checked" in page.text
    page = await follow(root, await submit(root, page, f"/admin/apps/{client_id}/verify"))
    assert "not checked" not in page.text
    page = await follow(root, await submit(root, page, f"/admin/apps/{client_id}/disable"))
    assert f"/admin/apps/{client_id}/" not in page.text
    lines = await facade.ports.state.read(lambda tx: tx.find(AuditLine, ("client", "=", client_id)))
    assert [(line.actor, line.detail) for line in lines][1:] == [
        ("root", "client verified"),
        ("root", "client disabled"),
    ]


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
    for path in ("/admin/apps/nobody/disable", "/admin/apps/nobody/verify", "/admin/invitations/none/withdraw"):
        assert (await root.post(path, data={"csrf": csrf})).status_code == 404
