"""Sweeping takes away what is over and nothing else."""

import pytest

from fhir_facade.flows.launch import sweep as sweeping
from fhir_facade.flows.launch.authorize import begin
from fhir_facade.flows.launch.keys import current_signer, rotate_signing_key
from fhir_facade.flows.launch.sign_in import Caller
from fhir_facade.flows.launch.sweep import sweep
from fhir_facade.flows.launch.verify import verify_access_token
from fhir_facade.rows import spec_of
from fhir_facade.rows.oauth import AccessToken, Grant, RefreshToken, SigningKey
from tests.sign_in_world import request
from tests.unit.flows.launch.test_standing import revoke


async def test_nothing_that_still_matters_is_taken(world):
    body = await world.tokens()
    await begin(world.sign_in, request(), Caller())
    assert await sweep(world.ports) == 0  # not even the authorization that was decided: it must not be again
    assert await verify_access_token(world.ports, body["access_token"]) is not None
    assert (await world.refresh(body["refresh_token"])).status == 200


async def test_a_spent_code_is_still_recognised_after_a_sweep(world):
    code = await world.code()
    body = (await world.redeem(code)).body
    world.clock.move(hours=2)
    await sweep(world.ports)
    await world.redeem(code)
    assert (await world.refresh(body["refresh_token"])).body["error"] == "invalid_grant"


async def test_spent_refresh_tokens_are_no_rows_and_yet_end_their_family(world):
    first = await world.tokens()
    newest = first
    for _ in range(5):
        newest = (await world.refresh(newest["refresh_token"])).body
    await sweep(world.ports)
    assert len(await world.rows(RefreshToken)) == 2  # the one that is not used yet, and what knows the others

    world.clock.move(days=20)
    assert (await world.refresh(first["refresh_token"])).body["error"] == "invalid_grant"

    (grant,) = await world.rows(Grant)
    assert grant.revoked_because == "refresh token used twice"
    assert (await world.refresh(newest["refresh_token"])).body["error"] == "invalid_grant"


@pytest.mark.parametrize("made_up", ["", ".", "x.y", "{family}", "family:{family}", "ffr_family:{family}"])
async def test_the_family_of_a_refresh_token_is_none_itself(world, made_up):
    token = (await world.tokens())["refresh_token"]
    family = token.removeprefix("ffr_").partition(".")[0]

    assert (await world.refresh(made_up.format(family=family) or "ffr_")).body["error"] == "invalid_grant"

    assert (await world.refresh(token)).status == 200


async def test_a_refresh_token_that_was_swept_away_can_be_given_back(world):
    first = await world.tokens()
    second = (await world.refresh(first["refresh_token"])).body
    await sweep(world.ports)

    await revoke(world, first["refresh_token"], client_id="app")

    assert (await world.refresh(second["refresh_token"])).body["error"] == "invalid_grant"


async def test_a_refresh_token_that_waited_too_long_is_no_second_use(world):
    token = (await world.tokens())["refresh_token"]
    world.clock.move(days=33)
    await sweep(world.ports)

    assert (await world.refresh(token)).body["error"] == "invalid_grant"

    assert [grant.revoked_because for grant in await world.rows(Grant)] == [None]


async def test_everything_is_gone_in_the_end(world):
    await world.tokens()
    await begin(world.sign_in, request(), Caller())
    await rotate_signing_key(world.ports)
    world.clock.move(days=92)
    assert await sweep(world.ports) >= 7
    for row in {rule[0] for rule in sweeping._RULES} - {SigningKey}:
        assert await world.rows(row) == [], spec_of(row).name
    assert len(await world.rows(SigningKey)) == 2  # the one that signed so long, and the one that replaces it
    assert await current_signer(world.ports)


async def test_more_rows_than_fit_into_one_transaction_go_too(world):
    await world.tokens()
    (token,) = await world.rows(AccessToken)
    many = [AccessToken(**token_fields(token) | {"hash": str(number)}) for number in range(sweeping.AT_ONCE + 1)]
    await world.ports.state.append(many)
    world.clock.move(days=2)
    await sweep(world.ports)
    assert await world.rows(AccessToken) == []
    assert len(await world.rows(Grant)) == 1


def token_fields(row):
    return {name: getattr(row, name) for name in row.__struct_fields__}
