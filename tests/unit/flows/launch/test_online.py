"""Online access lives as long as the session it was given in; offline access does not care."""

import pytest

from fhir_facade.errors import NotFound
from fhir_facade.flows.accounts import change_account
from fhir_facade.flows.launch.apps import grants_of, withdraw
from fhir_facade.flows.launch.authorize import begin, decide, next_step
from fhir_facade.flows.launch.clients import NewClient, add_client
from fhir_facade.flows.launch.sign_in import Caller
from fhir_facade.flows.launch.verify import verify_access_token
from fhir_facade.flows.sessions import end_session, load_session, sign_in_with_password
from fhir_facade.rows.oauth import Grant
from tests.sign_in_world import PASSWORD, REDIRECT, query_of, request

SCOPE = "launch/patient openid online_access patient/*.rs"


@pytest.fixture
async def granted(world):
    """Cookie of the session, and the tokens an app got in it."""

    async def grant(scope=SCOPE):
        await add_client(world.ports, NewClient(f"app{len(scope)}", "public", scope, redirect_uris=(REDIRECT,)))
        cookie, session = await world.browser()
        handle = await begin(world.sign_in, request(client_id=f"app{len(scope)}", scope=scope), Caller())
        await next_step(world.sign_in, handle, cookie, session)
        answer = await decide(world.sign_in, handle, cookie, session, scope.split(), Caller())
        redeemed = await world.redeem(query_of(answer.location)["code"], client_id=f"app{len(scope)}")
        return cookie, session, redeemed.body

    return grant


async def works(world, body):
    return await verify_access_token(world.ports, body["access_token"]) is not None


async def test_signing_out_ends_it_at_once(world, granted):
    cookie, _, body = await granted()
    assert await works(world, body)
    await end_session(world.ports, cookie, Caller())
    assert not await works(world, body)
    assert (await world.refresh(body["refresh_token"])).body["error"] == "invalid_grant"


async def test_offline_access_survives_signing_out(world, granted):
    cookie, _, body = await granted(SCOPE + " offline_access")
    await end_session(world.ports, cookie, Caller())
    assert (await world.refresh(body["refresh_token"])).status == 200


async def test_renewing_keeps_the_session_alive_up_to_its_end(world, granted):
    _, _, body = await granted()
    for _ in range(13):
        world.clock.move(minutes=50)
        answer = await world.refresh(body["refresh_token"])
        body = answer.body if answer.status == 200 else body
    assert answer.status == 200
    world.clock.move(minutes=75)
    assert (await world.refresh(body["refresh_token"])).status == 400


async def test_a_session_that_idled_too_long_renews_nothing_and_is_not_revived(world, granted):
    cookie, session, body = await granted()
    world.clock.move(minutes=61)
    assert await grants_of(world.ports, session.account) == []
    assert (await world.refresh(body["refresh_token"])).status == 400
    assert await load_session(world.ports, cookie) is None


async def test_signing_in_again_as_the_same_person_carries_it_on(world, granted):
    cookie, _, body = await granted()
    await sign_in_with_password(world.ports, username="ann", password=PASSWORD, old_cookie=cookie, caller=Caller())
    assert (await world.refresh(body["refresh_token"])).status == 200


async def test_signing_in_as_somebody_else_ends_it(world, granted):
    cookie, _, body = await granted()
    await sign_in_with_password(world.ports, username="bob", password=PASSWORD, old_cookie=cookie, caller=Caller())
    assert not await works(world, body)


async def test_a_new_password_ends_it_in_the_other_sessions(world, granted):
    _, session, body = await granted()
    await change_account(world.ports, session.account.id, password="another long password", actor="person")
    assert not await works(world, body)


async def test_what_was_allowed_is_listed_until_it_is_withdrawn_or_over(world, granted):
    _, session, body = await granted()
    (view,) = await grants_of(world.ports, session.account)
    assert (view.client_id, view.patient, view.verified) == (f"app{len(SCOPE)}", "p1", True)
    assert "online_access" in view.scopes.launch
    await withdraw(world.ports, session.account, view.id, Caller())
    assert not await works(world, body)
    assert await grants_of(world.ports, session.account) == []
    with pytest.raises(NotFound):
        await withdraw(world.ports, session.account, view.id, Caller())
    (grant,) = await world.rows(Grant)
    assert grant.revoked_because == "withdrawn by the person"


async def test_a_consent_without_renewal_is_over_with_its_token(world, granted):
    _, session, _ = await granted("launch/patient patient/*.rs")
    assert len(await grants_of(world.ports, session.account)) == 1
    world.clock.move(minutes=11)
    assert await grants_of(world.ports, session.account) == []
