"""The vendor's tokens of a connection: sealed at rest, refreshed by one at a time, stored before they are used.

https://www.rfc-editor.org/rfc/rfc6749#section-6
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

import msgspec

from fhir_facade.errors import ReconsentNeeded
from fhir_facade.ports import Ports, StateTransaction, VendorTokens
from fhir_facade.rows import Put, Remove
from fhir_facade.rows.connections import Connection, ConnectionTokens

LEEWAY: Final = timedelta(seconds=60)
"""A token that dies sooner than this is refreshed before it is used."""

_NO_TOKENS = "There is no access to the wearable's account any more; connect again."


class _Held(msgspec.Struct, frozen=True):
    access: str
    refresh: str | None
    expires_at: datetime


def _context(connection_id: str) -> str:
    return f"vendor-tokens|{connection_id}"


async def keep_tokens(ports: Ports, connection_id: str, tokens: VendorTokens, *, refresh: str | None = None) -> None:
    """Store tokens; `refresh` is the one to keep when the vendor sent none."""
    held = _Held(tokens.access_token, tokens.refresh_token or refresh, tokens.expires_at)
    sealed = ports.vault.seal(msgspec.json.encode(held), context=_context(connection_id))
    row = ConnectionTokens(connection=connection_id, sealed=sealed, changed_at=ports.clock.now())

    def work(tx: StateTransaction) -> None:
        if tx.get(Connection, connection_id) is not None:  # it was disconnected meanwhile
            tx.apply(Put(row))

    await ports.state.write(work)


async def access_token(ports: Ports, connection: Connection, *, refused: str | None = None) -> str:
    """An access token that lives; `refused` is one that the vendor did not accept.

    Callers that need a new one at the same time share one refresh. ReconsentNeeded puts the connection into that
    state and forgets the dead tokens.
    """
    held = await _held(ports, connection.id)
    if _usable(ports, held, refused):
        return held.access
    async with ports.locks.hold(f"vendor-tokens|{connection.id}"):
        held = await _held(ports, connection.id)
        if _usable(ports, held, refused):
            return held.access
        return await _refreshed(ports, connection, held)


def _usable(ports: Ports, held: _Held, refused: str | None) -> bool:
    return held.access != refused and held.expires_at - LEEWAY > ports.clock.now()


async def _refreshed(ports: Ports, connection: Connection, held: _Held) -> str:
    try:
        if held.refresh is None:
            raise ReconsentNeeded(_NO_TOKENS)
        tokens = await ports.vendors[connection.vendor].refresh(held.refresh)
    except ReconsentNeeded as error:
        await _forget(ports, connection.id, str(error))
        raise
    await keep_tokens(ports, connection.id, tokens, refresh=held.refresh)
    return tokens.access_token


async def _held(ports: Ports, connection_id: str) -> _Held:
    row = await ports.state.read(lambda tx: tx.get(ConnectionTokens, connection_id))
    if row is None:
        raise ReconsentNeeded(_NO_TOKENS)
    return msgspec.json.decode(ports.vault.open(row.sealed, context=_context(connection_id)), type=_Held)


async def _forget(ports: Ports, connection_id: str, reason: str) -> None:
    def work(tx: StateTransaction) -> None:
        tx.apply(Remove(ConnectionTokens, (connection_id,)))
        tx.change(Connection, [("id", "=", connection_id)], state="reconsent-needed", last_error=reason)

    await ports.state.write(work)


async def token_to_revoke(ports: Ports, connection_id: str) -> str | None:
    """The longest-lived token held, None when there is none."""
    try:
        held = await _held(ports, connection_id)
    except ReconsentNeeded:
        return None
    return held.refresh or held.access
