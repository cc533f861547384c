"""A client assertion is believed only when every part of it is exactly right."""

import hmac
import json
from base64 import urlsafe_b64encode
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey

from fhir_facade.flows.launch.assertion import RefusedAssertion, claimed_client, claimed_key, verify_assertion
from fhir_facade.flows.launch.client_keys import ClientKeys

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
AUDIENCE = "https://facade.example/oauth/token"
RSA = RSAKey.generate_key(2048, {"kid": "r"})
EC = ECKey.generate_key("P-384", {"kid": "e"})
OTHER = RSAKey.generate_key(2048, {"kid": "r"})
SMALL_CURVE = ECKey.generate_key("P-256", {"kid": "small"})
PUBLIC = tuple(key.as_dict(private=False) for key in (RSA, EC, SMALL_CURVE))
KEYS = ClientKeys("backend", PUBLIC)
JWKS_URI = "https://app.example/jwks"


def claims(**changes):
    whole = {
        "iss": "backend",
        "sub": "backend",
        "aud": AUDIENCE,
        "exp": int(NOW.timestamp()) + 300,
        "jti": "one",
    }
    return {name: value for name, value in (whole | changes).items() if value is not None}


def sign(payload, *, alg="RS384", kid="r", key=RSA, **header):
    whole = {"alg": alg, "kid": kid, "typ": "JWT"} | header
    return jwt.encode({k: v for k, v in whole.items() if v is not None}, payload, key, [alg])


def verify(text, **changes):
    facts = {"keys": KEYS, "jwks_uri": None, "audience": AUDIENCE, "now": NOW} | changes
    return verify_assertion(text, **facts)


def unsigned(header, payload):
    def part(value):
        return urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    return f"{part(header)}.{part(payload)}."


def hmac_with_public_key():
    head = unsigned({"alg": "HS256", "kid": "r"}, claims()).removesuffix(".")
    signature = hmac.digest(RSA.as_pem(private=False), head.encode(), "sha256")
    return f"{head}.{urlsafe_b64encode(signature).rstrip(b'=').decode()}"


def at(**parts):
    return int((NOW + timedelta(**parts)).timestamp())


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"iss": "someone"}, id="another issuer"),
        pytest.param({"sub": "someone"}, id="another subject"),
        pytest.param({"sub": None}, id="no subject"),
        pytest.param({"iss": None}, id="no issuer"),
        pytest.param({"aud": "https://facade.example"}, id="another audience"),
        pytest.param({"aud": [AUDIENCE, "https://evil.example"]}, id="a list with a foreign audience"),
        pytest.param({"aud": [AUDIENCE]}, id="a list of audiences"),
        pytest.param({"aud": None}, id="no audience"),
        pytest.param({"exp": at(seconds=-20)}, id="expired"),
        pytest.param({"exp": at(seconds=320)}, id="more than five minutes ahead"),
        pytest.param({"exp": at(hours=100)}, id="far ahead"),
        pytest.param({"exp": None}, id="no expiry"),
        pytest.param({"exp": "soon"}, id="expiry is text"),
        pytest.param({"exp": True}, id="expiry is a boolean"),
        pytest.param({"exp": 1e300}, id="expiry beyond all calendars"),
        pytest.param({"iat": at(seconds=60)}, id="issued in the future"),
        pytest.param({"nbf": at(seconds=60)}, id="not valid yet"),
        pytest.param({"nbf": "x"}, id="not-before is text"),
        pytest.param({"jti": None}, id="no jti"),
        pytest.param({"jti": ""}, id="empty jti"),
        pytest.param({"jti": 7}, id="jti is a number"),
        pytest.param({"jti": "j" * 300}, id="jti too long"),
    ],
)
def test_wrong_claims_are_refused(changes):
    with pytest.raises(RefusedAssertion):
        verify(sign(claims(**changes)))


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param("not a jwt", id="text"),
        pytest.param("a.b.c", id="three parts"),
        pytest.param("ä.b.c", id="not ASCII"),
        pytest.param("x" * 20_000, id="too long"),
        pytest.param(unsigned({"alg": "none", "kid": "r"}, claims()), id="alg none"),
        pytest.param(unsigned({"alg": "RS384"}, claims()), id="no kid"),
        pytest.param(unsigned({"alg": "RS384", "kid": 7}, claims()), id="kid is a number"),
        pytest.param(unsigned({"alg": ["RS384"], "kid": "r"}, claims()), id="alg is a list"),
        pytest.param(unsigned(["RS384"], claims()), id="header is a list"),
        pytest.param(unsigned({"alg": "RS384", "kid": "r"}, claims()), id="no signature"),
        pytest.param(sign(claims(), key=OTHER), id="another key with the same kid"),
        pytest.param(sign(claims(), alg="RS256"), id="RS256"),
        pytest.param(sign(claims(), kid="unknown"), id="unknown kid"),
        pytest.param(sign(claims(), alg="ES256", kid="small", key=SMALL_CURVE), id="ES256"),
        pytest.param(sign(claims(), alg="RS384", kid="e"), id="RSA signature with the name of an EC key"),
        pytest.param(hmac_with_public_key(), id="HMAC with the public key"),
        pytest.param(sign(claims(), jku="https://evil.example/jwks"), id="jku that is not registered"),
        pytest.param(sign(claims(), kid=None), id="signed without kid"),
    ],
)
def test_a_wrong_token_is_refused(text):
    with pytest.raises(RefusedAssertion):
        verify(text)


def test_a_key_in_the_header_is_ignored():
    text = sign(claims(), key=OTHER, jwk=OTHER.as_dict(private=False))
    with pytest.raises(RefusedAssertion):
        verify(text)


def test_a_curve_other_than_p384_is_no_key():
    with pytest.raises(RefusedAssertion):
        verify(sign(claims(), kid="small"), keys=ClientKeys("backend", (SMALL_CURVE.as_dict(private=False),)))


def test_a_critical_header_is_refused():
    with pytest.raises(RefusedAssertion):
        verify(unsigned({"alg": "RS384", "kid": "r", "crit": ["b64"], "b64": False}, claims()))


def test_two_keys_with_one_kid_are_no_key():
    twice = ClientKeys("backend", (PUBLIC[0], OTHER.as_dict(private=False)))
    with pytest.raises(RefusedAssertion):
        verify(sign(claims()), keys=twice)


def test_a_key_for_encryption_is_no_key():
    key = PUBLIC[0] | {"use": "enc"}
    with pytest.raises(RefusedAssertion):
        verify(sign(claims()), keys=ClientKeys("backend", (key,)))


@pytest.mark.parametrize(
    "key",
    [
        pytest.param({"kty": "RSA", "kid": "r"}, id="no modulus"),
        pytest.param({"kty": "RSA", "kid": "r", "n": "AQAB", "e": "AQAB"}, id="tiny"),
        pytest.param({"kty": "RSA", "kid": "r", "n": "!" * 400, "e": "AQAB"}, id="not base64"),
    ],
)
def test_a_broken_key_is_no_key(key):
    with pytest.raises(RefusedAssertion):
        verify(sign(claims()), keys=ClientKeys("backend", (key,)))


@pytest.mark.parametrize(("alg", "kid", "key"), [("RS384", "r", RSA), ("ES384", "e", EC)])
def test_both_algorithms_of_smart_are_accepted(alg, kid, key):
    found = verify(sign(claims(iat=at(seconds=5), exp=at(seconds=305)), alg=alg, kid=kid, key=key))
    assert (found.client_id, found.jti) == ("backend", "one")
    assert found.expires_at >= NOW + timedelta(seconds=305)


def test_the_registered_jku_is_accepted_even_when_it_is_long():
    long = "https://app.example/" + "k" * 900
    assert verify(sign(claims(), jku=long), jwks_uri=long).client_id == "backend"


def test_unverified_names_are_read_from_anything():
    assert claimed_client(sign(claims())) == "backend"
    assert claimed_key(sign(claims())) == "r"
    for nothing in ("", "a.b.c", unsigned({"alg": "x"}, [1]), unsigned({"alg": "x"}, {"sub": 7})):
        assert claimed_client(nothing) is None
        assert claimed_key(nothing) is None


@given(st.text(st.characters(codec="ascii"), max_size=200))
def test_any_text_is_refused_without_another_error(text):
    with pytest.raises(RefusedAssertion):
        verify(text)


@given(
    st.recursive(st.none() | st.booleans() | st.floats() | st.text(), st.lists, max_leaves=5),
    st.sampled_from(sorted(claims())),
)
def test_any_value_of_any_claim_is_judged_without_another_error(value, name):
    with suppress(RefusedAssertion):
        assert verify(sign(claims() | {name: value})).client_id == "backend"
