"""Links with which a person chooses a password: once, for a day, and only the newest."""

import asyncio

import pytest

from fhir_facade.errors import BadRequest, Conflict, Gone, NotFound, TooManyRequests, Unauthenticated
from fhir_facade.flows.accounts import change_account, disable_account
from fhir_facade.flows.launch.sign_in import Caller
from fhir_facade.flows.password_links import LIVES, account_of_link, choose_password, make_password_link
from fhir_facade.flows.passwords import replace_password
from fhir_facade.flows.sessions import load_session, sign_in_with_password
from fhir_facade.rows.accounts import Account, PasswordLink
from fhir_facade.rows.audit import AuditLine
from fhir_facade.rows.oauth import Grant
from tests.sign_in_world import PASSWORD

NEW = "a password of my own"


async def ann(world):
    (row,) = await world.rows(Account, ("username_key", "=", "ann"))
    return row


async def sign_in(world, password):
    return await sign_in_with_password(
        world.ports, username="ann", password=password, old_cookie=None, caller=Caller("192.0.2.7")
    )


async def test_there_is_no_link_for_nobody_and_for_a_disabled_account(world):
    with pytest.raises(NotFound):
        await make_password_link(world.ports, "nobody")
    row = await disable_account(world.ports, "ann")
    with pytest.raises(Conflict):
        await make_password_link(world.ports, row.id)


@pytest.mark.parametrize("secret", ["", "ffp_guessed", "\ud800"])
async def test_a_guessed_link_opens_nothing(world, secret):
    await make_password_link(world.ports, (await ann(world)).id)
    with pytest.raises(Gone):
        await account_of_link(world.ports, secret)
    with pytest.raises(Gone):
        await choose_password(world.ports, secret, NEW)


async def test_a_bad_password_leaves_the_link_as_it_was(world):
    secret = await make_password_link(world.ports, (await ann(world)).id)
    with pytest.raises(BadRequest):
        await choose_password(world.ports, secret, "short")
    await choose_password(world.ports, secret, NEW)
    await sign_in(world, NEW)


async def test_a_link_works_once_ends_every_session_and_lets_in_who_was_slowed_down(world):
    cookie, _ = await world.browser("ann")
    for _ in range(6):
        with pytest.raises((Unauthenticated, TooManyRequests)):
            await sign_in(world, "wrong guess")
    row = await ann(world)
    secret = await make_password_link(world.ports, row.id, actor="root")
    assert secret not in {link.hash for link in await world.rows(PasswordLink)}

    await choose_password(world.ports, secret, NEW)

    assert await load_session(world.ports, cookie) is None
    assert await sign_in(world, NEW)
    with pytest.raises(Unauthenticated):
        await sign_in(world, PASSWORD)
    with pytest.raises(Gone):
        await choose_password(world.ports, secret, PASSWORD)
    lines = await world.rows(AuditLine, ("action", "=", "admin"), ("user", "=", row.id))
    assert [(line.actor, line.detail) for line in lines][-2:] == [
        ("root", "link to choose a password made"),
        ("person", "account changed: password, with a link"),
    ]


@pytest.mark.parametrize("way", ["another password", "disabled and enabled again"])
async def test_a_link_from_before_ends_with_the_password_it_was_to_replace(world, way):
    row = await ann(world)
    secret = await make_password_link(world.ports, row.id)
    if way == "another password":
        await change_account(world.ports, row.id, password=NEW, actor="person")
    else:
        await disable_account(world.ports, "ann")
        await change_account(world.ports, row.id, disabled=False, actor="root")
    with pytest.raises(Gone):
        await choose_password(world.ports, secret, "somebody else's choice")


async def test_of_two_who_use_a_link_at_once_one_succeeds(world):
    secret = await make_password_link(world.ports, (await ann(world)).id)
    tried = [choose_password(world.ports, secret, f"password number {each}") for each in range(2)]
    answers = await asyncio.gather(*tried, return_exceptions=True)
    assert sorted(type(each) for each in answers if isinstance(each, Exception)) == [Gone]


async def test_a_link_ends_after_a_day_when_the_account_is_disabled_and_when_there_is_a_newer_one(world):
    row = await ann(world)
    first = await make_password_link(world.ports, row.id)
    second = await make_password_link(world.ports, row.id)
    with pytest.raises(Gone):
        await account_of_link(world.ports, first)
    assert (await account_of_link(world.ports, second)).id == row.id
    world.clock.move(seconds=LIVES.total_seconds())
    with pytest.raises(Gone):
        await account_of_link(world.ports, second)
    third = await make_password_link(world.ports, row.id)
    await disable_account(world.ports, "ann")
    with pytest.raises(Gone):
        await choose_password(world.ports, third, NEW)


@pytest.mark.parametrize("way", ["a link", "an administrator", "the person"])
async def test_a_new_password_ends_what_apps_may_do_without_the_person(world, way):
    """Whoever knew the old one may have allowed an app something. ASVS 7.4.3"""
    tokens = await world.tokens()
    row = await ann(world)
    others = await world.tokens(username="bob", patient="p1")

    if way == "a link":
        await choose_password(world.ports, await make_password_link(world.ports, row.id), NEW)
    elif way == "an administrator":
        await change_account(world.ports, row.id, password=NEW, actor="root")
    else:
        await replace_password(world.ports, row, current=PASSWORD, new=NEW, keep=None, caller=Caller())

    assert (await world.refresh(tokens["refresh_token"])).status == 400
    assert [row.revoked_because for row in await world.rows(Grant, ("account_id", "=", row.id))] == ["new password"]
    assert (await world.refresh(others["refresh_token"])).status == 200
    lines = await world.rows(AuditLine, ("action", "=", "admin"), ("user", "=", row.id))
    assert lines[-1].detail.endswith("1 permissions of apps ended")


async def test_a_person_may_leave_apps_what_they_may_do(world):
    """Nobody else knew the password."""
    tokens, row = await world.tokens(), await ann(world)

    await replace_password(world.ports, row, current=PASSWORD, new=NEW, keep=None, caller=Caller(), keep_apps=True)

    assert (await world.refresh(tokens["refresh_token"])).status == 200
