"""A handle carries an authorization request, sealed; mistakes of one address are bounded; beginning stores nothing."""

import secrets
from base64 import urlsafe_b64encode
from datetime import UTC, datetime, timedelta

import pytest

from fhir_facade.errors import TooManyRequests
from fhir_facade.flows.launch.authorize import NotAuthorizable, begin
from fhir_facade.flows.launch.flood import AT_ONCE, MOST_ADDRESSES, Flood
from fhir_facade.flows.launch.handles import LONGEST, unseal
from fhir_facade.flows.launch.sign_in import Caller
from fhir_facade.rows.audit import AuditLine, RefusalCount
from fhir_facade.rows.oauth import OpenAuthorization
from tests.sign_in_world import request

NOW = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.mark.parametrize("handle", ["", "x", "é", "AAAA", "=" * 10, "A" * 8000])
async def test_what_was_not_sealed_here_is_no_handle(world, handle):
    assert unseal(world.ports.vault, handle, world.clock.now()) is None


async def test_a_handle_that_was_changed_is_none(world):
    handle = await begin(world.sign_in, request(), Caller())
    assert unseal(world.ports.vault, handle, world.clock.now()) is not None
    changed = handle[:40] + ("A" if handle[40] != "A" else "B") + handle[41:]
    assert unseal(world.ports.vault, changed, world.clock.now()) is None


async def test_something_else_that_was_sealed_here_is_no_handle(world):
    sealed = urlsafe_b64encode(world.ports.vault.seal(b"x", context="logout")).decode()
    assert unseal(world.ports.vault, sealed, world.clock.now()) is None


async def test_beginning_a_hundred_authorizations_stores_nothing(world):
    handles = {await begin(world.sign_in, request(), Caller("10.0.0.1")) for _ in range(100)}
    assert len(handles) == 100
    assert await world.rows(OpenAuthorization) == []
    assert await world.rows(AuditLine, ("action", "=", "consent")) == []


async def test_a_request_too_long_for_an_address_is_refused(world):
    with pytest.raises(NotAuthorizable, match="too long"):
        await begin(world.sign_in, request(state=secrets.token_urlsafe(LONGEST)), Caller())
    assert await begin(world.sign_in, request(state="s" * LONGEST), Caller())  # what repeats itself packs small


async def test_mistakes_of_one_address_fill_no_table(world):
    for _ in range(AT_ONCE):
        await begin(world.sign_in, request(aud="https://elsewhere.example"), Caller("10.0.0.1"))
    with pytest.raises(TooManyRequests):
        await begin(world.sign_in, request(aud="https://elsewhere.example"), Caller("10.0.0.1"))
    assert len(await world.rows(AuditLine, ("action", "=", "consent"))) == 1
    assert [each.more for each in await world.rows(RefusalCount)] == [AT_ONCE - 1]
    assert isinstance(await begin(world.sign_in, request(), Caller("10.0.0.1")), str)  # good ones go on
    await begin(world.sign_in, request(aud="https://elsewhere.example"), Caller("10.0.0.2"))


def test_a_bucket_fills_again():
    flood = Flood()
    for _ in range(AT_ONCE):
        flood.refuse("a", NOW)
    with pytest.raises(TooManyRequests):
        flood.refuse("a", NOW + timedelta(seconds=1))
    flood.refuse("a", NOW + timedelta(seconds=2))
    with pytest.raises(TooManyRequests):
        flood.refuse("a", NOW + timedelta(seconds=2))


def test_the_memory_of_addresses_is_bounded():
    flood = Flood()
    for number in range(MOST_ADDRESSES + 10):
        flood.refuse(str(number), NOW)
    assert len(flood._buckets) <= MOST_ADDRESSES
