"""Signing in: guesses are slowed, answers tell nothing, sessions end."""

import asyncio
import time
from datetime import timedelta

import pytest
from argon2 import PasswordHasher

from fhir_facade.errors import TooManyRequests, Unauthenticated
from fhir_facade.flows.accounts import disable_account
from fhir_facade.flows.launch.sign_in import Caller
from fhir_facade.flows.sessions import (
    PER_ACCOUNT,
    PER_ADDRESS,
    admit_guess,
    end_session,
    forgive_guesses,
    load_session,
    principal_of_session,
    sign_in_with_password,
)
from fhir_facade.flows.sign_ins import Device
from fhir_facade.flows.slowing import LONGEST_WAIT
from fhir_facade.rows.accounts import Account, LoginThrottle, Session
from fhir_facade.rows.audit import AuditLine, RefusalCount
from tests.sign_in_world import PASSWORD

HERE = Caller("203.0.113.7", "r-1")
MINE = Device("m" * 43, "Firefox, Linux")


async def attempt(world, username="ann", password="wrong password", *, old=None, caller=HERE, device=None):
    return await sign_in_with_password(
        world.ports, username=username, password=password, old_cookie=old, caller=caller, device=device
    )


async def outcome(world, username="ann", password="wrong password", **more):
    try:
        await attempt(world, username, password, **more)
    except (Unauthenticated, TooManyRequests) as error:
        return type(error).__name__, str(error)
    return "signed in", ""


@pytest.mark.parametrize("username", ["ann", "nobody", "ANN", "\ud800", "x" * 5000, ""])
async def test_unknown_names_and_wrong_passwords_get_the_same_answer(world, username):
    assert await outcome(world, username) == ("Unauthenticated", "The user name or the password is wrong.")


async def test_a_disabled_account_gets_that_answer_too(world):
    await disable_account(world.ports, "ann")
    assert (await outcome(world, password=PASSWORD))[0] == "Unauthenticated"


@pytest.mark.parametrize("password", ["", "x" * 129, "x" * 100_000, "\ud800"])
async def test_an_impossible_password_is_a_wrong_one(world, password):
    assert (await outcome(world, password=password))[0] == "Unauthenticated"


async def test_an_unknown_name_costs_the_same_work(world):
    async def seconds(username):
        started = time.process_time()
        await outcome(world, username)
        return time.process_time() - started

    known, unknown = [], []
    for _ in range(3):
        known.append(await seconds("ann"))
        unknown.append(await seconds("nobody"))
    assert min(unknown) > min(known) / 3


@pytest.mark.parametrize("username", ["ann", "nobody"])
async def test_guesses_at_one_account_wait_longer_and_longer(world, username):
    for _ in range(PER_ACCOUNT.free):
        assert (await outcome(world, username))[0] == "Unauthenticated"
    for seconds in (1, 2, 4):
        refused, text = await outcome(world, username)
        assert (refused, text) == ("TooManyRequests", f"Too many attempts. Try again in {seconds + 1} seconds.")
        world.clock.move(seconds=seconds)
        assert (await outcome(world, username))[0] == "Unauthenticated"


async def test_even_the_right_password_has_to_wait(world):
    for _ in range(PER_ACCOUNT.free):
        await outcome(world)
    assert (await outcome(world, password=PASSWORD))[0] == "TooManyRequests"
    world.clock.move(seconds=1)
    assert (await outcome(world, password=PASSWORD))[0] == "signed in"


async def test_parallel_guesses_gain_nothing(world):
    outcomes = await asyncio.gather(*(outcome(world) for _ in range(PER_ACCOUNT.free + 5)))
    assert [kind for kind, _ in outcomes].count("Unauthenticated") == PER_ACCOUNT.free


async def test_guesses_from_one_address_wait_whatever_the_account(world):
    now = world.clock.now()
    row = LoginThrottle(
        subject=f"address:{HERE.address}",
        failures=PER_ADDRESS.free,
        last_at=now,
        blocked_until=now + timedelta(seconds=9),
    )
    await world.ports.state.append([row])
    assert (await outcome(world, "bob", PASSWORD))[0] == "TooManyRequests"
    assert (await outcome(world, "bob", PASSWORD, caller=Caller("203.0.113.8")))[0] == "signed in"


async def test_a_right_password_clears_the_account_and_not_the_address(world):
    for _ in range(3):
        await outcome(world)
    await attempt(world, password=PASSWORD)
    rows = await world.rows(LoginThrottle)
    assert [(row.subject, row.failures) for row in rows] == [(f"address:{HERE.address}", 3)]


async def test_guesses_of_others_do_not_hold_up_who_signs_in_on_a_known_device(world):
    """Whoever guesses now and then would keep the owner out for ever. What is guessed on the device waits as well."""
    await attempt(world, password=PASSWORD, device=MINE)
    for _ in range(PER_ACCOUNT.free):
        await outcome(world, caller=Caller("203.0.113.8"))
    assert (await outcome(world, password=PASSWORD))[0] == "TooManyRequests"
    assert (await outcome(world, password=PASSWORD, device=Device("d" * 43, "")))[0] == "TooManyRequests"
    assert (await outcome(world, password=PASSWORD, device=MINE))[0] == "signed in"
    assert (await outcome(world, password=PASSWORD))[0] == "TooManyRequests"  # that cleared nothing for the others

    for _ in range(PER_ACCOUNT.free):
        assert (await outcome(world, device=MINE))[0] == "Unauthenticated"
    assert (await outcome(world, password=PASSWORD, device=MINE))[0] == "TooManyRequests"


async def test_a_device_of_somebody_else_is_no_known_one(world):
    await attempt(world, "bob", PASSWORD, device=MINE)
    for _ in range(PER_ACCOUNT.free):
        await outcome(world, caller=Caller("203.0.113.8"))
    assert (await outcome(world, password=PASSWORD, device=MINE))[0] == "TooManyRequests"


async def admitted(world, username):
    """Whether a guess would be looked at; it is counted, and takes no time."""
    try:
        await admit_guess(world.ports, username, HERE)
    except TooManyRequests:
        return False
    return True


async def test_mistakes_of_many_behind_one_address_do_not_add_up_for_ever(world):
    """In a hospital somebody mistypes every few minutes, and nobody ever stops signing in there."""
    for number in range(2 * PER_ADDRESS.free):
        assert await admitted(world, f"nurse{number}"), number
        world.clock.move(minutes=3)
        assert await admitted(world, "bob"), number
        await forgive_guesses(world.ports, "bob", HERE)
        world.clock.move(minutes=3)


async def test_guesses_from_one_address_go_on_no_faster_than_they_are_forgotten(world):
    tried = 0
    for number in range(8 * 60):
        tried += await admitted(world, f"somebody{number}")
        world.clock.move(minutes=1)
    waiting_as_long = 9  # so many beyond the free ones wait five minutes
    assert PER_ADDRESS.wait(PER_ADDRESS.free + waiting_as_long) > timedelta(minutes=5)
    assert tried <= PER_ADDRESS.free + waiting_as_long + 8 * 60 / 5


async def test_failures_are_forgotten_after_a_day(world):
    for _ in range(PER_ACCOUNT.free):
        await outcome(world)
    world.clock.move(hours=24, seconds=1)
    await outcome(world)
    assert {row.failures for row in await world.rows(LoginThrottle)} == {1}


@pytest.mark.parametrize(("failures", "wait"), [(4, 0), (5, 1), (6, 2), (10, 32), (30, 900), (10_000, 900)])
def test_the_wait_doubles_up_to_a_quarter_of_an_hour(failures, wait):
    assert PER_ACCOUNT.wait(failures) == timedelta(seconds=wait) <= LONGEST_WAIT


async def test_a_weaker_hash_is_made_anew_at_sign_in(world):
    weak = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)
    await world.ports.state.write(lambda tx: tx.change(Account, [("username", "=", "ann")], password_hash=weak))
    await attempt(world, password=PASSWORD)
    account = (await world.rows(Account, ("username", "=", "ann")))[0]
    assert account.password_hash != weak
    assert (await outcome(world, password=PASSWORD))[0] == "signed in"


async def test_a_session_secret_is_new_at_every_sign_in_and_the_old_one_dies(world):
    first = await attempt(world, password=PASSWORD)
    second = await attempt(world, password=PASSWORD, old=first)
    assert first != second
    assert await load_session(world.ports, first) is None
    assert (await load_session(world.ports, second)).account.username == "ann"


async def test_a_session_secret_is_stored_as_a_hash(world):
    cookie = await attempt(world, password=PASSWORD)
    assert cookie not in str(await world.rows(Session))


@pytest.mark.parametrize("cookie", [None, "", "guess", "\ud800"])
async def test_a_guessed_cookie_is_no_session(world, cookie):
    assert await load_session(world.ports, cookie) is None
    assert await principal_of_session(world.ports, cookie) is None
    await end_session(world.ports, cookie, HERE)


async def test_a_session_dies_of_idleness(world):
    cookie = await attempt(world, password=PASSWORD)
    world.clock.move(hours=1)
    assert await load_session(world.ports, cookie) is None


async def test_a_session_in_use_lives_half_a_day_and_no_longer(world):
    cookie = await attempt(world, password=PASSWORD)
    for _ in range(14):
        world.clock.move(minutes=50)
        assert await load_session(world.ports, cookie) is not None
    world.clock.move(minutes=20)
    assert await load_session(world.ports, cookie) is None


async def test_a_page_that_only_listens_does_not_keep_its_session_alive(world):
    cookie = await attempt(world, password=PASSWORD)
    for _ in range(2):
        assert await principal_of_session(world.ports, cookie, touch=False) is not None
        world.clock.move(minutes=30)
    assert await principal_of_session(world.ports, cookie, touch=False) is None


async def test_signing_out_ends_the_session_on_the_server(world):
    cookie = await attempt(world, password=PASSWORD)
    await end_session(world.ports, cookie, HERE)
    assert await load_session(world.ports, cookie) is None
    assert [line.action for line in await world.rows(AuditLine, ("action", "=", "logout"))] == ["logout"]


@pytest.mark.parametrize(
    ("username", "kind", "patient", "practitioner", "context"),
    [
        ("ann", "patient", "p1", None, "patient"),
        ("bob", "practitioner", None, "d1", "user"),
        ("root", "admin", None, None, "user"),
    ],
)
async def test_a_session_makes_the_person_a_principal(world, username, kind, patient, practitioner, context):
    principal = await principal_of_session(world.ports, await attempt(world, username, PASSWORD))
    assert (principal.kind, principal.patient, principal.practitioner) == (kind, patient, practitioner)
    assert {scope.context for scope in principal.scopes} == {context}
    assert principal.client is None


async def test_every_attempt_is_audited_without_a_password(world):
    await attempt(world, password=PASSWORD)
    for _ in range(PER_ACCOUNT.free + 1):
        await outcome(world)
    lines = await world.rows(AuditLine, ("action", "=", "login"))
    again = await world.rows(RefusalCount)
    assert [line.outcome for line in lines] == ["success", "refused", "refused"]
    assert [line.detail for line in lines[1:]] == ["wrong name or password", "slowed down"]
    assert {each.detail: each.more for each in again} == {
        "wrong name or password": PER_ACCOUNT.free - 1,
        "slowed down": 0,
    }
    assert {(line.address, line.request_id) for line in lines} == {(HERE.address, HERE.request_id)}
    assert "wrong password" not in str(lines)
