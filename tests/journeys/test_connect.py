"""A person connects a wearable through the vendor's real pages, and takes the access away again."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from fhir_facade.errors import AlreadyLinked, BadRequest, Forbidden, NotFound, Withdrawn
from fhir_facade.flows.accounts import NewAccount
from fhir_facade.flows.connect import begin, finish
from fhir_facade.flows.connections import connections_of, disconnect, look
from fhir_facade.flows.launch.tokens import revoke_grants
from fhir_facade.flows.wearables.tokens import access_token
from fhir_facade.rows.accounts import Account
from fhir_facade.rows.audit import AuditLine
from fhir_facade.rows.connections import Connection, ConnectionTokens, Cursor, PendingConnection, SyncRun
from fhir_facade.rows.oauth import Grant
from fhir_facade.simulator.data_types import ACTIVITY, SCOPES, SLEEP
from fhir_facade.values import Principal
from tests.accounts import with_account
from tests.wearables import ALEX, CALLBACK, KIM, SAM, person


async def _begin(world, principal=None, **options):
    asked = {"vendor": "google-health", "redirect_uri": CALLBACK, **options}
    return await begin(world.ports, principal or person("p1"), **asked)


async def _rows(world, row, *where):
    return await world.ports.state.read(lambda tx: tx.find(row, *where))


# --- beginning ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("principal", "options", "error"),
    [
        pytest.param(person("p1"), {"vendor": "wristwatch"}, BadRequest, id="unknown vendor"),
        pytest.param(person("p1"), {"patient": "p2"}, NotFound, id="somebody else"),
        pytest.param(person("p9"), {}, NotFound, id="a patient who is not there"),
        pytest.param(person("p1", "rs"), {}, Forbidden, id="a token that may only read"),
        pytest.param(Principal(kind="backend", scopes=person("p1").scopes), {}, BadRequest, id="nobody in context"),
    ],
)
async def test_a_connection_needs_a_vendor_and_a_patient_one_may_write_for(world, principal, options, error):
    with pytest.raises(error):
        await _begin(world, principal, **options)

    assert await _rows(world, Connection) == []


async def test_beginning_again_keeps_the_connection(world):
    first, second = await _begin(world), await _begin(world)

    assert first.connection == second.connection
    assert first.connection.state == "pending"
    assert first.authorize_url != second.authorize_url


async def test_neither_state_nor_verifier_are_stored_readable(world):
    begun = await _begin(world)
    state = begun.authorize_url.split("state=")[1].split("&")[0]

    (pending,) = await _rows(world, PendingConnection)

    assert state not in repr(pending)
    assert pending.hash != state


# --- coming back ----------------------------------------------------------------------------------------------


async def test_an_unknown_state_is_refused(world):
    with pytest.raises(BadRequest, match="begin the connection again"):
        await finish(world.ports, state="guess", code="c")


async def test_a_state_works_once(world):
    answer = await world.click((await _begin(world)).authorize_url, ALEX)
    await finish(world.ports, state=answer["state"], code=answer["code"])

    with pytest.raises(BadRequest):
        await finish(world.ports, state=answer["state"], code=answer["code"])


async def test_a_state_dies_after_ten_minutes_and_is_swept(world):
    answer = await world.click((await _begin(world)).authorize_url, ALEX)
    world.clock.forward(minutes=10)

    with pytest.raises(BadRequest):
        await finish(world.ports, state=answer["state"], code=answer["code"])
    await _begin(world)
    assert len(await _rows(world, PendingConnection)) == 1


@pytest.mark.parametrize("session", [None, "another session"])
async def test_a_connection_begun_in_the_portal_needs_that_session_and_is_not_used_up_by_others(world, session):
    answer = await world.click((await _begin(world, session="portal")).authorize_url, ALEX)

    with pytest.raises(BadRequest):
        await finish(world.ports, state=answer["state"], code=answer["code"], session=session)
    connection = await finish(world.ports, state=answer["state"], code=answer["code"], session="portal")

    assert connection.state == "active"


async def test_a_connection_begun_with_a_token_needs_no_session(world):
    answer = await world.click((await _begin(world)).authorize_url, ALEX)

    connection = await finish(world.ports, state=answer["state"], code=answer["code"], session="whoever")

    assert connection.state == "active"


async def test_a_person_may_refuse(world):
    answer = await world.click((await _begin(world)).authorize_url, ALEX, decision="deny")

    connection = await finish(world.ports, state=answer["state"], code=None, error=answer["error"])

    assert connection.state == "pending"
    assert "not granted" in connection.last_error


class Meanwhile:
    """The vendor, and what happens while it is asked who the person is."""

    def __init__(self, vendor, deed):
        self._vendor, self._deed = vendor, deed

    def __getattr__(self, name):
        return getattr(self._vendor, name)

    async def identity(self, token):
        await self._deed()
        return await self._vendor.identity(token)


@pytest.mark.both_stores
async def test_a_permission_that_is_withdrawn_while_the_vendor_is_asked_binds_nothing(world):
    now = world.ports.clock.now()
    grant = Grant(id="g1", scope="patient/*.cruds", created_at=now, expires_at=now + timedelta(hours=1), patient="p1")
    await world.ports.state.append([grant])
    answer = await world.click((await _begin(world, replace(person("p1"), grant="g1"))).authorize_url, ALEX)

    async def withdraw():
        await world.ports.state.write(lambda tx: revoke_grants(tx, now, "a test"))

    ports = replace(world.ports, vendors={world.google.name: Meanwhile(world.google, withdraw)})
    with pytest.raises(Withdrawn):
        await finish(ports, state=answer["state"], code=answer["code"])

    (connection,) = await _rows(world, Connection)
    assert (connection.state, connection.account) == ("pending", None)
    assert await _rows(world, ConnectionTokens) == []


async def test_two_callbacks_with_one_state_give_one_connection(world):
    answer = await world.click((await _begin(world)).authorize_url, ALEX)

    both = await asyncio.gather(
        *(finish(world.ports, state=answer["state"], code=answer["code"]) for _ in range(2)), return_exceptions=True
    )

    assert sorted(type(each).__name__ for each in both) == ["BadRequest", "ConnectionView"]


# --- connected ------------------------------------------------------------------------------------------------


@pytest.mark.both_stores
async def test_the_granted_scopes_make_the_consent_and_the_device_is_named(world):
    connection = await world.connect()

    (row,) = await _rows(world, Connection)
    consent = await world.read("Consent", row.consent)
    device = await world.read("Device", row.device)
    assert (connection.state, connection.missing_scopes) == ("active", ())
    assert connection.zone == "Europe/Berlin"
    assert consent["status"] == "active"
    assert consent["patient"] == {"reference": "Patient/p1"}
    granted = {concept["coding"][0]["code"] for concept in consent["provision"]["code"]}
    assert granted == set(world.ports.vendors["google-health"].scopes)
    assert device["deviceName"][0]["name"] == "Charge 6"


async def test_tokens_are_sealed_and_the_connection_is_in_the_audit(world):
    connection = await world.connect()

    (row,) = await _rows(world, Connection)
    (tokens,) = await _rows(world, ConnectionTokens)
    (line,) = await _rows(world, AuditLine, ("action", "=", "connect"))
    token = await access_token(world.ports, row)
    assert token.startswith("ya29.")
    assert token.encode() not in tokens.sealed
    assert (line.patient, line.outcome, line.user) == (connection.patient, "success", "account-p1")


@pytest.mark.both_stores
async def test_fewer_scopes_are_said_and_what_was_granted_works(world):
    connection = await world.connect(scopes=(SLEEP,))

    report = await world.sync(connection)

    assert connection.state == report.connection.state == "missing-scopes"
    assert ACTIVITY in connection.missing_scopes
    assert report.metrics["sleep"].created > 10
    assert {name for name, metric in report.metrics.items() if metric.error is None} == {"sleep"}
    assert len(await world.observations()) == report.metrics["sleep"].created


async def test_an_account_without_a_health_profile_is_not_linked(world):
    connection = await world.connect(account=KIM)

    assert connection.state == "not-linked"
    assert "Google Health profile" in connection.last_error
    assert await _rows(world, ConnectionTokens) == []


async def test_an_account_of_another_patient_is_refused_and_stays_with_the_first(world):
    first = await world.connect("p1", ALEX)

    with pytest.raises(AlreadyLinked, match="linked to another person"):
        await world.connect("p2", ALEX)

    (second,) = await _rows(world, Connection, ("patient", "=", "p2"))
    assert (second.state, await world.state(first)) == ("error", "active")
    assert "linked to another person" in second.last_error
    assert (await world.sync(first)).error is None
    assert await world.observations("p2") == {}


@pytest.mark.both_stores
async def test_two_patients_racing_for_one_account_do_not_both_get_it(world):
    both = await asyncio.gather(world.connect("p1", ALEX), world.connect("p2", ALEX), return_exceptions=True)

    assert sorted(type(each).__name__ for each in both) == ["AlreadyLinked", "ConnectionView"]
    assert sorted(each.state for each in await _rows(world, Connection)) == ["active", "error"]


async def test_another_account_does_not_slip_into_a_connection_that_works(world):
    connection = await world.connect("p1", ALEX)

    with pytest.raises(AlreadyLinked, match="another account"):
        await world.connect("p1", SAM)

    (kept,) = await _rows(world, Connection)
    assert (kept.id, kept.state) == (connection.id, "active")
    assert kept.account.endswith("0001")


@pytest.mark.parametrize("kind", ["server-error", "garbage", "empty", "invalid-grant", "throttled", "gone", "slow"])
async def test_a_token_endpoint_that_fails_leaves_an_error_and_a_second_attempt_works(world, kind):
    await world.fault(kind=kind, where="token", times=-1, seconds=2)
    failed = await world.connect()
    await world.calm()

    assert failed.state == "error"
    assert failed.last_error
    assert (await world.connect()).state == "active"


async def test_foreign_and_absent_connections_answer_alike(world):
    connection = await world.connect("p1")
    answers = []
    for connection_id in (connection.id, "absent"):
        with pytest.raises(NotFound) as caught:
            await look(world.ports, person("p2"), connection_id)
        answers.append(str(caught.value).replace(connection_id, "X"))

    assert answers[0] == answers[1]
    assert await connections_of(world.ports, person("p2"), "p1") == ()
    assert [each.id for each in await connections_of(world.ports, person("p1"), "p1")] == [connection.id]


# --- tokens ---------------------------------------------------------------------------------------------------


async def test_an_old_token_is_refreshed_once_however_many_need_it(world):
    await world.connect()
    (row,) = await _rows(world, Connection)
    await world.forget_log()
    world.clock.forward(hours=1)

    tokens = await asyncio.gather(*(access_token(world.ports, row) for _ in range(8)))

    assert len(set(tokens)) == 1
    assert [each["body"]["grant_type"] for each in await world.asked("/token")] == ["refresh_token"]


async def test_a_refused_token_is_replaced_once_however_many_were_refused(world):
    await world.connect()
    (row,) = await _rows(world, Connection)
    old = await access_token(world.ports, row)
    await world.forget_log()

    tokens = await asyncio.gather(*(access_token(world.ports, row, refused=old) for _ in range(8)))

    assert len({old, *tokens}) == 2
    assert len(await world.asked("/token")) == 1


@pytest.mark.both_stores
async def test_access_withdrawn_at_the_vendor_asks_for_a_new_consent_and_comes_back_with_it(world):
    connection = await world.connect()
    await world.sync(connection)
    before = await world.versions()
    await world.vendor.post("/simulator/withdraw", json={"account": ALEX})

    report = await world.sync(connection)
    again = await world.connect()

    assert report.connection.state == "reconsent-needed"
    assert "connect again" in report.error
    assert (again.id, again.state) == (connection.id, "active")
    assert (await world.sync(again)).error is None
    assert await world.versions() == before


# --- disconnecting --------------------------------------------------------------------------------------------


@pytest.mark.both_stores
async def test_disconnecting_revokes_ends_the_consent_and_keeps_the_data(world):
    connection = await world.connect()
    await world.sync(connection)
    (row,) = await _rows(world, Connection)
    kept = await world.versions()

    ended = await disconnect(world.ports, person("p1"), connection.id)

    consent = await world.read("Consent", row.consent)
    assert ended.revoked
    assert (consent["status"], "end" in consent["provision"]["period"]) == ("inactive", True)
    for kind in (Connection, ConnectionTokens, Cursor, PendingConnection, SyncRun):
        assert await _rows(world, kind) == []
    assert await world.versions() == kept != {}
    with pytest.raises(NotFound):
        await world.sync(connection)


@pytest.mark.parametrize(("chosen", "after"), [("UTC", "Europe/Berlin"), ("Asia/Tokyo", "Asia/Tokyo")])
async def test_the_day_of_a_person_stays_the_own_one_after_disconnecting(world, chosen, after):
    await with_account(world.ports, NewAccount("ann", "patient", "correct horse battery", patient_id="p1", zone=chosen))
    await with_account(world.ports, NewAccount("bob", "patient", "correct horse battery", patient_id="p2"))
    connection = await world.connect()

    await disconnect(world.ports, person("p1"), connection.id)

    assert {row.username: row.zone for row in await _rows(world, Account)} == {"ann": after, "bob": "UTC"}


@pytest.mark.both_stores
async def test_disconnecting_works_when_the_vendor_does_not_answer_and_says_so(world):
    connection = await world.connect()
    await world.fault(kind="server-error", where="revoke", times=-1)

    ended = await disconnect(world.ports, person("p1"), connection.id)

    assert not ended.revoked
    assert await _rows(world, ConnectionTokens) == []


async def test_a_connection_that_was_never_completed_can_be_removed(world):
    begun = await _begin(world)

    await disconnect(world.ports, person("p1"), begun.connection.id)

    assert await _rows(world, Connection) == []


async def test_nobody_disconnects_for_somebody_else(world):
    connection = await world.connect()

    with pytest.raises(NotFound):
        await disconnect(world.ports, person("p2"), connection.id)
    with pytest.raises(Forbidden):
        await disconnect(world.ports, person("p1", "rs"), connection.id)

    assert await world.state(connection) == "active"


async def test_after_disconnecting_another_patient_may_connect_the_account(world):
    connection = await world.connect("p1", ALEX)
    await disconnect(world.ports, person("p1"), connection.id)

    assert (await world.connect("p2", ALEX)).state == "active"


async def test_a_vendor_that_was_switched_off_can_still_be_disconnected(world):
    connection = await world.connect(scopes=tuple(SCOPES))

    ended = await disconnect(replace(world.ports, vendors={}), person("p1"), connection.id)

    assert not ended.revoked
    assert await _rows(world, Connection) == []
