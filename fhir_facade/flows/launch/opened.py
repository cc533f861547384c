"""An authorization request in the hands of a signed-in person: one browser, one launch, one decision.

https://www.rfc-editor.org/rfc/rfc9700#section-4.7
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from fhir_facade.errors import Conflict
from fhir_facade.flows.launch.handles import Asked, unseal
from fhir_facade.flows.launch.launches import take_launch
from fhir_facade.flows.launch.opaque import digest
from fhir_facade.flows.launch.sign_in import SignIn
from fhir_facade.ports import StateTransaction
from fhir_facade.rows import Append
from fhir_facade.rows.accounts import Account
from fhir_facade.rows.oauth import Client, Launch, OpenAuthorization


class Lost(ValueError):
    """The authorization is unknown, over, or belongs to another browser: start again from the app."""


NOT_YOURS: Final = (
    "This launch was used already, is over, or was made for somebody else. Open the app again from the record."
)
OVER: Final = "This authorization is over, or was begun in another browser. Start again from the app."


@dataclass(frozen=True, slots=True)
class Opened:
    """What was asked, by which app, and the row that the person's browser owns. `launch`: it began within an EHR."""

    asked: Asked
    client: Client
    row: OpenAuthorization
    launch: Launch | None


async def look(sign_in: SignIn, handle: str) -> tuple[Asked, Client]:
    """What a handle asks for, and the app, which is still welcome. Nothing is stored. Lost."""
    asked = unseal(sign_in.ports.vault, handle, sign_in.ports.clock.now())
    client = None if asked is None else await sign_in.ports.state.read(lambda tx: tx.get(Client, asked.client_id))
    if asked is None or client is None or client.disabled:
        raise Lost(OVER)
    return asked, client


async def open_authorization(sign_in: SignIn, asked: Asked, client: Client, browser: str, account: Account) -> Opened:
    """The row of this request. The first browser in which somebody is signed in makes it and takes its launch. Lost."""
    now, owner = sign_in.ports.clock.now(), digest(browser)
    row = await sign_in.ports.state.read(lambda tx: tx.get(OpenAuthorization, asked.key))
    if row is None:
        try:
            row = await sign_in.ports.state.write(lambda tx: _claim(tx, asked, account.id, owner, now))
        except Conflict:  # the same page, opened twice at the same moment
            row = await sign_in.ports.state.read(lambda tx: tx.get(OpenAuthorization, asked.key))
    if row is None or row.browser != owner or row.expires_at <= now:
        raise Lost(OVER)
    launch = await _launch(sign_in, row)
    if launch is not None and launch.account_id != account.id:
        raise Lost(NOT_YOURS)
    return Opened(asked, client, row, launch)


def _claim(tx: StateTransaction, asked: Asked, account_id: str, owner: str, now: datetime) -> OpenAuthorization:
    taken = None
    if asked.launch is not None:
        taken = take_launch(tx, asked.launch, account_id, asked.key, now)
        if taken is None:
            raise Lost(NOT_YOURS)
    row = OpenAuthorization(
        hash=asked.key,
        browser=owner,
        expires_at=asked.expires_at,
        launch=taken.hash if taken else None,
    )
    tx.apply(Append(row))
    return row


async def _launch(sign_in: SignIn, row: OpenAuthorization) -> Launch | None:
    if row.launch is None:
        return None
    return await sign_in.ports.state.read(lambda tx: tx.get(Launch, str(row.launch)))
