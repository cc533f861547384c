"""Looking accounts up. https://github.com/OWASP/ASVS/blob/v5.0.0/5.0/en/0x17-V8-Authorization.md"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from fhir_facade.errors import NotFound
from fhir_facade.ports import Ports, StateTransaction
from fhir_facade.rows.accounts import Account

LAST: Final = "\U0010ffff"
"""Sorts behind everything a name can go on with."""
PERSONS: Final = ("patient_id", "practitioner_id", "related_person_id", "organization_id")

Where = tuple[str, str, Any]


async def find_account(ports: Ports, account_id: str) -> Account:
    """NotFound."""
    account = await ports.state.read(lambda tx: tx.get(Account, account_id))
    if account is None:
        raise NotFound(f"There is no account {account_id}.")
    return account


async def named_account(ports: Ports, username: str) -> Account:
    """NotFound."""
    rows = await ports.state.read(lambda tx: tx.find(Account, ("username_key", "=", username.casefold())))
    if not rows:
        raise NotFound(f"There is no account {username}.")
    return rows[0]


async def accounts_page(
    ports: Ports, *, role: str | None, after: str | None, limit: int, text: str = ""
) -> tuple[Sequence[Account], str | None]:
    """Accounts by case-folded name, those after the name `after`; and the `after` of the next page, if there is one.

    With `text`: those whose name begins with it; before them, beyond `limit`, who is the person or belongs to the
    institution of that id.
    """
    key = text.casefold()
    where: list[Where] = [("username_key", ">", after or ""), ("username_key", "<", key + LAST)]
    where += [("username_key", ">=", key)] if role is None else [("username_key", ">=", key), ("role", "=", role)]

    def look(tx: StateTransaction) -> tuple[list[Account], list[Account]]:
        return _of_person(tx, "" if after else text, role), tx.find(
            Account, *where, order=("username_key",), limit=limit + 1
        )

    named, rows = await ports.state.read(look)
    others = [row for row in rows[:limit] if row not in named]
    return [*named, *others], rows[limit - 1].username_key if len(rows) > limit else None


def _of_person(tx: StateTransaction, id_: str, role: str | None) -> list[Account]:
    found = [row for field in PERSONS if id_ for row in tx.find(Account, (field, "=", id_), order=("username_key",))]
    return [row for row in found if role in (None, row.role)]
