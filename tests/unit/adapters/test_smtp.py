"""E-mail over SMTP: what is refused for good, what is tried again, and what a message looks like."""

import base64
from datetime import UTC, datetime

import pytest

from fhir_facade.adapters.smtp import SmtpMailer, SmtpServer, open_mailer, parse_smtp_url
from fhir_facade.errors import BadRequest, MailRefused, Unavailable
from fhir_facade.ports import Mail
from tests.mail_server import mail_server

SENDER = "The service <notices@health.example>"
MAIL = Mail(
    "4c1e", "ann@home.example", "Grüße", "Zeile eins\n.Zeile zwei\n", "de", datetime(2026, 3, 1, 12, tzinfo=UTC)
)


@pytest.mark.parametrize(
    "url",
    [
        "mail.example:25",
        "http://mail.example",
        "smtp://",
        "smtp://mail.example:many",
        "smtp://mail.example/folder",
        "smtp://mail.example?tls=on",
        "smtp://mail.example?tls",
        "smtp://user:secret@mail.example?tls=off",
    ],
)
def test_an_address_that_cannot_be_meant_is_refused(url):
    with pytest.raises(BadRequest, match="FHIR_FACADE_SMTP_URL"):
        parse_smtp_url(url)


@pytest.mark.parametrize("sender", ["", "nobody", "a@b@c", "a@b.example\nBcc: c@d.example"])
def test_a_sender_that_is_no_address_is_refused(sender):
    with pytest.raises(BadRequest, match="FHIR_FACADE_MAIL_FROM"):
        open_mailer("smtp://mail.example", sender)


@pytest.mark.parametrize(
    ("url", "server"),
    [
        ("smtp://mail.example", SmtpServer("mail.example", 587, "starttls")),
        ("smtp://mail.example:25?tls=off", SmtpServer("mail.example", 25, "off")),
        ("smtps://mail.example", SmtpServer("mail.example", 465, "tls")),
        ("smtps://u%40x:p%2Fq@mail.example", SmtpServer("mail.example", 465, "tls", "u@x", "p/q")),
        ("smtp://u:p@localhost:2525", SmtpServer("localhost", 2525, "off", "u", "p")),
    ],
)
def test_an_address_says_how_to_reach_the_server(url, server):
    assert parse_smtp_url(url) == server


async def test_a_message_arrives_whole_and_marked_as_sent_by_a_machine():
    async with mail_server() as server:
        await open_mailer(server.url, SENDER).send(MAIL)
    (message,) = server.messages
    assert message["To"] == "ann@home.example"
    assert message["From"] == SENDER
    assert message["Subject"] == "Grüße"
    assert message["Message-ID"] == "<4c1e@health.example>"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["Content-Language"] == "de"
    assert message["Date"] == "Sun, 01 Mar 2026 12:00:00 +0000"
    assert message.get_content().replace("\r\n", "\n") == MAIL.text


async def test_a_server_that_wants_to_know_the_sender_is_told():
    async with mail_server() as server:
        await open_mailer(server.url.replace("//", "//us%40er:pass@"), SENDER).send(MAIL)
    assert [base64.b64decode(each) for each in server.logins] == [b"\0us@er\0pass"]
    assert len(server.messages) == 1


@pytest.mark.parametrize(
    ("answers", "error"),
    [
        ({"RCPT": "550 nobody here of that name"}, MailRefused),
        ({"RCPT": "450 come back later"}, Unavailable),
        ({".": "554 no"}, MailRefused),
        ({".": "451 later"}, Unavailable),
        ({"MAIL": "530 who are you"}, Unavailable),
        ({"EHLO": "500 what", "HELO": "421 closing"}, Unavailable),
    ],
)
async def test_what_will_never_be_taken_is_told_from_what_may_be_later(answers, error):
    async with mail_server(answers=answers) as server:
        with pytest.raises(error) as raised:
            await open_mailer(server.url, SENDER).send(MAIL)
    assert type(raised.value) is error
    assert "ann@" not in str(raised.value)
    assert "nobody here" not in str(raised.value)
    assert server.messages == []


async def test_a_wrong_password_is_tried_again_later():
    async with mail_server(answers={"AUTH": "535 wrong"}) as server:
        with pytest.raises(Unavailable) as raised:
            await open_mailer(server.url.replace("//", "//u:p@"), SENDER).send(MAIL)
    assert type(raised.value) is Unavailable


async def test_nothing_is_said_to_a_server_that_cannot_speak_in_private():
    async with mail_server() as server:
        with pytest.raises(Unavailable) as raised:
            await SmtpMailer(SmtpServer("127.0.0.1", server.port, "starttls"), SENDER).send(MAIL)
    assert type(raised.value) is Unavailable
    assert server.messages == []


async def test_a_server_that_is_not_there_is_tried_again_later():
    async with mail_server() as server:
        gone = server.url
    with pytest.raises(Unavailable):
        await open_mailer(gone, SENDER).send(MAIL)
