"""What works once works once, also when it is asked for at the same moment: on SQLite and on PostgreSQL."""

import asyncio

import pytest

from fhir_facade.adapters.sqlite_file import SqliteFile
from fhir_facade.adapters.state.migrate import core_connection
from fhir_facade.adapters.state.postgres import PostgresState
from fhir_facade.adapters.state.sqlite import SqliteState
from fhir_facade.adapters.state.tables import facade_tables
from fhir_facade.flows.launch.authorize import begin, decide, next_step
from fhir_facade.flows.launch.clients import NewClient, add_client
from fhir_facade.flows.launch.invitations import invite
from fhir_facade.flows.launch.opaque import digest
from fhir_facade.flows.launch.opened import Lost
from fhir_facade.flows.launch.registration import register
from fhir_facade.flows.launch.sign_in import Caller
from fhir_facade.flows.launch.verify import verify_access_token
from fhir_facade.rows import Append
from fhir_facade.rows.oauth import Client, Grant, Launch
from tests.sign_in_world import REDIRECT, SCOPE, clock, ports, request, world
from tests.unit.flows.launch.test_token_endpoint import backend, backend_token

__all__ = ["backend", "clock", "ports", "world"]
AT_ONCE = 6


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def url(request):
    """Of the database on PostgreSQL; None: a file."""
    return request.getfixturevalue("database_url") if request.param == "postgres" else None


@pytest.fixture
async def state(url, tmp_path):
    if url is not None:
        postgres = PostgresState(url)
        yield postgres
        await postgres.close()
        return
    file = SqliteFile(tmp_path / "state.sqlite")
    file.open()
    facade_tables().metadata.create_all(core_connection(file.writer))
    yield SqliteState(file, facade_tables())
    file.close()


async def at_once(work):
    return await asyncio.gather(*(work() for _ in range(AT_ONCE)), return_exceptions=True)


def statuses(answers):
    return sorted(answer.status for answer in answers)


async def test_of_parallel_redemptions_of_a_code_one_succeeds_and_its_tokens_end(world):
    code = await world.code()
    answers = await at_once(lambda: world.redeem(code))
    assert statuses(answers) == [200] + [400] * (AT_ONCE - 1)
    body = next(answer.body for answer in answers if answer.status == 200)
    assert await verify_access_token(world.ports, body["access_token"]) is None  # the code was seen twice


async def test_of_parallel_refreshes_one_succeeds_and_the_family_ends(world):
    token = (await world.tokens())["refresh_token"]
    answers = await at_once(lambda: world.refresh(token))
    assert statuses(answers) == [200] + [400] * (AT_ONCE - 1)
    (grant,) = await world.rows(Grant)
    assert grant.revoked_because == "refresh token used twice"


async def test_of_parallel_requests_with_one_assertion_one_succeeds(world, backend):
    answers = await at_once(lambda: backend_token(world))
    assert statuses(answers) == [200] + [400] * (AT_ONCE - 1)


async def test_of_parallel_decisions_one_counts(world):
    cookie, session = await world.browser()
    handle = await begin(world.sign_in, request(), Caller())
    await next_step(world.sign_in, handle, cookie, session)
    answers = await at_once(lambda: decide(world.sign_in, handle, cookie, session, SCOPE.split(), Caller()))
    assert sum(isinstance(answer, Lost) for answer in answers) == AT_ONCE - 1
    assert len(await world.rows(Grant)) == 1


async def test_the_same_page_opened_several_times_at_once_is_one_authorization(world):
    cookie, session = await world.browser()
    handle = await begin(world.sign_in, request(), Caller())
    steps = await at_once(lambda: next_step(world.sign_in, handle, cookie, session))
    assert all(step == steps[0] for step in steps)


async def test_of_parallel_authorizations_with_one_launch_one_has_it(world):
    await add_client(world.ports, NewClient("ehr", "public", f"launch {SCOPE}", redirect_uris=(REDIRECT,)))
    cookie, session = await world.browser()
    now = world.clock.now()
    row = Launch(
        hash=digest("ffl_one"),
        client_id="ehr",
        account_id=session.account.id,
        created_at=now,
        expires_at=now.replace(minute=5),
        patient="p1",
    )
    await world.ports.state.write(lambda tx: tx.apply(Append(row)))
    asked = request(client_id="ehr", scope=f"launch {SCOPE}", launch="ffl_one")
    handles = [await begin(world.sign_in, asked, Caller()) for _ in range(AT_ONCE)]
    steps = await asyncio.gather(
        *(next_step(world.sign_in, handle, cookie, session) for handle in handles), return_exceptions=True
    )
    assert sum(not isinstance(step, Lost) for step in steps) == 1


async def test_an_initial_access_token_registers_no_more_apps_than_it_says(world):
    token = await invite(world.ports, name="two", scope=SCOPE, uses=2)
    body = b'{"redirect_uris": ["https://app.example/cb"], "token_endpoint_auth_method": "none"}'
    answers = await at_once(lambda: register(world.sign_in, body, f"Bearer {token}"))
    made = sum(answer.status == 201 for answer in answers)
    assert 1 <= made <= 2
    assert len(await world.rows(Client, ("verified", "=", False))) == made
