"""Notices by e-mail: who is told of what, once, without a word about their health; and how delivery goes on."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from msgspec.structs import replace as replaced

from fhir_facade.adapters.smtp import open_mailer
from fhir_facade.errors import BadRequest
from fhir_facade.flows.accounts import NewAccount, change_account, check_account, disable_account
from fhir_facade.flows.launch.sign_in import Caller
from fhir_facade.flows.launch.sweep import sweep
from fhir_facade.flows.mail import LEASE, PAUSES, deliver_due, notices, written
from fhir_facade.flows.passwords import replace_password
from fhir_facade.flows.sessions import sign_in_with_password
from fhir_facade.flows.sign_ins import Device
from fhir_facade.rows.accounts import Account
from fhir_facade.rows.audit import AuditLine
from fhir_facade.rows.mail import DueMail
from fhir_facade.values import Deployment
from tests.mail_server import mail_server
from tests.sign_in_world import BASE, PASSWORD

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
ADDRESS = "ann@home.example"
KINDS = ("new-device", "password", "address", "new-app", "emergency")


@pytest.fixture
async def server():
    async with mail_server() as running:
        yield running


@pytest.fixture
async def posted(world, server):
    """The world with a mail server, and an address on the account of ann."""
    deployment = Deployment(fhir_url=f"{BASE}/fhir", software_version="1")
    ports = replace(world.ports, mailer=open_mailer(server.url, "notices@facade.example"), deployment=deployment)
    posted = replace(world, sign_in=replace(world.sign_in, ports=ports))
    ann = await account(posted, "ann")
    await change_account(ports, ann.id, email=ADDRESS, zone="Europe/Berlin", actor="test")
    return posted


async def account(world, name):
    (row,) = await world.rows(Account, ("username_key", "=", name))
    return row


async def sign_in(world, secret, name="ann"):
    device = Device(secret, "Firefox, Windows")
    await sign_in_with_password(
        world.ports, username=name, password=PASSWORD, old_cookie=None, caller=Caller("192.0.2.7"), device=device
    )


async def due(world):
    return [row.kind for row in await world.rows(DueMail)]


@pytest.mark.parametrize("address", ["ann", "ann@", "a b@c.example", "a@b.example\nBcc: x@y.example", "a@" + "b" * 254])
def test_what_can_be_no_address_is_refused(address):
    with pytest.raises(BadRequest):
        check_account(NewAccount("carl", "admin", PASSWORD, email=address))


async def test_an_account_keeps_its_address_when_the_new_one_can_be_none(posted):
    ann = await account(posted, "ann")
    with pytest.raises(BadRequest):
        await change_account(posted.ports, ann.id, email="nowhere", actor="test")
    assert await account(posted, "ann") == ann


async def test_a_new_device_is_told_of_once_and_a_known_one_never(posted, server):
    await sign_in(posted, "first")
    assert await due(posted) == []  # nobody has to be told of the only device there is
    await sign_in(posted, "second")
    await sign_in(posted, "second")
    assert await due(posted) == ["new-device"]
    assert await deliver_due(posted.ports) == 1
    assert await deliver_due(posted.ports) == 0
    (message,) = server.messages
    assert message["To"] == ADDRESS
    assert f"{BASE}/sign-ins" in message.get_content()
    assert "2026-03-01 13:00 (Europe/Berlin)" in message.get_content()


@pytest.mark.parametrize("language", ["en", "de"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_message_says_what_when_and_where_to_look_and_nobodys_name(kind, language):
    mail = written(row_of(kind, language), BASE, NOON)
    assert (mail.id, mail.to, mail.language) == ("m1", ADDRESS, language)
    assert "2026-03-01 13:00 (Europe/Berlin)" in mail.text
    assert f"\n{BASE}/" in mail.text
    assert not [word for word in ("account-1", ADDRESS, "{", "}") if word in f"{mail.subject} {mail.text}"]


def test_a_language_without_sentences_is_told_in_english():
    assert written(row_of("password", "xx"), BASE, NOON).subject == "Your password was changed"


def row_of(kind, language):
    zone = "Europe/Berlin"
    return DueMail(
        id="m1",
        account_id="account-1",
        kind=kind,
        address=ADDRESS,
        language=language,
        zone=zone,
        happened_at=NOON,
        due_at=NOON,
    )


async def test_a_new_password_is_told_to_its_owner(posted):
    ann = await account(posted, "ann")
    caller = Caller("192.0.2.7")
    await replace_password(posted.ports, ann, current=PASSWORD, new="another long one", keep=None, caller=caller)
    assert await due(posted) == ["password"]


async def test_the_address_that_is_left_is_told_so(posted, server):
    ann = await account(posted, "ann")
    await change_account(posted.ports, ann.id, email="new@home.example", actor="person")
    await change_account(posted.ports, ann.id, email="new@home.example", actor="person")
    await change_account(posted.ports, ann.id, email="", actor="person")
    await deliver_due(posted.ports)
    assert {message["To"] for message in server.messages} == {ADDRESS, "new@home.example"}
    assert (await account(posted, "ann")).email is None
    lines = await posted.rows(AuditLine, ("action", "=", "admin"), ("user", "=", ann.id))
    assert "account changed: email" in [line.detail for line in lines]
    assert not [line for line in lines if "@" in (line.detail or "")]


async def test_an_app_is_told_of_the_first_time_only(posted):
    await posted.code()
    await posted.code()
    assert await due(posted) == ["new-app"]


async def test_an_app_that_was_denied_is_nothing_to_tell(posted):
    with pytest.raises(KeyError):  # no code comes back
        await posted.code(scope="patient/*.rs", ticked="nothing")
    assert await due(posted) == []


async def test_nothing_is_queued_without_an_address_for_a_disabled_account_or_without_a_server(posted, world):
    ann = await disable_account(posted.ports, "ann")
    assert ann.email == ADDRESS
    assert notices(posted.ports, ann, "password") == ()
    assert notices(posted.ports, await account(posted, "root"), "password") == ()
    assert notices(world.ports, replaced(ann, disabled=False), "password") == ()
    assert await deliver_due(world.ports) == 0


async def test_a_message_that_is_refused_for_now_waits_longer_each_time_and_is_given_up_at_last(posted, server):
    server.answers = {"RCPT": "451 later"}
    await queue(posted)
    for pause in PAUSES:
        assert await deliver_due(posted.ports) == 1
        assert await deliver_due(posted.ports) == 0
        posted.clock.move(seconds=pause.total_seconds())
    assert await deliver_due(posted.ports) == 1
    assert await due(posted) == []
    (line,) = await posted.rows(AuditLine, ("action", "=", "notify"))
    assert line.outcome == "failed"
    assert "given up after 8 attempts" in line.detail
    assert ADDRESS not in line.detail


async def test_a_message_that_is_taken_at_the_second_attempt_keeps_its_name(posted, server):
    server.answers = {".": "451 later"}
    row = await queue(posted)
    await deliver_due(posted.ports)
    server.answers = {}
    posted.clock.move(seconds=PAUSES[0].total_seconds())
    await deliver_due(posted.ports)
    (message,) = server.messages
    assert message["Message-ID"] == f"<{row.id}@facade.example>"
    (line,) = await posted.rows(AuditLine, ("action", "=", "notify"))
    ann = await account(posted, "ann")
    assert (line.outcome, line.detail, line.user) == ("success", "password", row.account_id)
    assert line.patient == ann.patient_id is not None


async def test_the_line_of_a_notice_names_a_patient_for_an_account_of_a_patient_alone(posted, server):
    doctor = await account(posted, "bob")
    await queue(posted, "bob")
    server.answers = {"RCPT": "550 nobody"}
    await deliver_due(posted.ports)
    (line,) = await posted.rows(AuditLine, ("action", "=", "notify"))
    assert (line.outcome, line.user, line.patient) == ("failed", doctor.id, None)


async def test_a_message_that_is_refused_for_good_is_not_tried_again(posted, server):
    server.answers = {"RCPT": "550 nobody"}
    await queue(posted)
    assert await deliver_due(posted.ports) == 1
    assert await due(posted) == []
    (line,) = await posted.rows(AuditLine, ("action", "=", "notify"))
    assert line.outcome == "failed"


async def test_what_one_process_holds_no_other_sends_until_that_one_is_dead(posted, server):
    row = await queue(posted)
    held = posted.clock.now() + LEASE
    await posted.ports.state.write(lambda tx: tx.change(DueMail, [("id", "=", row.id)], leased_until=held))
    assert await deliver_due(posted.ports) == 0
    posted.clock.move(seconds=LEASE.total_seconds())
    assert await deliver_due(posted.ports) == 1
    assert len(server.messages) == 1


async def test_what_waited_for_a_week_tells_nothing_new(posted):
    await queue(posted)
    posted.clock.move(days=7)
    await sweep(posted.ports)
    assert await due(posted) == []


async def test_the_queue_sends_once_when_two_deliver_at_the_same_time(posted, server):
    for _ in range(5):
        await queue(posted)
    tried = await asyncio.gather(deliver_due(posted.ports), deliver_due(posted.ports))
    assert sum(tried) == 5
    assert len({message["Message-ID"] for message in server.messages}) == len(server.messages) == 5


async def queue(world, name="ann"):
    """A notice that is due."""
    rows = notices(world.ports, replaced(await account(world, name), email=ADDRESS), "password")
    await world.ports.state.write(lambda tx: tx.apply(*rows))
    return rows[0].row
