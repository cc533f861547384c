"""O: the id_token, its keys, and the person it names."""

import asyncio

import httpx
import pytest
from joserfc import jws, jwt
from joserfc.jwk import KeySet

from tests.conformance.smart.conftest import GOODBYE, ORIGIN, PASSWORD
from tests.forms import follow, sign_in, submit
from tests.patience import PATIENCE_S
from tests.sign_in_world import query_of


@pytest.fixture(params=["ann", "bob"])
async def signed_in(kit, request):
    picked = {"bob": "kit-carl"}.get(request.param)
    launched = await kit.launch(
        username=request.param, patient=picked, scope="launch/patient openid fhirUser patient/*.rs user/*.rs"
    )
    return launched, (await kit.redeem(launched)).json()


@pytest.fixture
def configuration(kit):
    answer = httpx.get(f"{kit.smart['issuer'].removesuffix('/')}/.well-known/openid-configuration", timeout=PATIENCE_S)
    assert answer.status_code == 200
    return answer.json()


def test_o2_o3_the_configuration_is_complete(configuration):
    for name in ("issuer", "authorization_endpoint", "token_endpoint", "jwks_uri"):
        assert configuration[name].startswith("http")
    assert configuration["response_types_supported"] == ["code"]
    assert configuration["subject_types_supported"]
    assert "RS256" in configuration["id_token_signing_alg_values_supported"]


def test_o4_the_keys_are_public_rsa_keys(configuration):
    keys = httpx.get(configuration["jwks_uri"], timeout=PATIENCE_S).json()["keys"]
    assert {key["kty"] for key in keys} == {"RSA"}
    assert not any("d" in key for key in keys)


async def test_o1_o5_o6_the_id_token_holds(kit, configuration, signed_in):
    launched, body = signed_in
    keys = KeySet.import_key_set(httpx.get(configuration["jwks_uri"], timeout=PATIENCE_S).json())
    header = jws.extract_compact(body["id_token"].encode()).headers()
    assert header["alg"] == "RS256"
    assert header["kid"] in {key.kid for key in keys.keys}
    claims = jwt.decode(body["id_token"], keys, ["RS256"]).claims
    assert (claims["iss"], claims["aud"], claims["nonce"]) == (
        configuration["issuer"],
        "public",
        launched.asked["nonce"],
    )
    assert claims["exp"] > claims["iat"]
    assert 0 < len(claims["sub"]) < 256
    assert claims.keys() <= set(configuration["claims_supported"])


async def test_o7_o8_the_person_can_be_read_with_the_token(kit, configuration, signed_in):
    _, body = signed_in
    keys = KeySet.import_key_set(httpx.get(configuration["jwks_uri"], timeout=PATIENCE_S).json())
    person = jwt.decode(body["id_token"], keys, ["RS256"]).claims["fhirUser"]
    assert person.startswith(kit.fhir)
    answer = await kit.read(person.removeprefix(f"{kit.fhir}/"), body["access_token"], origin=ORIGIN)
    assert answer.status_code == 200
    assert answer.json()["resourceType"] in ("Patient", "Practitioner")
    assert answer.headers["access-control-allow-origin"] in ("*", ORIGIN)


async def test_o7_who_is_nobody_in_the_records_is_not_promised_to_be_somebody(kit):
    body = (await kit.redeem(await kit.launch(username="root", scope="openid fhirUser user/*.rs"))).json()
    assert body["scope"] == "openid user/*.rs"
    assert "id_token" in body


# --- userinfo -------------------------------------------------------------------------------------------------


async def userinfo(configuration, token, method="GET"):
    async with httpx.AsyncClient(timeout=PATIENCE_S) as app:
        headers = {"authorization": f"Bearer {token}", "origin": ORIGIN} if token else {}
        return await app.request(method, configuration["userinfo_endpoint"], headers=headers)


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_userinfo_names_the_same_person_as_the_id_token(kit, configuration, method):
    body = (await kit.redeem(await kit.launch(scope="launch/patient openid fhirUser profile patient/*.rs"))).json()
    keys = KeySet.import_key_set(httpx.get(configuration["jwks_uri"], timeout=PATIENCE_S).json())
    claims = jwt.decode(body["id_token"], keys, ["RS256"]).claims
    answer = await userinfo(configuration, body["access_token"], method)
    assert answer.status_code == 200
    names = ("sub", "fhirUser", "preferred_username", "zoneinfo")
    assert answer.json() == {name: claims[name] for name in names}
    assert answer.headers["access-control-allow-origin"] == ORIGIN


async def test_userinfo_needs_a_good_token_and_the_scope(kit, configuration):
    without = (await kit.redeem(await kit.launch(scope="launch/patient patient/*.rs"))).json()["access_token"]
    for token, status in ((None, 401), ("not-a-token", 401), (without, 403)):
        answer = await userinfo(configuration, token)
        assert answer.status_code == status
        assert answer.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize("scope", ["", "openid", "openid fhirUser", "openid profile"])
async def test_the_account_is_told_to_no_app_that_may_not_know_whose_it_is(kit, scope):
    """The name of a person would come with every token, whatever the consent page said."""
    asked = f"launch/patient patient/Observation.rs {scope}".strip()
    token = (await kit.redeem(await kit.launch(scope=asked))).json()["access_token"]
    async with kit.client() as app:
        answer = await app.get("/api/v1/me", headers={"authorization": f"Bearer {token}"})
    assert answer.status_code == 403
    assert "/oauth/userinfo" in answer.json()["detail"]
    assert "ann" not in answer.text


async def test_the_account_without_its_address_is_told_to_an_app_that_may_know_whose_it_is(kit):
    token = (await kit.redeem(await kit.launch(scope="openid fhirUser profile"))).json()["access_token"]
    async with kit.client() as app:
        answer = await app.get("/api/v1/me", headers={"authorization": f"Bearer {token}"})
    assert answer.status_code == 200
    assert (answer.json()["fhirUser"], answer.json()["email"]) == ("Patient/kit-ann", None)


# --- signing out, as an app asks ------------------------------------------------------------------------------


async def in_portal(browser, username="ann"):
    page = await browser.get("/login")
    await follow(browser, await sign_in(browser, page, username, PASSWORD))


async def is_signed_in(browser):
    return "/logout" in (await browser.get("/")).text


async def test_an_app_that_proves_for_whom_it_asks_signs_out_at_once(kit, configuration):
    token = (await kit.redeem(await kit.launch())).json()["id_token"]
    asked = {"id_token_hint": token, "post_logout_redirect_uri": GOODBYE, "state": "s 1"}
    async with kit.client() as browser:
        await in_portal(browser)
        answer = await browser.get(configuration["end_session_endpoint"], params=asked)
        assert answer.status_code == 303
        assert answer.headers["location"].startswith(GOODBYE + "?")
        assert query_of(answer.headers["location"]) == {"state": "s 1"}
        assert not await is_signed_in(browser)


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_others_have_to_be_confirmed(kit, configuration, method):
    asked = {"client_id": "public", "post_logout_redirect_uri": GOODBYE}
    carried = {"params": asked} if method == "GET" else {"data": asked}
    async with kit.client() as browser:
        await in_portal(browser)
        page = await browser.request(method, configuration["end_session_endpoint"], **carried)
        assert page.status_code == 200
        assert await is_signed_in(browser)
        answer = await submit(browser, page, "/oauth/logout/confirm")
        assert (answer.status_code, answer.headers["location"]) == (303, GOODBYE)
        assert not await is_signed_in(browser)


async def test_the_id_token_of_somebody_else_signs_nobody_out(kit, configuration):
    token = (await kit.redeem(await kit.launch(username="bob", patient="kit-carl"))).json()["id_token"]
    async with kit.client() as browser:
        await in_portal(browser)
        page = await browser.get(configuration["end_session_endpoint"], params={"id_token_hint": token})
        assert page.status_code == 200
        assert await is_signed_in(browser)


@pytest.mark.parametrize(
    "asked",
    [
        pytest.param({"client_id": "public", "post_logout_redirect_uri": GOODBYE + "/"}, id="another address"),
        pytest.param({"post_logout_redirect_uri": GOODBYE}, id="no app"),
        pytest.param({"client_id": "symmetric", "post_logout_redirect_uri": GOODBYE}, id="address of another app"),
        pytest.param({"id_token_hint": "e30.e30.e30"}, id="a forged id_token"),
    ],
)
async def test_nobody_is_sent_where_no_app_registered(kit, configuration, asked):
    async with kit.client() as browser:
        await in_portal(browser)
        answer = await browser.get(configuration["end_session_endpoint"], params=asked)
        assert answer.status_code == 400
        assert "location" not in answer.headers
        assert await is_signed_in(browser)


async def test_online_access_ends_with_the_session(kit, configuration):
    scope = "launch/patient openid online_access patient/*.rs"
    launched, cookies = await kit.launch_with_cookies(scope=scope)
    body = (await kit.redeem(launched)).json()
    form = {"grant_type": "refresh_token", "refresh_token": body["refresh_token"]}
    renewed = (await kit.token(form)).json()
    assert (await kit.read("Patient/kit-ann", renewed["access_token"])).status_code == 200
    async with httpx.AsyncClient(base_url=kit.server.url, cookies=cookies, timeout=PATIENCE_S) as browser:
        page = await browser.get("/")
        await submit(browser, page, "/logout")
    assert (await kit.token(form | {"refresh_token": renewed["refresh_token"]})).status_code == 400
    assert await kit.refused("Patient/kit-ann", renewed["access_token"])


# --- keys that change -----------------------------------------------------------------------------------------


async def test_a_new_key_is_published_beside_the_old_one_before_it_signs(kit, configuration):
    before = (await kit.redeem(await kit.launch())).json()["id_token"]
    (old,) = (key["kid"] for key in httpx.get(configuration["jwks_uri"], timeout=PATIENCE_S).json()["keys"])
    await asyncio.to_thread(kit.server.command, "keys", "rotate-signing")
    after = (await kit.redeem(await kit.launch())).json()["id_token"]
    document = httpx.get(configuration["jwks_uri"], timeout=PATIENCE_S).json()
    assert [key["kid"] for key in document["keys"]].index(old) == 1
    keys = KeySet.import_key_set(document)
    for token in (before, after):
        assert jws.extract_compact(token.encode()).headers()["kid"] == old
        assert jwt.decode(token, keys, ["RS256"]).claims["iss"] == configuration["issuer"]
