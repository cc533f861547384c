"""What a token is worth: verification, the cache before it, introspection, revocation, tokens of the command line."""

import base64
import time

import pytest

from fhir_facade.errors import BadRequest
from fhir_facade.flows.accounts import disable_account
from fhir_facade.flows.launch.clients import NewClient, add_client
from fhir_facade.flows.launch.endpoints import introspection_endpoint, revocation_endpoint
from fhir_facade.flows.launch.keys import current_signer, public_keys, rotate_signing_key, rotate_when_old
from fhir_facade.flows.launch.sign_in import Caller
from fhir_facade.flows.launch.tokens import mint_token
from fhir_facade.flows.launch.verify import MOST_KEPT, TokenCache, verify_access_token
from fhir_facade.rows.audit import AuditLine
from fhir_facade.rows.oauth import AccessToken
from tests.sign_in_world import BASE, REDIRECT, SCOPE, redemption

SECRET = "a-given-secret"
CONF = "Basic " + base64.b64encode(f"conf:{SECRET}".encode()).decode()


async def introspect(world, token, header):
    return await introspection_endpoint(world.sign_in, [("token", token)], header, Caller())


async def revoke(world, token, header=None, **parameters):
    pairs = [("token", token), *parameters.items()]
    return await revocation_endpoint(world.sign_in, pairs, header, Caller())


@pytest.fixture
async def confidential_tokens(world):
    await add_client(world.ports, NewClient("conf", "confidential", SCOPE, redirect_uris=(REDIRECT,), secret=SECRET))
    code = await world.code(client_id="conf")
    return (await world.token(CONF, **redemption(code, client_id=None))).body


# --- verification ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("token", ["", "x", "ffa_", "ffa_unknown", "ffa_\ud800", "ffr_x"])
async def test_an_unknown_token_is_nobody(world, token):
    assert await verify_access_token(world.ports, token) is None


async def test_a_refresh_token_opens_nothing(world):
    assert await verify_access_token(world.ports, (await world.tokens())["refresh_token"]) is None


async def test_a_token_dies_in_time(world):
    token = (await world.tokens())["access_token"]
    world.clock.move(minutes=10)
    assert await verify_access_token(world.ports, token) is None


@pytest.mark.parametrize(
    ("username", "patient", "kind", "practitioner"),
    [("ann", None, "patient", None), ("bob", "p2", "practitioner", "d1")],
)
async def test_a_token_names_person_patient_and_scopes(world, username, patient, kind, practitioner):
    body = await world.tokens(username=username, patient=patient)
    principal = await verify_access_token(world.ports, body["access_token"])
    assert (principal.kind, principal.patient) == (kind, patient or "p1")
    assert (principal.client, principal.practitioner, principal.name) == ("app", practitioner, username)
    assert [(scope.context, scope.type) for scope in principal.scopes] == [("patient", "*")]
    assert principal.token == (await world.rows(AccessToken))[0].id


async def test_the_cache_remembers_and_forgets_within_five_seconds(world):
    cache = TokenCache(world.ports)
    token = (await world.tokens())["access_token"]
    known = await cache.verify(token)
    await disable_account(world.ports, "ann")

    assert await cache.verify(token) is known
    world.clock.move(seconds=5)
    assert await cache.verify(token) is None


async def test_the_cache_keeps_no_token_beyond_its_end(world):
    cache = TokenCache(world.ports)
    token = (await world.tokens())["access_token"]
    world.clock.move(minutes=9, seconds=59)
    assert await cache.verify(token) is not None
    world.clock.move(seconds=1)
    assert await cache.verify(token) is None


async def test_the_cache_does_not_grow_without_end(world):
    cache = TokenCache(world.ports)
    token = (await world.tokens())["access_token"]
    principal = await cache.verify(token)
    for number in range(MOST_KEPT):
        cache._keep(number.to_bytes(32, "big"), principal)
    assert len(cache._kept) <= MOST_KEPT
    assert await cache.verify(token) == principal


async def test_a_hit_of_the_cache_is_quick(world):
    cache = TokenCache(world.ports)
    token = (await world.tokens())["access_token"]
    await cache.verify(token)
    rounds = []
    for _ in range(5):
        started = time.process_time()
        for _ in range(1000):
            await cache.verify(token)
        rounds.append((time.process_time() - started) / 1000)
    assert min(rounds) < 10e-6


# --- tokens of the command line -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "asked",
    [
        pytest.param({"scope": ""}, id="no scope"),
        pytest.param({"scope": "openid"}, id="no scope on data"),
        pytest.param({"scope": "patient/Nonsense.rs"}, id="unknown type"),
        pytest.param({"scope": "patient/*.rs"}, id="patient scope without a patient"),
        pytest.param({"scope": "user/*.rs"}, id="user scope without a user"),
        pytest.param({"scope": "system/*.rs", "username": "ann"}, id="system scope with a user"),
        pytest.param({"scope": "patient/*.rs", "patient": "Patient/p1"}, id="a reference for an id"),
        pytest.param({"scope": "patient/*.rs", "patient": "a b"}, id="what can be nobody's id"),
        pytest.param({"scope": "patient/*.rs", "username": "nobody"}, id="unknown user"),
        pytest.param({"scope": "patient/*.rs", "username": "ann", "patient": "p2"}, id="another patient's record"),
        pytest.param({"scope": "system/*.rs", "minutes": 0}, id="no time"),
        pytest.param({"scope": "system/*.rs", "minutes": 1441}, id="more than a day"),
    ],
)
async def test_a_token_that_means_nothing_is_not_minted(world, asked):
    with pytest.raises(BadRequest):
        await mint_token(world.ports, **asked)


@pytest.mark.parametrize(
    ("asked", "kind", "patient"),
    [
        pytest.param({"scope": "system/*.cruds"}, "backend", None, id="system"),
        pytest.param({"scope": "system/*.cruds", "patient": "absent"}, "backend", "absent", id="system with a patient"),
        pytest.param({"scope": "patient/*.rs", "patient": "absent"}, "patient", "absent", id="a patient"),
        pytest.param({"scope": "patient/*.rs", "username": "ann"}, "patient", "p1", id="a patient's account"),
        pytest.param({"scope": "user/*.rs", "username": "bob"}, "practitioner", None, id="a practitioner"),
        pytest.param({"scope": "patient/*.rs", "username": "bob", "patient": "p2"}, "practitioner", "p2", id="picked"),
    ],
)
async def test_a_minted_token_works_for_its_minutes(world, asked, kind, patient):
    token = await mint_token(world.ports, minutes=30, **asked)
    principal = await verify_access_token(world.ports, token)
    assert (principal.kind, principal.patient) == (kind, patient)
    world.clock.move(minutes=30)
    assert await verify_access_token(world.ports, token) is None


async def test_a_minted_token_dies_with_its_user(world):
    token = await mint_token(world.ports, scope="user/*.rs", username="BOB")
    await disable_account(world.ports, "bob")
    assert await verify_access_token(world.ports, token) is None
    with pytest.raises(BadRequest):
        await mint_token(world.ports, scope="user/*.rs", username="bob")


async def test_minting_is_audited(world):
    await mint_token(world.ports, scope="system/*.rs")
    assert [line.detail for line in await world.rows(AuditLine, ("action", "=", "token"))] == [
        "minted on the command line"
    ]


# --- introspection --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("header", [None, "Basic bm9ib2R5Ong=", "Bearer ffa_unknown"])
async def test_nobody_introspects_without_authentication(world, header):
    answer = await introspect(world, (await world.tokens())["access_token"], header)
    assert answer.status in (400, 401)
    assert "active" not in answer.body


async def test_a_client_learns_what_its_own_token_is_worth(world, confidential_tokens):
    answer = await introspect(world, confidential_tokens["access_token"], CONF)
    told = answer.body
    assert (told["active"], told["client_id"], told["patient"], told["iss"]) == (True, "conf", "p1", f"{BASE}/fhir")
    assert told["scope"] == confidential_tokens["scope"]
    assert told["exp"] == int(world.clock.now().timestamp()) + 600
    assert told["fhirUser"] == f"{BASE}/fhir/Patient/p1"
    refresh = (await introspect(world, confidential_tokens["refresh_token"], CONF)).body
    assert refresh["active"] is True


async def test_a_client_learns_nothing_about_the_tokens_of_others(world, confidential_tokens):
    other = (await world.tokens())["access_token"]
    assert (await introspect(world, other, CONF)).body == {"active": False}
    assert (await introspect(world, "unknown", CONF)).body == {"active": False}


async def test_the_bearer_of_a_token_may_ask_about_it_and_no_other(world, confidential_tokens):
    token = (await world.tokens())["access_token"]
    assert (await introspect(world, token, f"Bearer {token}")).body["active"] is True
    assert (await introspect(world, confidential_tokens["access_token"], f"Bearer {token}")).body == {"active": False}


async def test_the_bearer_of_a_system_token_may_ask_about_all(world):
    system = await mint_token(world.ports, scope="system/*.rs")
    token = (await world.tokens())["access_token"]
    assert (await introspect(world, token, f"Bearer {system}")).body["client_id"] == "app"


async def test_a_spent_token_is_told_to_be_inactive_and_nothing_else(world, confidential_tokens):
    world.clock.move(minutes=10)
    assert (await introspect(world, confidential_tokens["access_token"], CONF)).body == {"active": False}


async def test_introspection_without_a_token_is_an_error(world, confidential_tokens):
    answer = await introspection_endpoint(world.sign_in, [("token_type_hint", "x")], CONF, Caller())
    assert answer.body["error"] == "invalid_request"


# --- revocation -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("which", ["access_token", "refresh_token"])
async def test_giving_back_either_token_ends_both(world, which):
    body = await world.tokens()
    assert (await revoke(world, body[which], client_id="app")).status == 200
    assert await verify_access_token(world.ports, body["access_token"]) is None
    assert (await world.refresh(body["refresh_token"])).status == 400


async def test_a_foreign_token_cannot_be_given_back(world, confidential_tokens):
    answer = await revoke(world, confidential_tokens["access_token"], client_id="app")
    assert answer.body["error"] == "invalid_grant"
    assert await verify_access_token(world.ports, confidential_tokens["access_token"]) is not None


async def test_giving_back_an_unknown_token_is_fine(world):
    assert (await revoke(world, "unknown", client_id="app")).status == 200


async def test_revocation_needs_the_client(world):
    assert (await revoke(world, (await world.tokens())["access_token"])).body["error"] == "invalid_client"


# --- signing keys ---------------------------------------------------------------------------------------------


async def test_the_first_key_is_made_when_it_is_needed_and_kept(ports):
    first = await current_signer(ports)
    assert (await current_signer(ports)).kid == first.kid
    assert [key["kid"] for key in (await public_keys(ports))["keys"]] == [first.kid]


async def test_published_keys_are_public(ports):
    (key,) = (await public_keys(ports))["keys"]
    assert key.keys() == {"kty", "n", "e", "kid", "use", "alg"}


async def test_a_retired_key_stays_published_for_a_day(ports, clock):
    first = (await current_signer(ports)).kid
    clock.move(seconds=1)
    second = await rotate_signing_key(ports)
    assert (await current_signer(ports)).kid == first  # the new one is published before it signs
    assert [key["kid"] for key in (await public_keys(ports))["keys"]] == [second, first]
    clock.move(minutes=10)
    assert (await current_signer(ports)).kid == second
    clock.move(hours=23, minutes=59)
    assert [key["kid"] for key in (await public_keys(ports))["keys"]] == [second, first]
    clock.move(minutes=1)
    assert [key["kid"] for key in (await public_keys(ports))["keys"]] == [second]


async def test_a_key_that_signed_for_long_is_replaced_by_itself(ports, clock):
    first = (await current_signer(ports)).kid
    clock.move(days=89)
    assert await rotate_when_old(ports) is None
    clock.move(days=1)
    second = await rotate_when_old(ports)
    assert [key["kid"] for key in (await public_keys(ports))["keys"]] == [second, first]
    assert await rotate_when_old(ports) is None
