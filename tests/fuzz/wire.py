"""Requests as the bytes they are, and what comes back; nothing in between repairs or refuses them.

https://www.rfc-editor.org/rfc/rfc9112
"""

from __future__ import annotations

import contextlib
import http.client
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import msgspec

PATIENCE_S = 30.0
"""Longer than what counts as slow, so that it is known how slow."""

GIVEN_UP: Final = 499
"""No status of HTTP: the caller did not wait for one."""


class Request(msgspec.Struct, frozen=True, omit_defaults=True):
    """One request. `caller` names who sends it (`stage.Stage` knows their tokens and cookies); text is Latin-1.

    Words in braces that the stage knows, such as `{csrf}` of the caller, are replaced in target and body. With `chunk`
    the body goes in chunks of so many bytes. Who has `given_up` sends a part of it and is gone.
    """

    method: str
    target: str
    caller: str = "nobody"
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes | None = None
    chunk: int = 0
    given_up: bool = False

    def __repr__(self) -> str:
        """For reports of Hypothesis; the whole request is in the finding."""
        return f"<{self.method} {self.target[:200]} as {self.caller}>"

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    def header(self, name: str) -> str:
        return next((value for key, value in self.headers if key.lower() == name), "")


@dataclass(frozen=True)
class Answer:
    """`status` 0: the connection ended without an answer. Header names are in lower case. `elsewhere` is what a facade
    on another store answered to the same request."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    seconds: float = 0.0
    elsewhere: Answer | None = None

    @property
    def content_type(self) -> str:
        return self.headers.get("content-type", "").partition(";")[0].strip()


def rendered(request: Request, host: str, identity: Mapping[str, str], known: Mapping[str, str]) -> bytes:
    """The bytes of a request by a caller with these headers."""
    target, body = request.target, request.body
    for word, text in known.items():
        target = target.replace(f"{{{word}}}", text)
        body = None if body is None else body.replace(f"{{{word}}}".encode(), text.encode())
    given = {name.lower() for name, _ in request.headers}
    lines = [("Host", host)] if "host" not in given else []
    lines += [(name, value) for name, value in identity.items() if name.lower() not in given]
    lines += request.headers
    if body is not None and request.chunk:
        lines.append(("Transfer-Encoding", "chunked"))
        body = _chunked(body, request.chunk)
    elif body is not None and "content-length" not in given:
        lines.append(("Content-Length", str(len(body))))
    head = "".join(f"{name}: {value}\r\n" for name, value in lines)
    return f"{request.method} {target} HTTP/1.1\r\n{head}\r\n".encode("latin-1") + (body or b"")


def _chunked(body: bytes, size: int) -> bytes:
    parts = [body[at : at + size] for at in range(0, len(body), size)]
    return b"".join(f"{len(part):x}\r\n".encode() + part + b"\r\n" for part in parts) + b"0\r\n\r\n"


class Line:
    """A connection that is kept while the server keeps it."""

    def __init__(self, host: str, port: int) -> None:
        self._address = (host, port)
        self._socket: socket.socket | None = None
        self._kept = False
        self._started = 0.0

    def ask(self, message: bytes, method: str, *, stream: bool = False) -> Answer:
        """The answer to these bytes. Of a `stream` only the head is awaited."""
        self.send(message)
        return self.receive(message, method, stream=stream)

    def give_up(self, message: bytes) -> Answer:
        """Send two thirds and be gone; there is no answer to judge, only what the server writes about it."""
        self.send(message[: len(message) * 2 // 3])
        self.close()
        return Answer(GIVEN_UP)

    def send(self, message: bytes) -> None:
        self._kept = self._socket is not None
        self._started = time.perf_counter()
        if self._socket is None:
            self._socket = socket.create_connection(self._address, PATIENCE_S)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # it may have answered and gone
            self._socket.sendall(message)

    def receive(self, message: bytes, method: str, *, stream: bool = False) -> Answer:
        """What was sent on a kept connection and is not answered at all is sent again on a new one: the server may have
        given the old one up at that moment."""
        answer = self._received(method, stream=stream)
        if answer.status == 0 and self._kept:
            self.send(message)
            return self._received(method, stream=stream)
        return answer

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _received(self, method: str, *, stream: bool) -> Answer:
        assert self._socket is not None
        response = http.client.HTTPResponse(self._socket, method=method)
        try:
            response.begin()
            body = b"" if stream and response.status == 200 else response.read()
        except (OSError, http.client.HTTPException):
            self.close()
            return Answer(0, seconds=time.perf_counter() - self._started)
        headers = {name.lower(): value for name, value in response.getheaders()}
        if response.will_close or stream:
            self.close()
        response.close()
        return Answer(response.status, headers, body, time.perf_counter() - self._started)


def readable(message: bytes, most: int = 4000) -> str:
    """The bytes of a message as text for people; what is no text is escaped."""
    shown = message[:most].decode("utf-8", "backslashreplace").replace("\x00", "\\x00").replace("\r\n", "\n")
    return shown + (f"\n… {len(message) - most} bytes more" if len(message) > most else "")
