"""Attacks on the lines of HTTP themselves, against the real server: one request that two readers would part in two ways.

https://portswigger.net/web-security/request-smuggling, https://www.rfc-editor.org/rfc/rfc9112#section-11.2
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack
from urllib.parse import urlsplit

import pytest

from tests.attacks.hospital import STORES
from tests.facade import Served, facade_env, served
from tests.patience import PATIENCE_S

SMUGGLED = b"GET /health?smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
MOST = 16
CHUNKED = b"Transfer-Encoding: chunked\r\n"


@pytest.fixture(scope="module", params=STORES)
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("wire")
    behind = {} if request.param == "embedded" else {"STORE": "hapi", "HAPI_URL": request.getfixturevalue("hapi_url")}
    limits = {"MAX_CONNECTIONS_PER_ADDRESS": str(MOST)}
    with served(facade_env(folder / "data", **behind, **limits), folder / "log") as running:
        yield running


def said(server: Served, request: bytes) -> bytes:
    """All that the server answers until it closes the connection."""
    address = urlsplit(server.url)
    with socket.create_connection((str(address.hostname), address.port or 0), timeout=PATIENCE_S) as connection:
        connection.sendall(request)
        answer = b""
        while piece := connection.recv(65_536):
            answer += piece
    return answer


def post(*headers: bytes) -> bytes:
    return b"POST /login HTTP/1.1\r\nHost: a\r\n" + b"".join(headers) + b"\r\n"


@pytest.mark.parametrize(
    "request_",
    [
        pytest.param(post(b"Content-Length: 5\r\n", CHUNKED) + b"0\r\n\r\n" + SMUGGLED, id="length and chunks"),
        pytest.param(post(CHUNKED, b"Content-Length: 4\r\n") + b"0\r\n\r\n" + SMUGGLED, id="chunks and length"),
        pytest.param(post(b"Content-Length: 0\r\n", b"Content-Length: 43\r\n") + SMUGGLED, id="two lengths"),
        pytest.param(post(b"Content-Length: +43\r\n") + SMUGGLED, id="a length with a sign"),
        pytest.param(post(b"Transfer-Encoding: xchunked\r\n") + SMUGGLED, id="chunks of another name"),
        pytest.param(post(b"Transfer-Encoding: chunked, identity\r\n") + b"0\r\n\r\n" + SMUGGLED, id="two codings"),
        pytest.param(post(b"Transfer-Encoding : chunked\r\n") + b"0\r\n\r\n" + SMUGGLED, id="a blank in a name"),
        pytest.param(post(b"X-A: a\r\n b: c\r\n"), id="a folded line"),
        pytest.param(post(b"X-A: a\rX-B: b\r\n"), id="a bare carriage return"),
        pytest.param(post(b"X-A: a\x00b\r\n"), id="NUL in a header"),
        pytest.param(b"GET /health HTTP/1.1\nHost: a\n\n", id="line feeds alone"),
        pytest.param(b"CONNECT 169.254.169.254:80 HTTP/1.1\r\nHost: a\r\n\r\n", id="a tunnel to somebody else"),
    ],
)
def test_request_smuggling(server: Served, request_: bytes) -> None:
    answer = said(server, request_)

    assert answer.startswith(b"HTTP/1.1 400 "), answer
    assert answer.count(b"HTTP/1.1 ") == 1


@pytest.mark.parametrize("path", [b"/ws", b"/fhir/websocket", b"/fhir", b"/api/v1/alerts/stream", b"/health"])
def test_a_websocket_past_the_checks_of_requests(server: Served, path: bytes) -> None:
    """Nothing speaks it: who asks for one is answered as if the question were not there."""
    asked = b"GET " + path + b" HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, close\r\nUpgrade: websocket\r\n"
    answer = said(server, asked + b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")

    plain = said(server, b"GET " + path + b" HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    assert answer.partition(b"\r\n")[0] == plain.partition(b"\r\n")[0]
    assert b" 101 " not in answer


@pytest.mark.parametrize(
    "path",
    [
        b"/language?to=de&next=/%0d%0aSet-Cookie:%20a=b",
        b"/login?next=//evil.example",
        b"http://evil.example/login",
        b"/login/",
        b"/api/v1/me/",
    ],
    ids=["line break in next", "another host in next", "another host in the line", "one slash more", "in the API"],
)
def test_header_injection_and_foreign_hosts(server: Served, path: bytes) -> None:
    answer = said(server, b"GET " + path + b" HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n")

    assert answer.startswith(b"HTTP/1.1 "), answer
    head = answer.partition(b"\r\n\r\n")[0].lower()
    assert b"set-cookie: a=b" not in head
    assert b"evil.example" not in head


@pytest.mark.parametrize(
    "path",
    [
        b"/static/../pages/render.py",
        b"/static/%2e%2e/pages/render.py",
        b"/static/..%2fpages%2frender.py",
        b"/static/%00",
    ],
)
def test_climbing_out_of_the_static_files(server: Served, path: bytes) -> None:
    answer = said(server, b"GET " + path + b" HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")

    assert answer.startswith(b"HTTP/1.1 404 "), answer


def test_idle_connections_that_take_all_places(server: Served) -> None:
    address = urlsplit(server.url)
    where = (str(address.hostname), address.port or 0)
    with ExitStack() as held:
        for _ in range(2 * MOST):
            held.enter_context(socket.create_connection(where, timeout=10))
        last = held.enter_context(socket.create_connection(where, timeout=10))

        assert last.recv(65_536).startswith(b"HTTP/1.1 503 ")
        assert last.recv(65_536) == b""


def test_trailers_that_would_be_headers(server: Served) -> None:
    """They come behind the body, where nobody in between has looked at them: with an address, a token, a type."""
    head = b"POST /fhir/Patient/_search HTTP/1.1\r\nHost: a\r\nConnection: close\r\n" + CHUNKED
    trailer = b"Authorization: Bearer " + server.token().encode() + b"\r\n"

    assert said(server, head + trailer + b"\r\n0\r\n\r\n").startswith(b"HTTP/1.1 200 ")
    assert said(server, head + b"\r\n0\r\n" + trailer + b"\r\n").startswith(b"HTTP/1.1 401 ")
