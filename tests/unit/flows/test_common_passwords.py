"""Passwords that many people use are refused wherever one is chosen."""

import pytest

from fhir_facade.errors import BadRequest
from fhir_facade.flows.accounts import SHORTEST_PASSWORD, NewAccount, add_account, change_account, check_password
from fhir_facade.flows.common_passwords import _common, is_common
from fhir_facade.flows.password_links import choose_password, make_password_link
from fhir_facade.flows.passwords import replace_password
from fhir_facade.rows.accounts import Account
from tests.sign_in_world import PASSWORD, Caller

ENOUGH = 3000  # ASVS 5.0, 6.2.4


@pytest.mark.parametrize("password", ["password", "12345678", "PassWord", "qwertyuiop", "TrustNo1", "iloveyou"])
def test_what_everybody_tries_first_is_common_in_any_capitals(password):
    assert is_common(password)
    with pytest.raises(BadRequest, match="Many people use this password"):
        check_password("ann", password)


@pytest.mark.parametrize("password", [PASSWORD, "", "\n", "password\n12345678", "passwor", "pässwörter", "\ud800" * 8])
def test_other_texts_are_not(password):
    assert not is_common(password)


def test_there_are_as_many_as_the_standard_asks_for():
    lines = _common().decode().split()
    assert len(lines) >= ENOUGH
    assert lines == sorted(set(lines))
    assert all(len(line) >= SHORTEST_PASSWORD and line == line.casefold() for line in lines)


async def test_nobody_gets_one_at_any_of_the_places_where_a_password_is_chosen(world):
    (ann,) = await world.rows(Account, ("username_key", "=", "ann"))
    secret = await make_password_link(world.ports, ann.id)
    common = {"current": PASSWORD, "new": "iloveyou", "keep": None, "caller": Caller()}

    for chosen in (
        add_account(world.ports, NewAccount("new", "admin", "iloveyou")),
        change_account(world.ports, ann.id, password="iloveyou", actor="root"),
        replace_password(world.ports, ann, **common),
        choose_password(world.ports, secret, "iloveyou"),
    ):
        with pytest.raises(BadRequest, match="Many people use this password"):
            await chosen

    assert await world.rows(Account, ("username_key", "=", "ann")) == [ann]
