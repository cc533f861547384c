"""The token endpoint: codes once, refresh tokens once, clients authenticated, nothing wider than granted."""

import asyncio
import base64

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from joserfc import jwt
from joserfc.jwk import KeySet, RSAKey

from fhir_facade.flows.accounts import disable_account
from fhir_facade.flows.launch.assertion import ASSERTION_TYPE
from fhir_facade.flows.launch.clients import NewClient, add_client, disable_client
from fhir_facade.flows.launch.endpoints import token_endpoint
from fhir_facade.flows.launch.keys import public_keys
from fhir_facade.flows.launch.sign_in import Caller
from fhir_facade.flows.launch.verify import verify_access_token
from fhir_facade.rows.audit import AuditLine
from fhir_facade.rows.oauth import AccessToken, AuthorizationCode, Grant, RefreshToken
from tests.sign_in_world import BASE, REDIRECT, SCOPE, redemption

SECRET = "a-secret-given-on-stdin"
BACKEND_KEY = RSAKey.generate_key(2048, {"kid": "k1"})
JWKS = msgspec.json.encode({"keys": [BACKEND_KEY.as_dict(private=False)]}).decode()
JWKS_URI = "https://backend.example/jwks"


def basic(client_id, secret):
    return "Basic " + base64.b64encode(f"{client_id}:{secret}".encode()).decode()


@pytest.fixture
async def confidential(world):
    client = NewClient("conf", "confidential", SCOPE, redirect_uris=(REDIRECT,), secret=SECRET)
    await add_client(world.ports, client)
    return client


@pytest.fixture
async def backend(world):
    client = NewClient("backend", "backend", "system/*.rs system/Observation.cruds", jwks=JWKS)
    await add_client(world.ports, client)
    return client


def assertion(world, *, client="backend", key=BACKEND_KEY, kid="k1", **changes):
    now = int(world.clock.now().timestamp())
    claims = {"iss": client, "sub": client, "aud": f"{BASE}/oauth/token", "exp": now + 300, "jti": "one"} | changes
    text = jwt.encode({"alg": "RS384", "kid": kid}, claims, key, ["RS384"])
    return {"client_assertion_type": ASSERTION_TYPE, "client_assertion": text}


async def backend_token(world, scope="system/*.rs", **changes):
    return await world.token(grant_type="client_credentials", scope=scope, **assertion(world, **changes))


async def works(world, token):
    return await verify_access_token(world.ports, token) is not None


# --- refusals -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        pytest.param({"grant_type": None}, "unsupported_grant_type", id="no grant type"),
        pytest.param({"grant_type": "not_a_grant_type"}, "unsupported_grant_type", id="unknown grant type"),
        pytest.param({"grant_type": "password"}, "unsupported_grant_type", id="password grant"),
        pytest.param({"grant_type": 'co"de'}, "unsupported_grant_type", id="grant type with a quote"),
        pytest.param({"code": None}, "invalid_request", id="no code"),
        pytest.param({"code": "BAD_CODE"}, "invalid_grant", id="wrong code"),
        pytest.param({"client_id": "BAD_CLIENT_ID"}, "invalid_client", id="unknown client"),
        pytest.param({"client_id": None}, "invalid_client", id="no client"),
        pytest.param({"client_id": 'a"b'}, "invalid_client", id="client id with a quote"),
        pytest.param({"redirect_uri": None}, "invalid_grant", id="no redirect URI"),
        pytest.param({"redirect_uri": REDIRECT + "/"}, "invalid_grant", id="another redirect URI"),
        pytest.param({"code_verifier": None}, "invalid_request", id="no verifier"),
        pytest.param({"code_verifier": ""}, "invalid_request", id="blank verifier"),
        pytest.param({"code_verifier": "w" * 43}, "invalid_grant", id="wrong verifier"),
        pytest.param({"code_verifier": "short"}, "invalid_request", id="short verifier"),
        pytest.param({"code_verifier": "v" * 129}, "invalid_request", id="long verifier"),
        pytest.param({"client_secret": "guess"}, "invalid_client", id="a secret for a public client"),
        pytest.param({"client_assertion": "x", "client_assertion_type": "y"}, "invalid_client", id="wrong assertion"),
        pytest.param({"client_secret": "a", "client_assertion": "x"}, "invalid_request", id="two ways at once"),
        pytest.param({"state": "\x01"}, "invalid_request", id="control characters"),
    ],
)
async def test_a_wrong_redemption_is_refused(world, changes, error):
    answer = await world.redeem(await world.code(), **changes)
    assert (answer.status in (400, 401), answer.body["error"]) == (True, error)
    assert ("Cache-Control", "no-store") in answer.headers
    assert ("Pragma", "no-cache") in answer.headers


async def test_the_challenge_is_no_verifier(world):
    code = await world.code()
    row = (await world.rows(AuthorizationCode))[0]
    assert (await world.redeem(code, code_verifier=row.challenge)).body["error"] == "invalid_grant"


async def test_a_parameter_that_occurs_twice_is_refused(world):
    pairs = list(redemption(await world.code()).items())
    for pair in pairs:
        answer = await token_endpoint(world.sign_in, [*pairs, pair], None, Caller())
        assert (answer.status, answer.body["error"]) == (400, "invalid_request")


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(
            [
                *redemption("x"),
                "refresh_token",
                "scope",
                "client_secret",
                "client_assertion",
                "client_assertion_type",
                "x",
            ]
        ),
        st.text(max_size=30)
        | st.sampled_from(["authorization_code", "refresh_token", "client_credentials", "app", "conf", ASSERTION_TYPE]),
    ),
    st.none() | st.text(max_size=30) | st.sampled_from([basic("conf", "x"), basic("app", "y"), basic('"', "\\")]),
)
async def test_any_token_request_is_answered_with_an_oauth_error(world, confidential, parameters, header):
    answer = await world.token(header, **parameters)
    assert answer.status in (400, 401)
    assert answer.body["error"].isascii()


# --- codes ----------------------------------------------------------------------------------------------------


async def test_a_code_is_dead_after_a_minute(world):
    code = await world.code()
    world.clock.move(seconds=60)
    assert (await world.redeem(code)).body["error"] == "invalid_grant"


async def test_the_second_use_of_a_code_ends_what_the_first_one_gave(world):
    code = await world.code()
    first = (await world.redeem(code)).body
    assert (await world.redeem(code)).body["error"] == "invalid_grant"
    assert not await works(world, first["access_token"])
    assert (await world.refresh(first["refresh_token"])).body["error"] == "invalid_grant"
    assert (await world.rows(Grant))[0].revoked_because == "authorization code used twice"


async def test_parallel_redemption_succeeds_at_most_once(world):
    code = await world.code()
    answers = await asyncio.gather(*(world.redeem(code) for _ in range(5)))
    assert sorted(answer.status for answer in answers) == [200, 400, 400, 400, 400]


async def test_a_wrong_verifier_burns_the_code(world):
    code = await world.code()
    await world.redeem(code, code_verifier="w" * 43)
    assert (await world.redeem(code)).body["error"] == "invalid_grant"


async def test_a_code_of_another_client_is_refused_and_stays_good_for_its_own(world, confidential):
    code = await world.code()
    answer = await world.token(basic("conf", SECRET), **redemption(code, client_id=None))
    assert answer.body["error"] == "invalid_grant"
    assert (await world.redeem(code)).status == 200


async def test_a_code_of_a_disabled_account_is_refused(world):
    code = await world.code()
    await disable_account(world.ports, "ann")
    assert (await world.redeem(code)).body["error"] == "invalid_grant"


async def test_a_token_response_has_what_smart_asks_for(world):
    body = await world.tokens()
    assert body["token_type"] == "Bearer"
    assert body["expires_in"] == 600
    assert body["patient"] == "p1"
    assert body["need_patient_banner"] is True
    assert set(body["scope"].split()) == set(SCOPE.split())


async def test_v1_scopes_come_back_as_v1(world):
    body = await world.tokens(scope="launch/patient patient/Observation.read patient/Observation.write")
    assert body["scope"] == "launch/patient patient/Observation.read patient/Observation.write"


async def test_without_a_patient_in_context_there_is_no_patient(world):
    assert "patient" not in await world.tokens(username="bob", scope="user/*.rs")


async def test_secrets_are_stored_as_hashes_only(world):
    body = await world.tokens()
    for row in (AccessToken, RefreshToken, AuthorizationCode):
        stored = str(await world.rows(row))
        assert body["access_token"] not in stored
        assert body["refresh_token"] not in stored


# --- id_token -------------------------------------------------------------------------------------------------


async def test_the_id_token_says_who_signed_in(world):
    body = await world.tokens()
    keys = KeySet.import_key_set(await public_keys(world.ports))
    token = jwt.decode(body["id_token"], keys, ["RS256"])
    now = int(world.clock.now().timestamp())

    assert token.header["kid"] == keys.keys[0].kid
    expected = {"iss": f"{BASE}/fhir", "aud": "app", "iat": now, "exp": now + 600, "auth_time": now, "nonce": "n-1"}
    assert expected.items() <= token.claims.items()
    assert token.claims["fhirUser"] == f"{BASE}/fhir/Patient/p1"
    assert 0 < len(token.claims["sub"]) < 256
    assert "at_hash" in token.claims


async def test_the_id_token_of_a_refresh_keeps_the_time_of_sign_in_and_has_no_nonce(world):
    signed_in = int(world.clock.now().timestamp())
    body = await world.tokens()
    world.clock.move(minutes=9)
    token = jwt.decode(
        (await world.refresh(body["refresh_token"])).body["id_token"],
        KeySet.import_key_set(await public_keys(world.ports)),
        ["RS256"],
    )
    assert token.claims["auth_time"] == signed_in
    assert "nonce" not in token.claims


async def test_without_openid_there_is_no_id_token(world):
    assert "id_token" not in await world.tokens(scope="launch/patient patient/*.rs")


async def test_an_admin_is_nobody_in_the_records(world):
    body = await world.tokens(username="root", scope="openid fhirUser user/*.rs")
    keys = KeySet.import_key_set(await public_keys(world.ports))
    assert "fhirUser" not in jwt.decode(body["id_token"], keys, ["RS256"]).claims


# --- refresh --------------------------------------------------------------------------------------------------


async def test_without_offline_access_there_is_no_refresh_token(world):
    assert "refresh_token" not in await world.tokens(scope="launch/patient patient/*.rs")


async def test_a_public_client_refreshes_without_its_name(world):
    body = await world.tokens()
    assert (await world.refresh(body["refresh_token"])).status == 200


async def test_a_public_client_that_gives_its_name_must_give_the_right_one(world):
    await add_client(world.ports, NewClient("other", "public", SCOPE, redirect_uris=(REDIRECT,)))
    token = (await world.tokens())["refresh_token"]
    assert (await world.refresh(token, client_id="other")).body["error"] == "invalid_grant"
    assert (await world.refresh(token, client_id="app")).status == 200


async def test_a_random_refresh_token_is_refused(world):
    assert (await world.refresh("ffr_random")).body["error"] == "invalid_grant"


async def test_reuse_of_a_rotated_refresh_token_ends_the_family(world):
    first = await world.tokens()
    second = (await world.refresh(first["refresh_token"])).body
    assert (await world.refresh(first["refresh_token"])).body["error"] == "invalid_grant"
    assert (await world.refresh(second["refresh_token"])).body["error"] == "invalid_grant"
    assert not await works(world, second["access_token"])


async def test_of_parallel_refreshes_at_most_one_succeeds(world):
    token = (await world.tokens())["refresh_token"]
    answers = await asyncio.gather(*(world.refresh(token) for _ in range(4)))
    assert sorted(answer.status for answer in answers) == [200, 400, 400, 400]


async def test_a_narrower_scope_narrows_this_access_token_only(world):
    first = await world.tokens()
    narrow = (await world.refresh(first["refresh_token"], scope="patient/Observation.rs")).body
    assert narrow["scope"] == "patient/Observation.rs"
    again = (await world.refresh(narrow["refresh_token"])).body
    assert again["scope"] == first["scope"]


@pytest.mark.parametrize("scope", ["patient/*.cruds", "user/*.rs", "system/*.rs", "online_access", "nonsense"])
async def test_a_wider_scope_is_refused_and_costs_nothing(world, scope):
    token = (await world.tokens())["refresh_token"]
    assert (await world.refresh(token, scope=scope)).body["error"] == "invalid_scope"
    assert (await world.refresh(token)).status == 200


async def test_a_refresh_token_dies_of_idleness(world):
    token = (await world.tokens())["refresh_token"]
    world.clock.move(days=30)
    assert (await world.refresh(token)).body["error"] == "invalid_grant"


async def test_a_family_dies_after_ninety_days_however_busy(world):
    token = (await world.tokens())["refresh_token"]
    for _ in range(4):
        world.clock.move(days=22, hours=12)
        answer = await world.refresh(token)
        token = answer.body.get("refresh_token")
    assert answer.body["error"] == "invalid_grant"


async def test_the_last_tokens_of_a_family_do_not_outlive_it(world):
    token = (await world.tokens())["refresh_token"]
    for days in (29, 29, 29, 2):
        world.clock.move(days=days)
        token = (await world.refresh(token)).body["refresh_token"]
    world.clock.move(hours=23, minutes=55)
    assert (await world.refresh(token)).body["expires_in"] == 300


@pytest.mark.parametrize("end", ["account", "client"])
async def test_refreshing_ends_with_the_account_and_the_client(world, end):
    body = await world.tokens()
    await (disable_account(world.ports, "ann") if end == "account" else disable_client(world.ports, "app"))
    answer = await world.refresh(body["refresh_token"])
    assert answer.status in (400, 401)
    assert not await works(world, body["access_token"])


# --- confidential clients -------------------------------------------------------------------------------------


async def confidential_code(world):
    return await world.code(client_id="conf")


@pytest.mark.parametrize("way", ["basic", "post"])
async def test_a_confidential_client_authenticates_with_its_secret(world, confidential, way):
    code = await confidential_code(world)
    header = basic("conf", SECRET) if way == "basic" else None
    extra = {"client_id": None} if way == "basic" else {"client_id": "conf", "client_secret": SECRET}
    answer = await world.token(header, **redemption(code, **extra))
    assert answer.status == 200
    again = {"client_id": "conf", "client_secret": SECRET} if way == "post" else {}
    refreshed = await world.token(
        header, grant_type="refresh_token", refresh_token=answer.body["refresh_token"], **again
    )
    assert refreshed.status == 200


@pytest.mark.parametrize(
    ("header", "changes"),
    [
        pytest.param(None, {"client_id": "conf"}, id="by name only"),
        pytest.param(None, {"client_id": "conf", "client_secret": "wrong"}, id="wrong secret in the form"),
        pytest.param(basic("conf", "wrong"), {"client_id": None}, id="wrong secret"),
        pytest.param(basic("conf", SECRET), {"client_id": "app"}, id="two different names"),
        pytest.param(basic("nobody", SECRET), {"client_id": None}, id="unknown client"),
        pytest.param(basic("app", SECRET), {"client_id": None}, id="a public client with a secret"),
    ],
)
async def test_a_confidential_client_without_its_secret_is_refused(world, confidential, header, changes):
    answer = await world.token(header, **redemption(await confidential_code(world), **changes))
    assert (answer.status, answer.body["error"]) == (401, "invalid_client")
    assert any(name == "WWW-Authenticate" for name, _ in answer.headers)


async def test_a_bearer_header_is_no_client_authentication(world):
    answer = await world.token("Bearer x", **redemption(await world.code()))
    assert answer.body["error"] in ("invalid_client", "invalid_request")


async def test_the_refresh_token_of_a_confidential_client_is_worth_nothing_without_its_secret(world, confidential):
    code = await confidential_code(world)
    body = (await world.token(basic("conf", SECRET), **redemption(code, client_id=None))).body
    assert (await world.refresh(body["refresh_token"])).body["error"] == "invalid_client"


async def test_a_confidential_client_with_keys_signs_its_requests(world):
    await add_client(world.ports, NewClient("signing", "confidential", SCOPE, redirect_uris=(REDIRECT,), jwks=JWKS))
    code = await world.code(client_id="signing")
    answer = await world.token(**redemption(code, client_id=None), **assertion(world, client="signing"))
    assert answer.status == 200


# --- backend services -----------------------------------------------------------------------------------------


async def test_a_backend_gets_a_token_for_five_minutes_and_nothing_to_refresh(world, backend):
    answer = await backend_token(world)
    assert answer.status == 200
    assert (answer.body["expires_in"], answer.body["scope"]) == (300, "system/*.rs")
    assert "refresh_token" not in answer.body
    principal = await verify_access_token(world.ports, answer.body["access_token"])
    assert (principal.kind, principal.client, principal.user) == ("backend", "backend", None)


@pytest.mark.parametrize(
    ("asked", "granted"),
    [
        ("system/*.cruds", "system/*.rs system/Observation.cruds"),
        ("system/Observation.u patient/*.rs", "system/Observation.u"),
        ("system/*.read", "system/*.read"),
    ],
)
async def test_a_backend_gets_only_what_it_was_registered_for(world, backend, asked, granted):
    assert (await backend_token(world, asked)).body["scope"] == granted


@pytest.mark.parametrize("scope", ["", "patient/*.rs", "system/Patient.c", "nonsense", "openid"])
async def test_a_backend_without_an_allowed_scope_gets_nothing(world, backend, scope):
    assert (await backend_token(world, scope)).body["error"] == "invalid_scope"


async def test_an_assertion_works_once(world, backend):
    text = assertion(world)
    answers = await asyncio.gather(
        *(world.token(grant_type="client_credentials", scope="system/*.rs", **text) for _ in range(4))
    )
    assert sorted(answer.status for answer in answers) == [200, 400, 400, 400]
    assert {answer.body.get("error") for answer in answers} == {None, "invalid_client"}


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"client": "nobody"}, id="unknown client"),
        pytest.param({"iss": "not_a_valid_iss"}, id="wrong issuer"),
        pytest.param({"kid": "unknown"}, id="unknown key"),
        pytest.param({"sub": 7}, id="subject is a number"),
        pytest.param({"key": RSAKey.generate_key(2048)}, id="another key"),
    ],
)
async def test_a_wrong_assertion_is_no_authentication(world, backend, changes):
    answer = await backend_token(world, **changes)
    assert (answer.status, answer.body["error"]) == (400, "invalid_client")


@pytest.mark.parametrize(
    "changes", [{"client_assertion_type": "not_an_assertion_type"}, {"client_assertion": "not.a.jwt"}]
)
async def test_a_malformed_assertion_is_no_authentication(world, backend, changes):
    answer = await world.token(grant_type="client_credentials", scope="system/*.rs", **(assertion(world) | changes))
    assert (answer.status, answer.body["error"]) == (400, "invalid_client")


async def test_the_name_in_the_form_must_be_that_of_the_assertion(world, backend):
    answer = await world.token(
        grant_type="client_credentials", scope="system/*.rs", client_id="app", **assertion(world)
    )
    assert answer.body["error"] == "invalid_client"


async def test_a_disabled_backend_is_refused_and_its_tokens_end(world, backend):
    token = (await backend_token(world)).body["access_token"]
    await disable_client(world.ports, "backend")
    assert not await works(world, token)
    assert (await backend_token(world, jti="two")).body["error"] == "invalid_client"


@pytest.mark.parametrize("client", ["app", "conf"])
async def test_no_other_client_acts_in_its_own_name(world, confidential, client):
    header = basic("conf", SECRET) if client == "conf" else None
    name = {"client_id": "app"} if client == "app" else {}
    answer = await world.token(header, grant_type="client_credentials", scope="patient/*.rs", **name)
    assert answer.body["error"] == "invalid_client"


async def test_a_backend_redeems_no_codes(world, backend):
    answer = await world.token(**redemption(await world.code(), client_id=None), **assertion(world))
    assert answer.body["error"] == "unauthorized_client"


async def published(world):
    await add_client(world.ports, NewClient("backend", "backend", "system/*.rs", jwks_uri=JWKS_URI))
    world.keys.documents[JWKS_URI] = JWKS.encode()


async def test_keys_are_fetched_from_the_registered_address(world):
    await published(world)
    assert (await backend_token(world)).status == 200
    assert world.keys.asked == [(JWKS_URI, False)]


async def test_an_unknown_key_asks_the_address_once_more(world):
    await published(world)
    assert (await backend_token(world, kid="new")).body["error"] == "invalid_client"
    assert world.keys.asked == [(JWKS_URI, False), (JWKS_URI, True)]


@pytest.mark.parametrize("document", [b"", b"[]", b'{"keys": 7}', b'{"keys": ["x", null]}', b"\xff"])
async def test_a_broken_key_set_is_no_authentication(world, document):
    await published(world)
    world.keys.documents[JWKS_URI] = document
    assert (await backend_token(world)).body["error"] == "invalid_client"


async def test_an_unreachable_key_set_is_no_authentication(world):
    await published(world)
    world.keys.documents.clear()
    assert (await backend_token(world)).body["error"] == "invalid_client"


# --- audit ----------------------------------------------------------------------------------------------------


async def test_every_token_and_every_refusal_is_audited(world):
    code = await world.code()
    await world.redeem(code)
    await world.redeem(code)
    issued, refused = await world.rows(AuditLine, ("action", "=", "token"))
    assert (issued.outcome, issued.client, issued.patient, issued.detail) == (
        "success",
        "app",
        "p1",
        "authorization_code",
    )
    assert issued.token == (await world.rows(AccessToken))[0].id
    assert (refused.outcome, refused.token) == ("refused", None)
    assert refused.detail == "invalid_grant, authorization code used twice"
