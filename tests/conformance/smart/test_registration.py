"""Apps that register themselves: RFC 7591 with an initial access token, RFC 7592 for what follows."""

import asyncio

import pytest

from tests.conformance.smart.conftest import EC, REDIRECT, RSA
from tests.forms import follow, sign_in

CEILING = "launch/patient openid fhirUser online_access patient/*.rs"
METADATA = {"client_name": "A new app", "redirect_uris": [REDIRECT], "token_endpoint_auth_method": "none"}
KEYS = {"keys": [RSA.as_dict(private=False), EC.as_dict(private=False)]}


@pytest.fixture(scope="module")
def initial(kit):
    """What an operator gives out: good for all registrations of this file."""
    return kit.server.command("client", "invite", "--name", "kit", "--scope", CEILING, "--uses", "200").stdout.strip()


async def register(kit, token, **changes):
    metadata = {name: value for name, value in (METADATA | changes).items() if value is not None}
    headers = {"authorization": f"Bearer {token}"} if token else {}
    async with kit.client() as app:
        return await app.post(kit.smart["registration_endpoint"], json=metadata, headers=headers)


async def keep(kit, registered, method="GET", token=None, **sent):
    headers = {"authorization": f"Bearer {token or registered['registration_access_token']}"}
    async with kit.client() as app:
        return await app.request(method, registered["registration_client_uri"], headers=headers, **sent)


async def test_an_app_registers_and_launches(kit, initial):
    answer = await register(kit, initial)
    assert answer.status_code == 201
    assert answer.headers["cache-control"] == "no-store"
    registered = answer.json()
    assert registered["scope"] == CEILING
    assert "client_secret" not in registered
    launched = await kit.launch(client_id=registered["client_id"], scope="launch/patient patient/Patient.rs")
    body = (await kit.redeem(launched, client_id=registered["client_id"])).json()
    assert (await kit.read("Patient/kit-ann", body["access_token"])).status_code == 200


async def test_the_consent_page_says_that_nobody_checked_it_until_somebody_did(kit, initial):
    registered = (await register(kit, initial)).json()
    warning = "Nobody who runs this service has checked it"
    assert warning in await consent_page(kit, registered["client_id"])
    await asyncio.to_thread(kit.server.command, "client", "verify", registered["client_id"])
    assert warning not in await consent_page(kit, registered["client_id"])


async def consent_page(kit, client_id):
    asked = (await kit.launch(aud="https://elsewhere.example")).asked | {"aud": kit.fhir, "client_id": client_id}
    async with kit.client() as browser:
        page = await follow(browser, await browser.get("/oauth/authorize", params=asked))
        return (await follow(browser, await sign_in(browser, page, "ann", "correct horse battery"))).text


async def test_a_confidential_app_gets_a_secret_once(kit, initial):
    registered = (await register(kit, initial, token_endpoint_auth_method=None)).json()
    assert (registered["token_endpoint_auth_method"], registered["client_secret_expires_at"]) == (
        "client_secret_basic",
        0,
    )
    assert len(registered["client_secret"]) > 40
    assert "client_secret" not in (await keep(kit, registered)).json()


async def test_an_app_with_keys_gets_none(kit, initial):
    answer = await register(kit, initial, token_endpoint_auth_method="private_key_jwt", jwks=KEYS)
    assert answer.status_code == 201
    assert answer.json()["jwks"] == KEYS
    assert "client_secret" not in answer.json()


async def test_an_app_reads_changes_and_ends_its_registration(kit, initial):
    registered = (await register(kit, initial)).json()
    again = (await keep(kit, registered)).json()
    assert again == {name: value for name, value in registered.items() if name != "registration_access_token"}
    changed = await keep(kit, registered, "PUT", json=METADATA | {"client_name": "Renamed", "scope": "patient/*.rs"})
    assert changed.status_code == 200
    assert (changed.json()["client_name"], changed.json()["scope"]) == ("Renamed", "patient/*.rs")
    wider = await keep(kit, registered, "PUT", json=METADATA | {"scope": CEILING})
    assert wider.status_code == 400
    assert (await keep(kit, registered, "DELETE")).status_code == 204
    assert (await keep(kit, registered)).status_code == 401


async def test_what_an_app_gives_up_of_its_scope_it_cannot_go_on_with(kit, initial):
    registered = (await register(kit, initial)).json()
    app = registered["client_id"]
    wide, narrow = [
        (await kit.redeem(await kit.launch(client_id=app, scope=f"online_access {scope}"), client_id=app)).json()
        for scope in ("patient/*.rs", "patient/Patient.rs")
    ]
    less = METADATA | {"scope": "online_access patient/Patient.rs"}
    assert (await keep(kit, registered, "PUT", json=less)).status_code == 200
    renewed = [
        await kit.token({"grant_type": "refresh_token", "refresh_token": body["refresh_token"], "client_id": app})
        for body in (wide, narrow)
    ]
    assert [answer.status_code for answer in renewed] == [400, 200]
    assert await kit.refused("Patient/kit-ann", wide["access_token"])


async def test_a_registration_is_kept_by_its_own_app_alone(kit, initial):
    one, other = (await register(kit, initial)).json(), (await register(kit, initial)).json()
    for method in ("GET", "PUT", "DELETE"):
        answer = await keep(kit, one, method, token=other["registration_access_token"], json=METADATA)
        assert answer.status_code == 401
    absent = one | {"registration_client_uri": f"{kit.smart['registration_endpoint']}/public"}
    assert (await keep(kit, absent)).status_code == 401


@pytest.mark.parametrize("token", [None, "ffi_unknown", "x"])
async def test_without_an_initial_access_token_nobody_registers(kit, token):
    answer = await register(kit, token)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")


async def test_an_initial_access_token_registers_as_many_apps_as_it_says(kit):
    told = await asyncio.to_thread(kit.server.command, "client", "invite", "--name", "two", "--uses", "2")
    answers = await asyncio.gather(*(register(kit, told.stdout.strip()) for _ in range(4)))
    assert sorted(answer.status_code for answer in answers) == [201, 201, 401, 401]


async def test_a_wrong_registration_costs_no_use(kit):
    told = await asyncio.to_thread(kit.server.command, "client", "invite", "--name", "one")
    assert (await register(kit, told.stdout.strip(), redirect_uris=["javascript:x"])).status_code == 400
    assert (await register(kit, told.stdout.strip())).status_code == 201


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        pytest.param({"redirect_uris": ["javascript:alert(1)"]}, "invalid_redirect_uri", id="javascript"),
        pytest.param({"redirect_uris": ["http://kit.example/cb"]}, "invalid_redirect_uri", id="http"),
        pytest.param({"redirect_uris": ["https://a@kit.example/cb"]}, "invalid_redirect_uri", id="user information"),
        pytest.param({"redirect_uris": "https://kit.example/cb"}, "invalid_redirect_uri", id="no list"),
        pytest.param({"redirect_uris": None}, "invalid_client_metadata", id="no redirect URI"),
        pytest.param({"initiate_login_uri": "http://kit.example"}, "invalid_client_metadata", id="launch over http"),
        pytest.param({"token_endpoint_auth_method": "tls"}, "invalid_client_metadata", id="unknown method"),
        pytest.param({"jwks": KEYS}, "invalid_client_metadata", id="keys of a public app"),
        pytest.param({"scope": "patient/*.cruds"}, "invalid_client_metadata", id="wider scope"),
        pytest.param({"scope": "user/*.rs"}, "invalid_client_metadata", id="scope of all patients"),
        pytest.param({"scope": "offline_access patient/*.rs"}, "invalid_client_metadata", id="offline"),
        pytest.param({"grant_types": ["password"]}, "invalid_client_metadata", id="password grant"),
        pytest.param({"grant_types": ["implicit"]}, "invalid_client_metadata", id="implicit grant"),
        pytest.param({"client_name": "x" * 201}, "invalid_client_metadata", id="long name"),
        pytest.param({"client_name": 7}, "invalid_client_metadata", id="name that is a number"),
    ],
)
async def test_metadata_that_cannot_be_meant_is_refused(kit, initial, changes, error):
    answer = await register(kit, initial, **changes)
    assert (answer.status_code, answer.json()["error"]) == (400, error)


@pytest.mark.parametrize(
    "keys",
    [
        pytest.param({"jwks": KEYS, "jwks_uri": "https://kit.example/jwks"}, id="both kinds"),
        pytest.param({"jwks": {"keys": [RSA.as_dict(private=True)]}}, id="a private key"),
        pytest.param({"jwks": {"keys": [{"kty": "oct", "kid": "x", "k": "AAAA"}]}}, id="a symmetric key"),
        pytest.param({"jwks": {"keys": []}}, id="no key"),
        pytest.param({"jwks_uri": "http://127.0.0.1:1/jwks"}, id="keys on this machine"),
        pytest.param({"jwks_uri": "https://10.0.0.1/jwks"}, id="keys at a number"),
        pytest.param({"jwks_uri": "https://[::1]/jwks"}, id="keys at a number of six"),
        pytest.param({"jwks_uri": "https://metadata/jwks"}, id="keys next door"),
        pytest.param({"jwks_uri": "https://app.example:8080/jwks"}, id="keys at another port"),
        pytest.param({"jwks_uri": "https://a@app.example/jwks"}, id="keys behind a user name"),
    ],
)
async def test_keys_that_prove_nothing_are_refused(kit, initial, keys):
    answer = await register(kit, initial, token_endpoint_auth_method="private_key_jwt", **keys)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_client_metadata")


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'"x"', b"\xff", b"[" * 5000])
async def test_what_is_no_document_is_refused(kit, initial, body):
    async with kit.client() as app:
        headers = {"authorization": f"Bearer {initial}"}
        answer = await app.post(kit.smart["registration_endpoint"], content=body, headers=headers)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_client_metadata")


async def test_a_chosen_id_is_ignored_and_a_name_is_shown_as_text(kit, initial):
    registered = (await register(kit, initial, client_id="public", client_name="<b>bold</b>")).json()
    assert registered["client_id"] != "public"
    page = await consent_page(kit, registered["client_id"])
    assert "<b>bold" not in page
    assert "&lt;b&gt;bold" in page
