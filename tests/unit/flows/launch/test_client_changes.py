"""What an administrator changes about an app, and what that ends."""

import pytest

from fhir_facade.errors import BadRequest, NotFound
from fhir_facade.flows.launch.client_changes import change_client, enable_client, find_client, rotate_secret
from fhir_facade.flows.launch.clients import NewClient, add_client, disable_client, origin_registered
from fhir_facade.flows.launch.opaque import same
from fhir_facade.rows.audit import AuditLine
from fhir_facade.rows.oauth import Grant
from tests.sign_in_world import REDIRECT, SCOPE

ELSEWHERE = "https://elsewhere.example/callback"
KEYS = '{"keys": [{"kty": "EC", "crv": "P-384", "kid": "1", "x": "a", "y": "b"}]}'


def app(**changes):
    return NewClient(**({"id": "app", "kind": "public", "scope": SCOPE, "redirect_uris": (REDIRECT,)} | changes))


@pytest.mark.parametrize(
    "changes",
    [
        {"redirect_uris": ()},
        {"redirect_uris": ("nonsense",)},
        {"scope": ""},
        {"scope": "system/*.rs"},
        {"kind": "confidential"},
        {"kind": "confidential", "jwks": KEYS},
    ],
)
async def test_what_cannot_be_meant_changes_nothing(world, changes):
    before = await find_client(world.ports, "app")
    with pytest.raises(BadRequest):
        await change_client(world.ports, app(**changes))
    assert await find_client(world.ports, "app") == before


async def test_what_is_not_there_cannot_be_changed(world):
    with pytest.raises(NotFound):
        await change_client(world.ports, app(id="nobody"))
    with pytest.raises(NotFound):
        await rotate_secret(world.ports, "nobody")
    with pytest.raises(NotFound):
        await enable_client(world.ports, "nobody")


async def test_a_change_replaces_addresses_and_the_origins_that_come_with_them(world):
    await change_client(world.ports, app(redirect_uris=(ELSEWHERE,), name="Another name"), actor="root")
    changed = await find_client(world.ports, "app")
    assert (changed.name, changed.redirect_uris) == ("Another name", (ELSEWHERE,))
    assert await origin_registered(world.ports, "https://elsewhere.example")
    assert not await origin_registered(world.ports, "https://app.example")
    (line,) = await world.rows(AuditLine, ("detail", "=", "client changed"))
    assert (line.actor, line.client) == ("root", "app")


async def test_what_people_allowed_beyond_a_narrower_scope_ends_and_the_rest_stays(world):
    wide = await world.tokens(scope=SCOPE)
    narrow = await world.tokens(scope="launch/patient offline_access patient/Observation.rs")
    await change_client(world.ports, app(scope="launch/patient offline_access patient/Observation.rs"))
    assert (await world.refresh(wide["refresh_token"], client_id="app")).status == 400
    assert (await world.refresh(narrow["refresh_token"], client_id="app")).status == 200
    ended = [grant.revoked_because for grant in await world.rows(Grant) if grant.revoked_at]
    assert ended == ["client changed"]


async def test_a_secret_is_replaced_at_once_and_only_where_there_is_one(world):
    old = await add_client(world.ports, app(id="server", kind="confidential"))
    new = await rotate_secret(world.ports, "server")
    stored = (await find_client(world.ports, "server")).secret_hash
    assert same(new, stored)
    assert not same(old, stored)
    with pytest.raises(BadRequest):
        await rotate_secret(world.ports, "app")


async def test_a_change_leaves_the_secret_and_what_is_disabled_as_it_was(world):
    secret = await add_client(world.ports, app(id="server", kind="confidential"))
    await disable_client(world.ports, "server")
    await change_client(world.ports, app(id="server", kind="confidential", redirect_uris=(ELSEWHERE,)))
    changed = await find_client(world.ports, "server")
    assert same(secret, changed.secret_hash)
    assert changed.disabled
    await enable_client(world.ports, "server")
    assert not (await find_client(world.ports, "server")).disabled
