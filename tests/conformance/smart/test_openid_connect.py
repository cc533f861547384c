"""O: the id_token, its keys, and the person it names."""

import httpx
import pytest
from joserfc import jws, jwt
from joserfc.jwk import KeySet

from tests.conformance.smart.conftest import ORIGIN


@pytest.fixture(params=["ann", "bob"])
async def signed_in(kit, request):
    picked = {"bob": "kit-carl"}.get(request.param)
    launched = await kit.launch(
        username=request.param, patient=picked, scope="launch/patient openid fhirUser patient/*.rs user/*.rs"
    )
    return launched, (await kit.redeem(launched)).json()


@pytest.fixture
def configuration(kit):
    answer = httpx.get(f"{kit.smart['issuer'].removesuffix('/')}/.well-known/openid-configuration")
    assert answer.status_code == 200
    return answer.json()


def test_o2_o3_the_configuration_is_complete(configuration):
    for name in ("issuer", "authorization_endpoint", "token_endpoint", "jwks_uri"):
        assert configuration[name].startswith("http")
    assert configuration["response_types_supported"] == ["code"]
    assert configuration["subject_types_supported"]
    assert "RS256" in configuration["id_token_signing_alg_values_supported"]


def test_o4_the_keys_are_public_rsa_keys(configuration):
    keys = httpx.get(configuration["jwks_uri"]).json()["keys"]
    assert {key["kty"] for key in keys} == {"RSA"}
    assert not any("d" in key for key in keys)


async def test_o1_o5_o6_the_id_token_holds(kit, configuration, signed_in):
    launched, body = signed_in
    keys = KeySet.import_key_set(httpx.get(configuration["jwks_uri"]).json())
    header = jws.extract_compact(body["id_token"].encode()).headers()
    assert header["alg"] == "RS256"
    assert header["kid"] in {key.kid for key in keys.keys}
    claims = jwt.decode(body["id_token"], keys, ["RS256"]).claims
    assert (claims["iss"], claims["aud"], claims["nonce"]) == (
        configuration["issuer"],
        "public",
        launched.asked["nonce"],
    )
    assert claims["exp"] > claims["iat"]
    assert 0 < len(claims["sub"]) < 256


async def test_o7_o8_the_person_can_be_read_with_the_token(kit, configuration, signed_in):
    _, body = signed_in
    keys = KeySet.import_key_set(httpx.get(configuration["jwks_uri"]).json())
    person = jwt.decode(body["id_token"], keys, ["RS256"]).claims["fhirUser"]
    assert person.startswith(kit.fhir)
    answer = await kit.read(person.removeprefix(f"{kit.fhir}/"), body["access_token"], origin=ORIGIN)
    assert answer.status_code == 200
    assert answer.json()["resourceType"] in ("Patient", "Practitioner")
    assert answer.headers["access-control-allow-origin"] in ("*", ORIGIN)
