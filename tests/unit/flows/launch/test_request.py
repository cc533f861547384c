"""Requests are read strictly before the OAuth core sees them."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_facade.flows.launch.request import (
    Basic,
    Bearer,
    LaunchRequest,
    MalformedRequest,
    credential_count,
    credentials,
    single_parameters,
)


def basic(text):
    return "Basic " + base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    "pairs",
    [
        pytest.param([("state", "1"), ("state", "1")], id="twice the same"),
        pytest.param([("aud", "a"), ("aud", "")], id="twice, once empty"),
        pytest.param([("client_id", "ä")], id="not ASCII"),
        pytest.param([("code", "a\nb")], id="control character"),
        pytest.param([("scope", "x" * 20_000)], id="too long"),
        pytest.param([("unknown", "\x00")], id="unknown name, control character"),
    ],
)
def test_parameters_that_cannot_be_judged_are_refused(pairs):
    with pytest.raises(MalformedRequest):
        single_parameters(pairs)


def test_an_empty_parameter_counts_as_absent():
    assert single_parameters([("scope", ""), ("state", "s")]) == {"state": "s"}


def test_a_login_hint_may_have_any_character():
    assert single_parameters([("login_hint", "Jürgen")]) == {"login_hint": "Jürgen"}


@pytest.mark.parametrize(
    "header",
    ["Basic", "Basic !!!", "Basic ä", basic("no colon"), basic(":secret"), basic("id:"), "Digest x", "Basic /w=="],
)
def test_a_broken_authorization_header_is_refused(header):
    with pytest.raises(MalformedRequest):
        credentials(header)


def test_basic_credentials_are_form_decoded():
    assert credentials(basic("my%2Dapp:s%3Acret")) == Basic("my-app", "s:cret")


def test_bearer_credentials_are_the_token():
    assert credentials("bearer abc") == Bearer("abc")


@given(st.text(st.characters(max_codepoint=255)))
def test_any_authorization_header_is_read_or_refused(header):
    try:
        found = credentials(header)
    except MalformedRequest:
        return
    assert found is None or isinstance(found, Basic | Bearer)


def test_each_way_of_authentication_is_counted():
    assert credential_count({}, None) == 0
    assert credential_count({"client_secret": "s", "client_assertion": "a"}, Basic("a", "b")) == 3


def test_an_unknown_response_type_reaches_the_core_without_forbidden_characters():
    assert LaunchRequest("GET", {"response_type": 'co"de'}).payload.response_type == "unknown"
    assert LaunchRequest("GET", {"response_type": "code"}).payload.response_type == "code"
