"""B and I: backend services, and introspection by client and by bearer token."""

import pytest

from tests.conformance.smart.conftest import SECRET
from tests.conformance.smart.test_standalone_launch import tokens


async def ask(kit, algorithm="RS384", **changes):
    claims = changes.pop("claims", {})
    form = {"grant_type": "client_credentials", "scope": "system/*.rs"} | kit.assertion("backend", algorithm, **claims)
    async with kit.client() as app:
        return await app.post(kit.smart["token_endpoint"], data=form | changes)


async def introspect(kit, token, **how):
    async with kit.client() as app:
        return await app.post(kit.smart["introspection_endpoint"], data={"token": token}, **how)


async def test_b2_an_unknown_grant_type_is_a_400(kit):
    assert (await ask(kit, grant_type="not_a_grant_type")).status_code == 400


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"client_assertion_type": "not_an_assertion_type"}, id="b3"),
        pytest.param({"claims": {"iss": "not_a_valid_iss"}}, id="b4"),
    ],
)
async def test_a_wrong_assertion_is_refused(kit, changes):
    assert (await ask(kit, **changes)).status_code in (400, 401)


@pytest.mark.parametrize("algorithm", ["RS384", "ES384"])
@pytest.mark.parametrize("scope", ["system/*.rs", "system/*.read"])
@pytest.mark.both_stores
async def test_b5_b6_a_signed_request_gets_a_token_that_reads(kit, algorithm, scope):
    answer = await ask(kit, algorithm, scope=scope)
    assert answer.status_code == 200
    body = answer.json()
    assert (body["token_type"].lower(), body["expires_in"], body["scope"]) == ("bearer", 300, scope)
    assert (await kit.read("Observation/kit-pulse", body["access_token"])).status_code == 200
    assert (await kit.read("Patient", body["access_token"])).json()["resourceType"] == "Bundle"


@pytest.mark.both_stores
async def test_a_backend_without_write_scope_writes_nothing(kit):
    token = (await ask(kit)).json()["access_token"]
    async with kit.client() as app:
        answer = await app.put(
            f"{kit.fhir}/Patient/kit-ann",
            json={"resourceType": "Patient", "id": "kit-ann"},
            headers={"authorization": f"Bearer {token}", "content-type": "application/fhir+json"},
        )
    assert answer.status_code == 403


async def test_i1_i2_a_client_learns_about_its_token(kit):
    body = await tokens(kit, way="basic")
    answer = await introspect(kit, body["access_token"], auth=("symmetric", SECRET))
    assert answer.status_code == 200
    told = answer.json()
    assert (told["active"], told["client_id"], told["patient"]) == (True, "symmetric", "kit-ann")
    assert sorted(told["scope"].split()) == sorted(body["scope"].split())
    assert told["iss"] == kit.smart["issuer"]
    assert told["fhirUser"] == f"{kit.fhir}/Patient/kit-ann"


async def test_i1_i2_a_resource_server_asks_with_a_bearer_token(kit):
    body, own = await tokens(kit), (await ask(kit)).json()["access_token"]
    answer = await introspect(kit, body["access_token"], headers={"authorization": f"Bearer {own}"})
    assert answer.json()["client_id"] == "public"


async def test_i3_an_invalid_token_is_inactive_and_nothing_else(kit):
    answer = await introspect(kit, "invalid", auth=("symmetric", SECRET))
    assert (answer.status_code, answer.json()) == (200, {"active": False})
