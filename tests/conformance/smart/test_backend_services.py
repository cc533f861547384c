"""B and I: backend services, and introspection by client and by bearer token."""

import asyncio
import json
import threading
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from joserfc.jwk import RSAKey

from tests.conformance.smart.conftest import RSA, SECRET
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
async def test_b5_b6_a_signed_request_gets_a_token_that_reads(kit, algorithm, scope):
    answer = await ask(kit, algorithm, scope=scope)
    assert answer.status_code == 200
    body = answer.json()
    assert (body["token_type"].lower(), body["expires_in"], body["scope"]) == ("bearer", 300, scope)
    assert (await kit.read("Observation/kit-pulse", body["access_token"])).status_code == 200
    assert (await kit.read("Patient", body["access_token"])).json()["resourceType"] == "Bundle"


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


# --- keys by address, and assertions that count once ----------------------------------------------------------


@contextmanager
def published(keys):
    """The key set of an app at an address of its own; the list grows with every request."""
    asked = []

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            body = json.dumps({"keys": [key.as_dict(private=False) for key in keys]}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Answer)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/jwks", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


async def test_b5_keys_are_taken_from_the_registered_address_and_kept_a_while(kit):
    with published([RSA]) as (address, asked):
        options = ("--client-id", "by-address", "--type", "backend", "--scope", "system/*.rs", "--jwks-uri", address)
        await asyncio.to_thread(kit.server.command, "client", "add", *options)
        for _ in range(3):
            assert (await by_address(kit)).status_code == 200
        assert len(asked) <= 2  # at most once for each process of the server
        other = RSAKey.generate_key(2048, {"kid": "other"})
        assert (await by_address(kit, key=other)).status_code in (400, 401)
        assert len(asked) <= 2  # and an unknown key is no reason to ask all the time


async def by_address(kit, key=RSA):
    form = {"grant_type": "client_credentials", "scope": "system/*.rs"} | kit.assertion("by-address", "RS384", key=key)
    async with kit.client() as app:
        return await app.post(kit.smart["token_endpoint"], data=form)


async def test_an_assertion_counts_once(kit):
    form = {"grant_type": "client_credentials", "scope": "system/*.rs"} | kit.assertion("backend", "RS384")
    async with kit.client() as app:
        first, second = [await app.post(kit.smart["token_endpoint"], data=form) for _ in range(2)]
    assert first.status_code == 200
    assert second.json()["error"] == "invalid_client"


@pytest.mark.parametrize(("seconds", "status"), [(300, 200), (400, 400), (-60, 400)])
async def test_an_assertion_lives_five_minutes_at_most(kit, seconds, status):
    exp = int(datetime.now(UTC).timestamp()) + seconds
    assert (await ask(kit, claims={"exp": exp})).status_code == status
