"""HTTP as clients other than libraries speak it, against the real serve process with its event loop."""

from __future__ import annotations

import json
import re
import socket
import urllib.request
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from tests.facade import Served, facade_env, served
from tests.patience import PATIENCE_S

PATIENT = b'{"resourceType": "Patient", "id": "p1"}'


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("http")
    with served(facade_env(folder / "data"), folder / "log") as running:
        yield running
    assert (folder / "log").read_text() == ""


@pytest.fixture(scope="module")
def token(server: Served) -> bytes:
    return server.token().encode()


def said(server: Served, request: bytes, *, then: int | None = None) -> bytes:
    """All that the server answers until it closes the connection. `then` is what the client closes of it before."""
    address = urlsplit(server.url)
    with socket.create_connection((str(address.hostname), address.port or 0), timeout=PATIENCE_S) as connection:
        connection.sendall(request)
        if then is not None:
            connection.shutdown(then)
        answer = b""
        while piece := connection.recv(65_536):
            answer += piece
    return answer


def head(line: bytes, token: bytes, version: bytes = b"1.1") -> bytes:
    return line + b" HTTP/" + version + b"\r\nHost: a\r\nAuthorization: Bearer " + token + b"\r\n"


@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
def test_who_ends_their_side_behind_the_request_is_answered(server: Served, token: bytes, version: bytes) -> None:
    """As `nc -N` and some proxies do it."""
    length = b"Content-Type: application/fhir+json\r\nContent-Length: %d\r\n\r\n" % len(PATIENT)
    write = head(b"PUT /fhir/Patient/p1", token, version) + length + PATIENT
    asked = (
        write,
        head(b"GET /fhir/Patient/p1", token, version) + b"\r\n",
        head(b"GET /api/v1/alerts", token, version) + b"\r\n",
        head(b"GET /docs", token, version) + b"\r\n",
        head(b"GET /static/facade.css", token, version) + b"\r\n",
    )

    answers = [said(server, each, then=socket.SHUT_WR) for each in asked]

    assert all(each.startswith(b"HTTP/1.1 20") for each in answers), answers


def test_a_stream_of_events_ends_with_the_side_of_who_listens(server: Served, token: bytes) -> None:
    """A browser that is gone looks the same."""
    told = said(server, head(b"GET /api/v1/alerts/stream", token) + b"\r\n", then=socket.SHUT_WR)

    assert not told or told.startswith(b"HTTP/1.1 200 ")


PAGES = ("/", "/login", "/sign-ins", "/static/facade.css", "/nothing/there")
STREAM = "/api/v1/alerts/stream"
CLOSE = b"Connection: close\r\n\r\n"
VALUES = re.compile(rb"(?<=\r\n)(x-request-id|content-length|set-cookie):[^\r]+")
"""What differs when the same is asked twice: measured times are longer or shorter."""


def test_head_is_answered_wherever_get_is(server: Served, token: bytes) -> None:
    """The same head. https://www.rfc-editor.org/rfc/rfc9110#section-9.3.2"""
    with urllib.request.urlopen(f"{server.url}/openapi.json", timeout=PATIENCE_S) as answer:
        described = json.load(answer)["paths"]
    paths = [path for path, methods in described.items() if "get" in methods and path != STREAM]
    assert len(paths) > 30
    assert "/metrics" in paths

    for path in (*paths, "/docs", "/openapi.json", *PAGES):
        target = re.sub(r"{[^}]+}", "nobody", path).encode()
        got, without = (said(server, head(method + b" " + target, token) + CLOSE) for method in (b"GET", b"HEAD"))
        told, _, content = without.partition(b"\r\n\r\n")
        assert VALUES.sub(rb"\1", told) == VALUES.sub(rb"\1", got.partition(b"\r\n\r\n")[0]), path
        assert content == b"", path


def test_a_head_of_the_stream_of_events_ends(server: Served, token: bytes) -> None:
    told = said(server, head(f"HEAD {STREAM}".encode(), token) + CLOSE)

    assert told.startswith(b"HTTP/1.1 200 ")
    assert b"content-type: text/event-stream" in told
    assert told.endswith(b"\r\n\r\n")
    assert told.count(b"\r\n\r\n") == 1


@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
def test_a_stream_of_events_says_once_whether_the_connection_is_kept(
    server: Served, token: bytes, version: bytes
) -> None:
    address = urlsplit(server.url)
    with socket.create_connection((str(address.hostname), address.port or 0), timeout=PATIENCE_S) as connection:
        connection.sendall(head(f"GET {STREAM}".encode(), token, version) + b"\r\n")
        told = b""
        while b"\r\n\r\n" not in told:
            told += connection.recv(65_536)

    said = [line for line in told.lower().split(b"\r\n") if line.startswith(b"connection:")]
    assert said == ([b"connection: close"] if version == b"1.0" else [])
