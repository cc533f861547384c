"""R: refreshing, with and without scopes, by each kind of client."""

import pytest

from tests.conformance.smart.test_standalone_launch import APPS, tokens


async def refresh(kit, token, *, way="public", **more):
    return await kit.token({"grant_type": "refresh_token", "refresh_token": token, **more}, way=way)


@pytest.mark.parametrize("way", APPS)
async def test_r1_to_r4_a_refresh_gives_no_more_than_before(kit, way):
    before = await tokens(kit, way=way)
    first = await refresh(kit, before["refresh_token"], way=way)
    again = await refresh(kit, first.json()["refresh_token"], way=way, scope=first.json()["scope"])
    for answer in (first, again):
        assert answer.status_code == 200
        body = answer.json()
        assert body["access_token"] not in (before["access_token"], "")
        assert body["token_type"].lower() == "bearer"
        assert isinstance(body["expires_in"], int)
        assert set(body["scope"].split()) <= set(before["scope"].split())
        assert "no-store" in answer.headers["cache-control"]
        assert "no-cache" in answer.headers["pragma"]


async def test_the_client_library_for_browsers_sends_no_client_id(kit):
    body = await tokens(kit)
    async with kit.client() as app:
        form = {"grant_type": "refresh_token", "refresh_token": body["refresh_token"]}
        assert (await app.post(kit.smart["token_endpoint"], data=form)).status_code == 200


async def test_r5_a_random_refresh_token_is_refused(kit):
    assert (await refresh(kit, "random")).status_code in (400, 401)


async def test_r6_the_refreshed_token_reads(kit):
    body = (await refresh(kit, (await tokens(kit))["refresh_token"])).json()
    assert (await kit.read("Patient/kit-ann", body["access_token"])).status_code == 200
