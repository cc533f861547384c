"""E-mail through a server of the operator. https://www.rfc-editor.org/rfc/rfc5321, https://www.rfc-editor.org/rfc/rfc8314

The standard library's client works in a thread: a few notices a minute need no more.
"""

from __future__ import annotations

import asyncio
import smtplib
import ssl
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import format_datetime, parseaddr
from typing import Final
from urllib.parse import parse_qsl, unquote, urlsplit

from fhir_facade.errors import BadRequest, MailRefused, Unavailable
from fhir_facade.ports import Mail

TIMEOUT_S: Final = 20.0
_PORTS: Final = {"smtp": 587, "smtps": 465}
_LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})
_FOR_GOOD: Final = 500
"""Replies from here on mean: do not try again."""


@dataclass(frozen=True, slots=True)
class SmtpServer:
    """`security`: `tls` from the first byte, `starttls` before anything is said, or `off`."""

    host: str
    port: int
    security: str
    user: str = ""
    password: str = ""


class SmtpMailer:
    """`Mailer` over SMTP: a connection for each message."""

    def __init__(self, server: SmtpServer, sender: str) -> None:
        self._server = server
        self._sender = sender

    async def send(self, mail: Mail) -> None:
        message = _message(mail, self._sender)
        try:
            await asyncio.to_thread(self._hand_over, message)
        except smtplib.SMTPRecipientsRefused as error:
            codes = [code for code, _ in error.recipients.values()]
            raise _refusal(min(codes)) from None  # the texts name the address
        except smtplib.SMTPDataError as error:
            raise _refusal(error.smtp_code) from None
        except (smtplib.SMTPException, OSError) as error:
            raise Unavailable(f"The mail server did not take the message ({type(error).__name__}).") from None

    def _hand_over(self, message: EmailMessage) -> None:
        server, context = self._server, ssl.create_default_context()
        with self._connected(context) as connection:
            if server.security == "starttls":
                connection.starttls(context=context)
            if server.user:
                connection.login(server.user, server.password)
            connection.send_message(message)

    def _connected(self, context: ssl.SSLContext) -> smtplib.SMTP:
        server = self._server
        if server.security == "tls":
            return smtplib.SMTP_SSL(server.host, server.port, timeout=TIMEOUT_S, context=context)
        return smtplib.SMTP(server.host, server.port, timeout=TIMEOUT_S)


def open_mailer(url: str, sender: str) -> SmtpMailer:
    """The mailer of the settings. BadRequest says which of them is wrong."""
    address = parseaddr(sender)[1]
    if address.count("@") != 1 or not sender.isprintable():
        raise BadRequest("FHIR_FACADE_MAIL_FROM is the address notices come from, such as notices@health.example.org.")
    return SmtpMailer(parse_smtp_url(url), sender)


def parse_smtp_url(url: str) -> SmtpServer:
    """BadRequest for an address that cannot be meant; a password is never sent in the clear to another machine."""
    try:
        parts = urlsplit(url)
        host, port, options = parts.hostname or "", parts.port, dict(parse_qsl(parts.query, strict_parsing=True))
    except ValueError:
        host, port, options, parts = "", None, {}, urlsplit("")
    if parts.scheme not in _PORTS or not host or parts.path not in ("", "/") or options not in ({}, {"tls": "off"}):
        raise BadRequest(
            "FHIR_FACADE_SMTP_URL is smtps://user:password@host:465 or smtp://host:587, perhaps with ?tls=off."
        )
    security = "tls" if parts.scheme == "smtps" else "starttls"
    if options or (security == "starttls" and host in _LOOPBACK):
        security = "off"
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    if user and security == "off" and host not in _LOOPBACK:
        raise BadRequest("FHIR_FACADE_SMTP_URL has a password and tls=off: it would cross the network in the clear.")
    return SmtpServer(host, port or _PORTS[parts.scheme], security, user, password)


def _message(mail: Mail, sender: str) -> EmailMessage:
    """Marked as sent by a machine, so that nobody's absence note answers. https://www.rfc-editor.org/rfc/rfc3834"""
    message = EmailMessage()
    message["From"] = sender
    message["To"] = mail.to
    message["Subject"] = mail.subject
    message["Date"] = format_datetime(mail.at)
    message["Message-ID"] = f"<{mail.id}@{parseaddr(sender)[1].rpartition('@')[2]}>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(mail.text)
    message["Content-Language"] = mail.language
    return message


def _refusal(code: int) -> Unavailable:
    """For good, or for now; the number alone, because what servers say repeats the address."""
    if code >= _FOR_GOOD:
        return MailRefused(f"The mail server refused the message for good ({code}).")
    return Unavailable(f"The mail server refused the message for now ({code}).")
