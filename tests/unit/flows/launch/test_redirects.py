"""A redirect URI is registered strictly and compared exactly."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_facade.errors import BadRequest
from fhir_facade.flows.launch.redirects import parse_redirect_uri, redirect_matches

REGISTERED = "https://app.example/callback"


@pytest.mark.parametrize(
    "uri",
    [
        pytest.param("http://app.example/callback", id="http"),
        pytest.param("http://127.0.0.1.evil.example/cb", id="loopback as a prefix"),
        pytest.param("http://localhost:80@evil.example/cb", id="user information that looks like loopback"),
        pytest.param("https://user:pw@app.example/cb", id="user information"),
        pytest.param("https://app.example/cb#part", id="fragment"),
        pytest.param("https://*.app.example/cb", id="wildcard host"),
        pytest.param("https://app.example/../cb", id="climbing"),
        pytest.param("https://app.example/%2e%2e/cb", id="climbing, encoded"),
        pytest.param("https://app.example/%zz", id="broken escape"),
        pytest.param("https://app.example\\@evil.example/", id="backslash"),
        pytest.param("https://app.example:0/", id="port zero"),
        pytest.param("https://app.example:70000/", id="port too large"),
        pytest.param("https://äpp.example/", id="not ASCII"),
        pytest.param("https://app.example/c b", id="space"),
        pytest.param("http://[2001:db8::1]:80/cb", id="IPv6 that is not loopback"),
        pytest.param("http://[::1].evil.example/cb", id="IPv6 loopback as a prefix"),
        pytest.param("javascript:alert(1)", id="script"),
        pytest.param("data:text/html,x", id="data"),
        pytest.param("com.example.app:/cb", id="own scheme"),
        pytest.param("//app.example/cb", id="no scheme"),
        pytest.param("", id="empty"),
        pytest.param("https://app.example/" + "a" * 2000, id="too long"),
    ],
)
def test_an_unsafe_redirect_uri_is_not_registered(uri):
    with pytest.raises(BadRequest):
        parse_redirect_uri(uri)


@pytest.mark.parametrize(
    ("uri", "origin"),
    [
        (REGISTERED, "https://app.example"),
        ("https://App.example:8443/cb?x=1", "https://app.example:8443"),
        ("https://app.example:443/", "https://app.example"),
        ("http://localhost:3000/cb", "http://localhost:3000"),
        ("http://127.0.0.1/cb", "http://127.0.0.1"),
        ("http://[::1]:3000/cb", "http://[::1]:3000"),
    ],
)
def test_a_safe_redirect_uri_has_a_web_origin(uri, origin):
    assert parse_redirect_uri(uri).origin == origin


@pytest.mark.parametrize(
    "asked",
    [
        pytest.param("https://app.example/callback/", id="trailing slash"),
        pytest.param("https://app.example/callback2", id="suffix"),
        pytest.param("https://app.example/call", id="prefix"),
        pytest.param("https://app.example/x/../callback", id="traversal"),
        pytest.param("https://app.example:444/callback", id="port"),
        pytest.param("https://APP.example/callback", id="case"),
        pytest.param("https://app.example/callback?x=1", id="extra query"),
        pytest.param("https://app.example/callback#x", id="fragment"),
        pytest.param("https://app.example/%63allback", id="percent encoding"),
        pytest.param("https://x@app.example/callback", id="user information"),
        pytest.param("", id="empty"),
    ],
)
@pytest.mark.parametrize("native", [True, False])
def test_anything_but_the_registered_uri_is_another_uri(asked, native):
    assert not redirect_matches(REGISTERED, asked, native=native)


def test_a_native_app_on_loopback_may_come_back_on_another_port():
    assert redirect_matches("http://127.0.0.1/cb", "http://127.0.0.1:49152/cb", native=True)


@pytest.mark.parametrize(
    ("asked", "native"),
    [
        pytest.param("http://127.0.0.1:49152/cb", False, id="not a native app"),
        pytest.param("http://127.0.0.1:49152/other", True, id="another path"),
        pytest.param("http://localhost:49152/cb", True, id="another name of loopback"),
        pytest.param("http://127.0.0.1:x@evil/cb", True, id="not a URI we would register"),
    ],
)
def test_only_the_port_may_differ_and_only_for_native_apps(asked, native):
    assert not redirect_matches("http://127.0.0.1/cb", asked, native=native)


@given(st.text(max_size=80))
def test_any_text_is_either_parsed_or_refused_with_a_reason(text):
    with suppress(BadRequest):
        assert parse_redirect_uri(text).scheme in ("https", "http")
        assert text.isascii()
