"""Accounts: who may be added, how passwords are kept, what ends when one is disabled."""

import pytest

from fhir_facade.errors import BadRequest, Conflict, NotFound
from fhir_facade.flows.accounts import (
    NewAccount,
    add_account,
    disable_account,
    hash_password,
    list_accounts,
    needs_rehash,
    password_fits,
)
from fhir_facade.flows.launch.verify import verify_access_token
from fhir_facade.flows.sessions import load_session
from fhir_facade.rows.audit import AuditLine
from tests.sign_in_world import PASSWORD

PATIENT = {"username": "Zoë", "role": "patient", "password": PASSWORD, "patient_id": "p9"}


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"role": "owner"}, id="unknown role"),
        pytest.param({"patient_id": None}, id="a patient without a record"),
        pytest.param({"practitioner_id": "d1"}, id="a patient who is also a practitioner"),
        pytest.param({"role": "practitioner"}, id="a practitioner with a patient id"),
        pytest.param({"role": "admin"}, id="an admin with a patient id"),
        pytest.param({"patient_id": "Patient/1"}, id="a reference for an id"),
        pytest.param({"username": ""}, id="no name"),
        pytest.param({"username": "two words"}, id="name with a space"),
        pytest.param({"username": "x" * 101}, id="long name"),
        pytest.param({"username": "\ud800"}, id="name that is no text"),
        pytest.param({"password": "seven77"}, id="short password"),
        pytest.param({"password": "x" * 129}, id="long password"),
        pytest.param({"username": "longer-name", "password": "LONGER-name"}, id="the name as password"),
        pytest.param({"password": "\ud800" * 10}, id="password that is no text"),
        pytest.param({"zone": "Mars/Base"}, id="unknown zone"),
        pytest.param({"zone": "../etc"}, id="zone that is a path"),
    ],
)
async def test_a_bad_account_is_refused(ports, changes):
    with pytest.raises(BadRequest):
        await add_account(ports, NewAccount(**PATIENT | changes))
    assert await list_accounts(ports) == []


async def test_a_name_is_taken_in_every_spelling(ports):
    await add_account(ports, NewAccount(**PATIENT))
    with pytest.raises(Conflict):
        await add_account(ports, NewAccount(**PATIENT | {"username": "ZOË"}))


async def test_disabling_an_unknown_account_is_an_error(ports):
    with pytest.raises(NotFound):
        await disable_account(ports, "nobody")


async def test_a_password_is_kept_as_argon2id(ports):
    account = await add_account(ports, NewAccount(**PATIENT))
    assert account.password_hash.startswith("$argon2id$")
    assert PASSWORD not in str(await list_accounts(ports))
    assert not needs_rehash(account)


async def test_a_password_may_be_any_text(ports):
    password = "pässwörter sind 🔑 lang"
    account = await add_account(ports, NewAccount(**PATIENT | {"password": password}))
    assert await password_fits(account, password)
    assert not await password_fits(account, password.upper())


async def test_nobody_has_no_password():
    assert not await password_fits(None, "nobody's password")
    assert not await password_fits(None, "\ud800")


async def test_equal_passwords_have_different_hashes():
    assert await hash_password(PASSWORD) != await hash_password(PASSWORD)


async def test_accounts_are_listed_by_name(world):
    accounts = await list_accounts(world.ports)
    assert [(account.username, account.role, account.disabled) for account in accounts] == [
        ("ann", "patient", False),
        ("bob", "practitioner", False),
        ("root", "admin", False),
    ]


async def test_disabling_ends_sessions_and_tokens_at_once(world):
    body = await world.tokens()
    cookie, _ = await world.browser()
    account = await disable_account(world.ports, "ANN")
    assert account.disabled
    assert await load_session(world.ports, cookie) is None
    assert await verify_access_token(world.ports, body["access_token"]) is None


async def test_administration_is_audited(world):
    await disable_account(world.ports, "ann")
    lines = await world.rows(AuditLine, ("action", "=", "admin"), ("detail", "=", "account disabled"))
    assert len(lines) == 1
