"""D: what a kit checks before anything else."""

import re

import httpx
import pytest

from tests.patience import PATIENCE_S

OAUTH_URIS = "http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris"
STANDALONE = {
    "launch-standalone",
    "client-public",
    "client-confidential-symmetric",
    "client-confidential-asymmetric",
    "sso-openid-connect",
    "context-standalone-patient",
    "permission-offline",
    "permission-patient",
    "authorize-post",
    "permission-v2",
    "permission-v1",
}
EHR = {
    "launch-ehr",
    "client-confidential-symmetric",
    "client-confidential-asymmetric",
    "sso-openid-connect",
    "context-banner",
    "context-style",
    "context-ehr-patient",
    "context-ehr-encounter",
    "permission-offline",
    "permission-user",
    "authorize-post",
    "permission-v2",
    "permission-v1",
}
SCOPE = re.compile(r"^(patient|user|system|\*)/([a-zA-Z*]+)\.([cruds]+)(\?.*)?$")


def get(url, **headers):
    return httpx.get(url, headers=headers, timeout=PATIENCE_S)


def security_of(metadata):
    return metadata["rest"][0]["security"]


def oauth_uris(metadata):
    (extension,) = [one for one in security_of(metadata)["extension"] if one["url"] == OAUTH_URIS]
    return {one["url"]: one["valueUri"] for one in extension["extension"]}


def test_d1_the_well_known_document_is_json(kit):
    answer = get(f"{kit.fhir}/.well-known/smart-configuration", accept="application/json")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("application/json")
    assert answer.json()


def test_d2_it_names_endpoints_and_capabilities(kit):
    assert kit.smart["authorization_endpoint"].startswith(kit.server.url)
    assert kit.smart["token_endpoint"].startswith(kit.server.url)
    assert all(isinstance(one, str) for one in kit.smart["capabilities"])


def test_d3_it_names_grants_pkce_and_keys(kit):
    assert "authorization_code" in kit.smart["grant_types_supported"]
    assert kit.smart["code_challenge_methods_supported"] == ["S256"]
    assert kit.smart["issuer"]
    assert kit.smart["jwks_uri"]


def test_d4_metadata_names_the_sign_in(kit):
    metadata = get(f"{kit.fhir}/metadata").json()
    (service,) = security_of(metadata)["service"]
    assert "SMART-on-FHIR" in {coding["code"] for coding in service["coding"]}
    assert {"authorize", "token"} <= oauth_uris(metadata).keys()


def test_d5_both_places_name_the_same_addresses(kit):
    uris = oauth_uris(get(f"{kit.fhir}/metadata").json())
    names = {
        "authorize": "authorization_endpoint",
        "token": "token_endpoint",
        "introspect": "introspection_endpoint",
        "manage": "management_endpoint",
        "register": "registration_endpoint",
        "revoke": "revocation_endpoint",
    }
    assert {name: uris.get(name) for name in names} == {name: kit.smart.get(key) for name, key in names.items()}


@pytest.mark.parametrize("path", [".well-known/smart-configuration", "metadata"], ids=["d6", "d7"])
def test_every_origin_may_read_them(kit, path):
    answer = get(f"{kit.fhir}/{path}", origin="https://any.example")
    assert answer.headers["access-control-allow-origin"] in ("*", "https://any.example")


def test_d8_the_capabilities_of_a_standalone_patient_app_are_there(kit):
    assert set(kit.smart["capabilities"]) >= STANDALONE


def test_d9_the_capabilities_of_an_ehr_app_of_a_clinician_are_there(kit):
    assert set(kit.smart["capabilities"]) >= EHR


def test_every_address_that_is_named_answers(kit):
    for name, address in kit.smart.items():
        if name.endswith(("_endpoint", "_uri")):
            assert get(address).status_code != 404, name


@pytest.mark.parametrize(("letters", "staying"), [("cruds", "offline_access"), ("rs", "online_access"), ("read", "")])
async def test_every_scope_that_is_named_can_be_had(kit, letters, staying):
    """But `launch`, which comes with a launch from within an EHR."""
    words = f"launch/patient openid fhirUser profile {staying} patient/*.{letters} user/*.{letters}".split()
    launched = await kit.launch(client_id="wide", scope=" ".join(words))
    granted = (await kit.redeem(launched, client_id="wide")).json()["scope"].split()
    form = {"grant_type": "client_credentials", "scope": f"system/*.{letters}"}
    async with kit.client() as app:
        answer = await app.post(kit.smart["token_endpoint"], data=form | kit.assertion("wide-backend", "ES384"))
    had = {*granted, *answer.json()["scope"].split()}
    assert had == {*words, f"system/*.{letters}"}
    assert had <= set(kit.smart["scopes_supported"])
    assert {scope for scope in kit.smart["scopes_supported"] if scope.endswith(f".{letters}")} <= had


def test_d10_scopes_and_introspection_are_named(kit):
    assert any(SCOPE.match(scope) for scope in kit.smart["scopes_supported"])
    assert isinstance(kit.smart["introspection_endpoint"], str)
