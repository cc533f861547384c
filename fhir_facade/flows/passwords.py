"""A person replaces the own password, and has to know the present one: a session alone is not enough.

https://github.com/OWASP/ASVS/blob/v5.0.0/5.0/en/0x15-V6-Authentication.md (6.2.3)
"""

from __future__ import annotations

from fhir_facade.errors import Forbidden
from fhir_facade.flows.accounts import LONGEST_PASSWORD, change_account, check_password, password_fits
from fhir_facade.flows.launch.sign_in import Caller
from fhir_facade.flows.sessions import admit_guess, forgive_guesses
from fhir_facade.ports import Ports
from fhir_facade.rows.accounts import Account


async def replace_password(
    ports: Ports,
    account: Account,
    *,
    current: str,
    new: str,
    keep: str | None,
    caller: Caller,
    keep_apps: bool = False,
) -> Account:
    """Forbidden when `current` is wrong, TooManyRequests after too many guesses: they count like those of signing in.

    BadRequest for a bad new one. All sessions end but the one with the hash `keep`, and without `keep_apps` so does
    what apps were allowed: somebody else may have known the old one.
    """
    check_password(account.username, new)
    await show_password(ports, account, current, caller)
    return await change_account(ports, account.id, password=new, actor="person", keep=keep, keep_apps=keep_apps)


async def show_password(ports: Ports, account: Account, current: str, caller: Caller) -> None:
    """Returns when `current` is the account's password. Forbidden, TooManyRequests as of signing in."""
    await admit_guess(ports, account.username, caller)
    if len(current) > LONGEST_PASSWORD or not await password_fits(account, current):
        raise Forbidden("The present password is wrong.")
    await forgive_guesses(ports, account.username, caller)
