"""S and N: a standalone launch with each kind of client, and what must not work."""

import pytest

from tests.conformance.smart.conftest import ORIGIN, SCOPES, challenge_of

APPS = {"public": "public", "basic": "symmetric", "RS384": "asymmetric", "ES384": "asymmetric"}


@pytest.fixture(params=APPS)
def way(request):
    return request.param


async def tokens(kit, *, way="public", **launch):
    launched = await kit.launch(client_id=APPS[way], **launch)
    answer = await kit.redeem(launched, way=way)
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_s2_s3_the_browser_comes_back_with_a_code(kit, method):
    launched = await kit.launch(method=method)
    assert launched.answer["code"]
    assert "error" not in launched.answer
    assert launched.answer["state"] == launched.asked["state"]
    assert launched.answer["iss"] == kit.smart["issuer"]


async def test_s5_s6_s7_the_code_becomes_a_token(kit, way):
    answer = await kit.redeem(await kit.launch(client_id=APPS[way]), way=way)
    assert answer.status_code == 200
    body = answer.json()
    assert isinstance(body["access_token"], str)
    assert body["token_type"].lower() == "bearer"
    assert isinstance(body["expires_in"], int)
    assert set(body["scope"].split()) == set(SCOPES.split())
    assert "no-store" in answer.headers["cache-control"]
    assert "no-cache" in answer.headers["pragma"]


async def test_s8_a_script_may_redeem(kit):
    answer = await kit.redeem(await kit.launch(), headers={"origin": ORIGIN})
    assert answer.headers["access-control-allow-origin"] in ("*", ORIGIN)


@pytest.mark.parametrize(
    "scope", ["patient/Observation.read patient/Patient.read", "patient/Observation.rs patient/Patient.rs"]
)
async def test_s9_n7_scopes_come_back_in_the_dialect_asked(kit, scope):
    body = await tokens(kit, scope=f"launch/patient {scope}")
    assert set(body["scope"].split()) == {"launch/patient", *scope.split()}


async def test_s10_without_a_token_there_is_nothing(kit):
    answer = await kit.read("Patient/kit-ann")
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].lower().startswith("bearer")
    assert "error" not in answer.headers["www-authenticate"]  # RFC 6750 3.1: nothing was sent that could be wrong


async def test_s10_a_token_that_is_no_token_is_called_so(kit):
    answer = await kit.read("Patient/kit-ann", token="not-a-token")
    assert answer.status_code == 401
    assert 'error="invalid_token"' in answer.headers["www-authenticate"]


async def test_s11_the_patient_in_context_can_be_read(kit):
    body = await tokens(kit)
    assert body["patient"] == "kit-ann"
    answer = await kit.read(f"Patient/{body['patient']}", body["access_token"])
    assert answer.status_code == 200


async def test_a_clinician_picks_the_patient(kit):
    body = await tokens(kit, username="bob", patient="kit-carl")
    assert body["patient"] == "kit-carl"
    assert (await kit.read("Patient/kit-carl", body["access_token"])).status_code == 200


async def test_a_proxy_picks_whom_to_act_for(kit):
    scope = "launch/patient openid fhirUser patient/*.rs"
    launched = await kit.launch(username="mia", patient="kit-ann", scope=scope)
    body = (await kit.redeem(launched)).json()
    assert body["patient"] == "kit-ann"
    assert (await kit.read("Patient/kit-ann", body["access_token"])).status_code == 200
    assert (await kit.read("RelatedPerson/kit-mia", body["access_token"])).status_code == 200
    assert (await kit.read("Patient/kit-carl", body["access_token"])).status_code == 404


@pytest.mark.parametrize(
    "verifier", [None, "", "w" * 64, "challenge"], ids=["absent", "blank", "wrong", "the challenge"]
)
async def test_n1_a_wrong_verifier_gets_no_token(kit, verifier):
    launched = await kit.launch()
    sent = challenge_of(launched.verifier) if verifier == "challenge" else verifier
    assert (await kit.redeem(launched, code_verifier=sent)).status_code in (400, 401)


async def test_n2_another_audience_gets_no_code(kit):
    launched = await kit.launch(aud="https://kit.example/invalid_aud")
    assert "code" not in launched.answer


@pytest.mark.parametrize(
    ("changes", "statuses"), [({"code": "BAD_CODE"}, (400,)), ({"client_id": "BAD_CLIENT_ID"}, (400, 401))]
)
async def test_n3_wrong_codes_and_clients_get_no_token(kit, changes, statuses):
    assert (await kit.redeem(await kit.launch(), **changes)).status_code in statuses


async def test_n4_a_revoked_app_reads_and_refreshes_nothing(kit):
    body = await tokens(kit)
    async with kit.client() as app:
        form = {"token": body["refresh_token"], "client_id": "public"}
        assert (await app.post(kit.smart["revocation_endpoint"], data=form)).status_code == 200
    refreshed = await kit.token({"grant_type": "refresh_token", "refresh_token": body["refresh_token"]})
    assert refreshed.status_code in (400, 401)
    assert (await kit.read("Patient/kit-ann", body["access_token"])).status_code == 401


async def test_n5_what_was_unticked_is_refused(kit):
    body = await tokens(kit, scope="patient/Patient.rs patient/Observation.rs", ticked=["patient/Patient.rs"])
    assert body["scope"] == "patient/Patient.rs"
    assert (await kit.read("Observation?patient=kit-ann", body["access_token"])).status_code in (401, 403)
    assert (await kit.read("Patient?_id=kit-ann", body["access_token"])).status_code == 200
