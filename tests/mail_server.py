"""A mail server for tests: speaks SMTP on a port of its own and keeps what it was given.

https://www.rfc-editor.org/rfc/rfc5321
"""

from __future__ import annotations

import asyncio
import email.policy
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from email.message import EmailMessage
from typing import Any

from tests.patience import PATIENCE_S

GREETING = b"220 mail.example ESMTP\r\n"


@dataclass
class MailServer:
    """`messages` as they came, with the `logins` before them. `answers` replaces the reply to a command, e.g.
    `{"RCPT": "450 later"}`; `port` is 0 before it runs."""

    messages: list[EmailMessage] = field(default_factory=list)
    logins: list[str] = field(default_factory=list)
    answers: dict[str, str] = field(default_factory=dict)
    extensions: tuple[str, ...] = ("AUTH PLAIN",)
    port: int = 0
    news: asyncio.Event = field(default_factory=asyncio.Event)
    talks: set[asyncio.Task[None] | None] = field(default_factory=set)

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self.port}"

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, until the client says goodbye or goes away, and its socket is closed."""
        self.talks.add(asyncio.current_task())
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            await self._answer(reader, writer)
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(GREETING)
        while line := (await reader.readline()).decode():
            verb = line.split()[0].upper()
            reply = self.answers.get(verb) or self._reply(verb, line)
            writer.write(f"{reply}\r\n".encode())
            if verb == "DATA" and reply.startswith("354"):
                self._keep(await reader.readuntil(b"\r\n.\r\n"))
                writer.write(f"{self.answers.get('.', '250 taken')}\r\n".encode())
            if verb == "QUIT":
                break

    async def taken(self, count: int) -> None:
        """Returns when so many messages were taken."""
        while len(self.messages) < count:
            self.news.clear()
            await asyncio.wait_for(self.news.wait(), PATIENCE_S)

    def _reply(self, verb: str, line: str) -> str:
        if verb == "EHLO":
            names = ["mail.example", *self.extensions]
            return "\r\n".join([*(f"250-{name}" for name in names[:-1]), f"250 {names[-1]}"])
        if verb == "AUTH":
            self.logins.append(line.split()[2])
            return "235 welcome"
        return {"DATA": "354 go on", "QUIT": "221 bye"}.get(verb, "250 fine")

    def _keep(self, text: bytes) -> None:
        if "." not in self.answers:
            message: Any = email.message_from_bytes(_unstuffed(text), policy=email.policy.default)
            self.messages.append(message)
            self.news.set()


def _unstuffed(text: bytes) -> bytes:
    """Without the last line and the dots that keep others from looking like it (RFC 5321, 4.5.2)."""
    return text[: -len(b".\r\n")].replace(b"\r\n..", b"\r\n.")


@asynccontextmanager
async def mail_server(**given: Any) -> AsyncIterator[MailServer]:
    """A mail server on a free port of this machine, for the life of the block."""
    kept = MailServer(**given)
    server = await asyncio.start_server(kept.talk, "127.0.0.1", 0)
    kept.port = server.sockets[0].getsockname()[1]
    try:
        yield kept
    finally:
        server.close()
        await server.wait_closed()
        await asyncio.gather(*(talk for talk in kept.talks if talk is not None))
