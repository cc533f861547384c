"""A link with which somebody chooses a new password, once: made by an administrator, handed over by whatever way they
trust. Nobody who runs the service ever knows a password.

https://github.com/OWASP/ASVS/blob/v5.0.0/5.0/en/0x15-V6-Authentication.md (6.4.1, 6.4.3, 6.4.6)
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final
from urllib.parse import urlencode

from fhir_facade.errors import Conflict, Gone, NotFound
from fhir_facade.flows.accounts import account_line, check_password, end_apps, ended_links, hash_password
from fhir_facade.flows.launch.opaque import LINK, digest
from fhir_facade.flows.mail import notices
from fhir_facade.flows.sessions import forget_guesses
from fhir_facade.flows.sign_ins import end_sessions
from fhir_facade.ports import Ports, StateTransaction
from fhir_facade.rows import Append
from fhir_facade.rows.accounts import Account, PasswordLink, Session

PATH: Final = "/new-password"
LIVES: Final = timedelta(hours=24)
OVER: Final = "This link was used already, is too old, or was replaced by a newer one."


async def make_password_link(ports: Ports, account_id: str, *, actor: str = "operator") -> str:
    """The secret of a new link; older ones of the account work no more. The present password works until then.

    NotFound; Conflict for an account that is disabled.
    """
    secret, now = LINK + ports.ids.secret(), ports.clock.now()

    def make(tx: StateTransaction) -> None:
        account = tx.get(Account, account_id)
        if account is None:
            raise NotFound(f"There is no account {account_id}.")
        if account.disabled:
            raise Conflict("The account is disabled: enable it first.")
        link = PasswordLink(hash=digest(secret), account_id=account_id, created_at=now, expires_at=now + LIVES)
        tx.apply(*ended_links(tx, account_id), Append(link))
        tx.apply(Append(account_line(account, now, "link to choose a password made", actor)))

    await ports.state.write(make)
    return secret


def link_to_choose(base: str, secret: str) -> str:
    """What is handed to the person. `base` is our public address."""
    return f"{base}{PATH}?{urlencode({'link': secret})}"


async def account_of_link(ports: Ports, secret: str) -> Account:
    """Whose password the link changes. Gone for one that works no more."""
    return await ports.state.read(lambda tx: _account(tx, ports, secret))


async def choose_password(ports: Ports, secret: str, new: str) -> Account:
    """Set the password, end every session and what apps were allowed. Gone for a link that works no more; BadRequest
    for a bad password, and then the link still works."""
    account = await account_of_link(ports, secret)
    check_password(account.username, new)
    hashed, now = await hash_password(new), ports.clock.now()

    def choose(tx: StateTransaction) -> Account:
        _account(tx, ports, secret)
        if not tx.take(PasswordLink, [digest(secret)]):
            raise Gone(OVER)
        (row,) = tx.change(Account, [("id", "=", account.id)], password_hash=hashed)
        end_sessions(tx, now, tx.find(Session, ("account_id", "=", row.id)))
        forget_guesses(tx, row.username)
        tx.apply(*notices(ports, row, "password"))
        ended = end_apps(tx, row.id, now)
        tx.apply(Append(account_line(row, now, f"account changed: password, with a link{ended}", "person")))
        return row

    return await ports.state.write(choose)


def _account(tx: StateTransaction, ports: Ports, secret: str) -> Account:
    link = tx.get(PasswordLink, digest(secret))
    account = None if link is None or link.expires_at <= ports.clock.now() else tx.get(Account, link.account_id)
    if account is None or account.disabled:
        raise Gone(OVER)
    return account
