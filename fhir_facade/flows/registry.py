"""Looking accounts up. https://github.com/OWASP/ASVS/blob/v5.0.0/5.0/en/0x17-V8-Authorization.md"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fhir_facade.errors import NotFound
from fhir_facade.ports import Ports
from fhir_facade.rows.accounts import Account


async def find_account(ports: Ports, account_id: str) -> Account:
    """NotFound."""
    account = await ports.state.read(lambda tx: tx.get(Account, account_id))
    if account is None:
        raise NotFound(f"There is no account {account_id}.")
    return account


async def accounts_page(
    ports: Ports, *, role: str | None, after: str | None, limit: int
) -> tuple[Sequence[Account], str | None]:
    """Accounts by case-folded name, those after the name `after`; and the `after` of the next page, if there is one."""
    where: list[tuple[str, str, Any]] = [("username_key", ">", after or "")]
    if role is not None:
        where.append(("role", "=", role))
    rows = await ports.state.read(lambda tx: tx.find(Account, *where, order=("username_key",), limit=limit + 1))
    return rows[:limit], rows[limit - 1].username_key if len(rows) > limit else None
