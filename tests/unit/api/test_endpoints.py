"""Discovery and token endpoints over HTTP: formats, limits, origins."""

from dataclasses import replace

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.applications import Starlette

from fhir_facade.api.oauth import OAuthDeps, oauth_routes
from fhir_facade.errors import Unavailable
from fhir_facade.fhir.capability import oauth_endpoints
from fhir_facade.flows.launch.clients import disable_client
from fhir_facade.rows.audit import AuditLine
from tests.sign_in_world import BASE, redemption

ORIGIN = "https://app.example"
FORM = {"content-type": "application/x-www-form-urlencoded"}


@pytest.mark.parametrize("accept", ["application/json", "text/html", "application/fhir+xml"])
@pytest.mark.parametrize(
    "path",
    [
        "/fhir/.well-known/smart-configuration",
        "/fhir/.well-known/openid-configuration",
        "/.well-known/openid-configuration",
    ],
)
async def test_discovery_is_json_for_everyone(web, path, accept):
    answer = await web.get(path, headers={"accept": accept, "origin": "https://any.example"})
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("application/json")
    assert answer.headers["access-control-allow-origin"] == "*"
    document = answer.json()
    assert document["issuer"] == f"{BASE}/fhir"
    assert document["code_challenge_methods_supported"] == ["S256"]
    for name in (
        "authorization_endpoint",
        "token_endpoint",
        "jwks_uri",
        "introspection_endpoint",
        "revocation_endpoint",
    ):
        assert document[name].startswith(f"{BASE}/oauth/")


async def test_all_documents_name_the_same_addresses(web, world):
    smart = (await web.get("/fhir/.well-known/smart-configuration")).json()
    openid = (await web.get(f"{smart['issuer']}/.well-known/openid-configuration")).json()
    assert openid == (await web.get("/.well-known/openid-configuration")).json()
    assert {name: value for name, value in smart.items() if name in openid} == {
        name: value for name, value in openid.items() if name in smart
    }
    uris = oauth_endpoints(world.sign_in.issuer.fhir)
    assert uris == {
        "authorize": smart["authorization_endpoint"],
        "token": smart["token_endpoint"],
        "introspect": smart["introspection_endpoint"],
        "manage": smart["management_endpoint"],
        "register": smart["registration_endpoint"],
        "revoke": smart["revocation_endpoint"],
    }


async def test_every_address_of_discovery_answers(web):
    document = (await web.get("/fhir/.well-known/smart-configuration")).json()
    assert (await web.get(document["jwks_uri"])).status_code == 200
    for name in ("token_endpoint", "introspection_endpoint", "revocation_endpoint"):
        assert (await web.post(document[name], data={})).status_code in (400, 401)
    assert (await web.get(document["authorization_endpoint"])).status_code == 400


@pytest.mark.parametrize(
    ("content", "headers"),
    [
        pytest.param(b"{}", {"content-type": "application/json"}, id="JSON"),
        pytest.param(b"grant_type=x", {"content-type": "text/plain"}, id="plain text"),
        pytest.param(b"grant_type=x", {}, id="no content type"),
        pytest.param(b"\xff\xfe", FORM, id="not ASCII"),
        pytest.param(b"grant_type=%ff", FORM, id="not UTF-8"),
        pytest.param(b"a=1&" * 300, FORM, id="too many fields"),
        pytest.param(b"a=" + b"x" * 70_000, FORM, id="too large"),
        pytest.param(b"grant_type=a&grant_type=a", FORM, id="a parameter twice"),
    ],
)
@pytest.mark.parametrize("path", ["/oauth/token", "/oauth/introspect", "/oauth/revoke"])
async def test_what_is_no_form_is_an_invalid_request(web, path, content, headers):
    answer = await web.post(path, content=content, headers=headers)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
    assert (answer.headers["cache-control"], answer.headers["pragma"]) == ("no-store", "no-cache")


async def test_a_broken_host_header_changes_nothing(web):
    answer = await web.post("/oauth/token", data={"grant_type": "x"}, headers={"host": "[::1"})
    assert answer.json()["error"] == "unsupported_grant_type"


async def test_parameters_in_the_address_of_the_token_endpoint_are_refused(web, world):
    code = await world.code()
    answer = await web.post("/oauth/token?client_id=app", data=redemption(code))
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
    assert (await web.post("/oauth/token", data=redemption(code))).status_code == 200


@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.binary(max_size=200) | st.text(max_size=100).map(str.encode), st.sampled_from(["token", "introspect", "revoke"])
)
async def test_any_body_is_answered_with_an_oauth_error(web, body, endpoint):
    answer = await web.post(f"/oauth/{endpoint}", content=body, headers=FORM)
    assert answer.status_code in (400, 401)
    assert answer.json()["error"]


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
async def test_the_token_endpoint_takes_posts_only(web, method):
    assert (await web.request(method, "/oauth/token")).status_code == 405


async def test_a_script_of_a_registered_origin_may_redeem(web, world):
    answer = await web.post("/oauth/token", data=redemption(await world.code()), headers={"origin": ORIGIN})
    assert answer.status_code == 200
    assert (answer.headers["access-control-allow-origin"], answer.headers["vary"]) == (ORIGIN, "Origin")


@pytest.mark.parametrize("origin", ["https://evil.example", "https://app.example.evil.example", "null", ""])
async def test_a_script_of_another_origin_may_not_read_the_answer(web, origin):
    answer = await web.post("/oauth/token", data={}, headers={"origin": origin})
    assert "access-control-allow-origin" not in answer.headers


async def test_a_browser_may_ask_before_it_sends_an_authorization_header(web, world):
    asked = {
        "origin": ORIGIN,
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization",
    }
    answer = await web.options("/oauth/token", headers=asked)
    assert answer.status_code == 204
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    assert "Authorization" in answer.headers["access-control-allow-headers"]
    await disable_client(world.ports, "app")
    assert "access-control-allow-origin" not in (await web.options("/oauth/token", headers=asked)).headers


async def test_no_script_reads_the_authorization_endpoint(web):
    answer = await web.get("/oauth/authorize", headers={"origin": ORIGIN})
    assert "access-control-allow-origin" not in answer.headers


class DatabaseDown:
    """A state store that answers as the real ones do when their database is gone."""

    async def read(self, work):
        raise Unavailable("the database does not answer")

    write = read


async def test_a_database_that_is_down_is_a_503_for_apps_and_people(world):
    sign_in = replace(world.sign_in, ports=replace(world.ports, state=DatabaseDown()))
    app = Starlette(routes=oauth_routes(OAuthDeps(sign_in, plain_loopback=False)))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=BASE) as client:
        answer = await client.post("/oauth/token", data={"grant_type": "refresh_token", "refresh_token": "x"})
        assert (answer.status_code, answer.json()["error"]) == (503, "temporarily_unavailable")
        page = await client.get("/login", headers={"cookie": "__Host-fhir_facade=" + "x" * 43})
        assert page.status_code == 503
        assert "cannot be reached" in page.text


async def test_the_audit_names_the_address_behind_the_proxy(web, world):
    headers = {"x-forwarded-for": "203.0.113.9", "x-request-id": "r-42"}
    await web.post("/oauth/token", data={"grant_type": "x"}, headers=headers)
    (line,) = await world.rows(AuditLine, ("action", "=", "token"))
    assert (line.address, line.request_id, line.outcome) == ("203.0.113.9", "r-42", "refused")
