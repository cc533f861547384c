"""Accounts for tests whose subject is not how an account is made: each password is hashed once per test run.

Hashing takes tens of milliseconds on purpose; the row that it led to is put into every facade that asks for it again.
"""

from __future__ import annotations

from fhir_facade.flows.accounts import NewAccount, add_account
from fhir_facade.ports import Ports
from fhir_facade.rows.accounts import Account

_made: dict[NewAccount, Account] = {}


async def with_account(ports: Ports, new: NewAccount) -> Account:
    """The account, in these ports; what differs from `add_account` is that a repeat is not audited as an addition."""
    row = _made.get(new)
    if row is None:
        row = _made[new] = await add_account(ports, new)
    else:
        await ports.state.append([row])
    return row
