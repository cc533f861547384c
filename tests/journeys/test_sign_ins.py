"""The page of one's own sign-ins: devices, history, and where notices go."""

import re

import pytest

from fhir_facade.flows.accounts import NewAccount, add_account
from fhir_facade.rows.accounts import Account, KnownDevice
from tests.forms import FormReader, follow, sign_in, submit

PASSWORD = "correct horse battery"
FIREFOX = {"User-Agent": "Mozilla/5.0 (Windows NT 10.0) Gecko/20100101 Firefox/140.0"}


@pytest.fixture
async def ann(facade):
    await add_account(facade.ports, NewAccount("ann", "patient", PASSWORD, patient_id="p1"))
    async with facade.anonymous as browser:
        await sign_in(browser, await browser.get("/login"), "ann", PASSWORD)
        yield browser


async def row(facade):
    (found,) = await facade.ports.state.read(lambda tx: tx.find(Account))
    return found


@pytest.mark.parametrize(
    ("typed", "status", "said"),
    [
        ({"email": "ann@home.example", "current": "wrong guess"}, 403, "is wrong"),
        ({"email": "nowhere", "current": PASSWORD}, 400, "name@example.org"),
    ],
)
async def test_an_address_needs_the_password_and_a_shape(facade, ann, typed, status, said):
    page = await submit(ann, await ann.get("/sign-ins"), "/sign-ins/address", **typed)
    assert page.status_code == status
    assert said in page.text
    assert (await row(facade)).email is None


async def test_an_address_is_kept_with_the_language_of_the_page_and_taken_away_again(facade, ann):
    ann.headers["Accept-Language"] = "de"
    page = await ann.get("/sign-ins")
    await submit(ann, page, "/sign-ins/address", email="ann@home.example", current=PASSWORD)
    assert ((await row(facade)).email, (await row(facade)).language) == ("ann@home.example", "de")
    page = await follow(ann, await submit(ann, page, "/sign-ins/address", email="", current=PASSWORD))
    assert "keine Hinweise per E-Mail mehr" in page.text
    assert (await row(facade)).email is None


async def test_a_device_that_is_forgotten_is_signed_out_and_new_when_it_comes_back(facade, ann):
    async with facade.anonymous as other:
        other.headers.update(FIREFOX)
        await sign_in(other, await other.get("/login"), "ann", PASSWORD)
        page = await ann.get("/sign-ins")
        assert "Firefox, Windows" in page.text
        assert "New device" in page.text
        (forget,) = [form for form in FormReader(page.text).forms if form.action.endswith("/forget")]
        page = await follow(ann, await ann.post(forget.action, data=forget.fields()))
        assert "The device is forgotten" in page.text
        assert (await other.get("/sign-ins")).status_code == 303  # to the sign-in
        await sign_in(other, await other.get("/login"), "ann", PASSWORD)
    assert "for the first time: Firefox, Windows" in (await ann.get("/sign-ins")).text
    assert (await ann.post(forget.action, data=forget.fields())).status_code == 303
    assert (await ann.post(forget.action, data=forget.fields())).status_code == 404


async def test_a_device_of_somebody_else_cannot_be_forgotten(facade, ann):
    await add_account(facade.ports, NewAccount("carl", "patient", PASSWORD, patient_id="p2"))
    async with facade.anonymous as other:
        await sign_in(other, await other.get("/login"), "carl", PASSWORD)
    (device,) = await facade.ports.state.read(
        lambda tx: [each for each in tx.find(KnownDevice) if each.name == "" and each.account_id != _of(tx, "ann")]
    )
    csrf = re.search(r'name="csrf" value="([^"]+)"', (await ann.get("/sign-ins")).text)[1]
    answer = await ann.post(f"/sign-ins/devices/{device.hash}/forget", data={"csrf": csrf})
    assert answer.status_code == 404
    assert await facade.ports.state.read(lambda tx: tx.get(KnownDevice, device.account_id, device.hash)) == device


def _of(tx, name):
    (found,) = tx.find(Account, ("username_key", "=", name))
    return found.id
