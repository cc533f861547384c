"""N4, N6 and G: what people see and withdraw, parts of data they allow, and the scopes that come of it."""

import asyncio

import httpx
import pytest

from tests.conformance.smart.conftest import CATEGORIES, PASSWORD
from tests.conformance.smart.test_standalone_launch import tokens
from tests.forms import FormReader, follow, sign_in
from tests.patience import PATIENCE_S

VITAL, LABORATORY = (f"patient/Observation.rs?category={CATEGORIES}|{code}" for code in ("vital-signs", "laboratory"))


async def my_apps(kit, browser, username="ann"):
    page = await browser.get("/login", params={"next": "/apps"})
    return await follow(browser, await sign_in(browser, page, username, PASSWORD))


async def withdraw_all(browser, page):
    for form in FormReader(page.text).forms:
        if form.action.endswith("/withdraw"):
            assert (await browser.post(form.action, data=form.fields())).status_code == 303


# --- N4: the person withdraws ---------------------------------------------------------------------------------


async def test_n4_an_app_that_was_withdrawn_reads_and_refreshes_nothing(kit):
    body = await tokens(kit)
    async with kit.client() as browser:
        page = await my_apps(kit, browser)
        assert "all health data in your record" in page.text
        await withdraw_all(browser, page)
        assert "/withdraw" not in (await browser.get("/apps")).text
    assert await kit.refused("Patient/kit-ann", body["access_token"])
    refreshed = await kit.token({"grant_type": "refresh_token", "refresh_token": body["refresh_token"]})
    assert refreshed.status_code == 400


async def test_n4_page_links_end_with_the_permission(kit):
    body = await tokens(kit)
    bundle = (await kit.read("Observation?patient=kit-ann&_count=1", body["access_token"])).json()
    following = next(link["url"] for link in bundle["link"] if link["relation"] == "next")
    async with kit.client() as browser:
        await withdraw_all(browser, await my_apps(kit, browser))
    assert await kit.refused(following.removeprefix(f"{kit.fhir}/"), body["access_token"])


async def test_n4_live_streams_end_with_the_permission(kit):
    body = await tokens(kit)
    held = {"authorization": f"Bearer {body['access_token']}"}
    async with kit.client() as app, app.stream("GET", "/api/v1/alerts/stream", headers=held) as stream:
        assert stream.status_code == 200
        async with kit.client() as browser:
            await withdraw_all(browser, await my_apps(kit, browser))
        async with asyncio.timeout(PATIENCE_S):
            async for _ in stream.aiter_lines():
                pass


async def test_nobody_withdraws_for_somebody_else(kit):
    body = await tokens(kit)
    async with kit.client() as browser, kit.client() as other:
        form = next(f for f in FormReader((await my_apps(kit, browser)).text).forms if f.action.endswith("/withdraw"))
        logout = next(f for f in FormReader((await my_apps(kit, other, "bob")).text).forms if f.action == "/logout")
        answer = await other.post(form.action, data={"csrf": logout.fields()["csrf"]})
    assert answer.status_code == 404
    assert (await kit.read("Patient/kit-ann", body["access_token"])).status_code == 200


# --- N6 and G: parts of data ----------------------------------------------------------------------------------


async def test_n6_a_part_can_be_granted_instead_of_all(kit):
    asked = "patient/Observation.rs patient/Patient.rs"
    body = await tokens(kit, scope=asked, only=[VITAL])
    assert set(body["scope"].split()) == {VITAL, "patient/Patient.rs"}


async def test_n6_all_can_be_granted_as_well(kit):
    body = await tokens(kit, scope="patient/Observation.rs")
    assert body["scope"] == "patient/Observation.rs"


async def test_g1_granular_scopes_are_granted_as_they_were_asked(kit):
    body = await tokens(kit, scope=f"launch/patient {VITAL} {LABORATORY}")
    assert set(body["scope"].split()) == {"launch/patient", VITAL, LABORATORY}


async def test_g2_only_what_matches_can_be_read(kit):
    token = (await tokens(kit, scope=f"launch/patient {VITAL}"))["access_token"]
    assert (await kit.read("Observation/kit-pulse", token)).status_code == 200
    assert (await kit.read("Observation/kit-glucose", token)).status_code == 404


@pytest.mark.parametrize(
    ("scope", "ids"),
    [(VITAL, {"kit-pulse"}), (LABORATORY, {"kit-glucose"}), (f"{VITAL} {LABORATORY}", {"kit-pulse", "kit-glucose"})],
    ids=["vital signs", "laboratory", "both"],
)
@pytest.mark.parametrize("query", ["", "&category=vital-signs,laboratory", "&code=8867-4,2339-0"])
async def test_g3_searches_find_exactly_what_the_scopes_allow(kit, scope, ids, query):
    token = (await tokens(kit, scope=f"launch/patient {scope}"))["access_token"]
    bundle = (await kit.read(f"Observation?patient=kit-ann{query}", token)).json()
    assert {entry["resource"]["id"] for entry in bundle["entry"]} == ids


# --- sign-ins -------------------------------------------------------------------------------------------------


async def test_a_new_device_is_announced_on_the_others_until_somebody_knows_it(kit):
    agent = "Mozilla/5.0 (Windows NT 10.0) Gecko/20100101 Firefox/140.0"
    async with kit.client() as old, kit.client() as new:
        await my_apps(kit, old, "carl")
        new.headers["user-agent"] = agent
        assert "for the first time" not in (await my_apps(kit, new, "carl")).text
        page = await old.get("/sign-ins")
        assert "for the first time: Firefox, Windows" in page.text
        assert "for the first time" not in (await new.get("/sign-ins")).text
        known = next(form for form in FormReader(page.text).forms if form.action == "/sign-ins/known")
        assert (await old.post(known.action, data=known.fields())).status_code == 303
        assert "for the first time" not in (await old.get("/sign-ins")).text


async def test_another_session_can_be_signed_out(kit):
    async with kit.client() as here, kit.client() as there:
        await my_apps(kit, there, "dora")
        await my_apps(kit, here, "dora")
        page = await here.get("/sign-ins")
        form = next(form for form in FormReader(page.text).forms if form.action.endswith("/end"))
        assert (await here.post(form.action, data=form.fields())).status_code == 303
        assert (await there.get("/apps")).headers["location"].startswith("/login")
        assert (await here.get("/apps")).status_code == 200


async def test_a_session_of_somebody_else_cannot_be_signed_out(kit):
    async with kit.client() as ann, kit.client() as ann_too, kit.client() as bob:
        await my_apps(kit, ann)
        await my_apps(kit, ann_too)
        page = await ann.get("/sign-ins")
        form = next(form for form in FormReader(page.text).forms if form.action.endswith("/end"))
        logout = next(f for f in FormReader((await my_apps(kit, bob, "bob")).text).forms if f.action == "/logout")
        assert (await bob.post(form.action, data={"csrf": logout.fields()["csrf"]})).status_code == 404
        assert (await ann_too.get("/apps")).status_code == 200


def test_without_signing_in_there_is_no_page(kit):
    for path in ("/apps", "/sign-ins"):
        answer = httpx.get(kit.server.url + path, timeout=PATIENCE_S)
        assert answer.status_code == 303
        assert answer.headers["location"].startswith("/login")
