"""Guessing the secret of a client. https://www.rfc-editor.org/rfc/rfc6749#section-2.3.1"""

import pytest

from fhir_facade.flows.launch.clients import NewClient, add_client
from fhir_facade.flows.launch.endpoints import introspection_endpoint, token_endpoint
from fhir_facade.flows.launch.guesses import PER_CLIENT
from fhir_facade.flows.launch.sign_in import Caller
from tests.sign_in_world import BASE, REDIRECT, SCOPE

SECRET = "a-secret-of-the-app"
ATTACKER, NEIGHBOUR = Caller("198.51.100.7"), Caller("192.0.2.1")


@pytest.fixture
async def confidential(world):
    client = NewClient("conf", "confidential", SCOPE, redirect_uris=(REDIRECT,), secret=SECRET)
    await add_client(world.ports, client)


async def introspect(world, secret, caller):
    pairs = [("token", "ffa_x"), ("client_id", "conf"), ("client_secret", secret)]
    return await introspection_endpoint(world.sign_in, pairs, None, caller)


@pytest.mark.usefixtures("confidential")
async def test_guessing_the_secret_of_a_client_gets_slower_and_slower(world):
    waits = []
    for _ in range(PER_CLIENT.free + 4):
        answer = await introspect(world, "a-guess", ATTACKER)
        if answer.status == 429:
            waits.append(int(dict(answer.headers)["Retry-After"]))
            assert (await introspect(world, SECRET, ATTACKER)).status == 429
            world.clock.move(seconds=waits[-1])
            answer = await introspect(world, "a-guess", ATTACKER)
        assert answer.body["error"] == "invalid_client"

    assert waits == sorted(waits)
    assert waits[-1] >= 4 * waits[0]


@pytest.mark.usefixtures("confidential")
async def test_guesses_from_elsewhere_do_not_lock_the_app_out(world):
    for _ in range(PER_CLIENT.free + 1):
        await introspect(world, "a-guess", ATTACKER)

    assert (await introspect(world, SECRET, ATTACKER)).status == 429
    assert (await introspect(world, SECRET, NEIGHBOUR)).status == 200


@pytest.mark.usefixtures("confidential")
async def test_requests_that_prove_nothing_do_not_clear_the_count(world):
    for _ in range(PER_CLIENT.free):
        pairs = [("grant_type", "nonsense"), ("client_id", "conf"), ("client_secret", "a-guess")]
        assert (await token_endpoint(world.sign_in, pairs, None, ATTACKER)).body["error"] == "unsupported_grant_type"
        await introspect(world, "a-guess", ATTACKER)

    assert (await introspect(world, "a-guess", ATTACKER)).status == 429


@pytest.mark.usefixtures("confidential")
async def test_the_right_secret_clears_the_count(world):
    for _ in range(PER_CLIENT.free - 1):
        await introspect(world, "a-guess", ATTACKER)
    assert (await introspect(world, SECRET, ATTACKER)).status == 200

    for _ in range(PER_CLIENT.free - 1):
        assert (await introspect(world, "a-guess", ATTACKER)).status == 401


@pytest.mark.usefixtures("confidential")
async def test_a_refused_client_learns_how_to_authenticate_and_nothing_else(world):
    answer = await introspection_endpoint(world.sign_in, [("token", "ffa_x")], "Basic Y29uZjp3cm9uZw==", ATTACKER)

    assert answer.status == 401
    assert dict(answer.headers)["WWW-Authenticate"] == f'Basic realm="{BASE}"'
