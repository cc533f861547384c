"""RSA keys that sign id_tokens: made on first use, sealed at rest, published while a token may still need them.

https://openid.net/specs/openid-connect-core-1_0.html#RotateSigKeys
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Final

import msgspec
from joserfc.jwk import RSAKey

from fhir_facade.ports import Ports, StateTransaction
from fhir_facade.rows import Append
from fhir_facade.rows.oauth import SigningKey
from fhir_facade.values import Json

KEY_BITS: Final = 2048
AHEAD: Final = timedelta(minutes=10)
"""A new key is published this long before it signs: who keeps our key set for a while knows it by then."""
OVERLAP: Final = timedelta(days=1)
"""A retired key stays published this long: every id_token it signed has expired by then."""
LIFETIME: Final = timedelta(days=90)
"""A key that signed so long is replaced by itself."""
CONTEXT: Final = "signing-key"


@dataclass(frozen=True, slots=True)
class Signer:
    """A private key in hand, with the `kid` under which its public half is published."""

    kid: str
    key: RSAKey


async def current_signer(ports: Ports) -> Signer:
    """The newest key that was published long enough, or the oldest there is; made when there is none. Two processes may
    make one each: both are good."""
    now = ports.clock.now()
    row = await ports.state.read(lambda tx: _signing(tx, now)) or await _make(ports)
    return Signer(row.kid, _import(ports.vault.open(row.sealed, context=CONTEXT)))


async def rotate_signing_key(ports: Ports) -> str:
    """Publish a new key, and sign with it after `AHEAD`; the old ones stay published for `OVERLAP` longer. Returns the
    new `kid`."""
    row = await _make(ports)
    until = ports.clock.now() + AHEAD + OVERLAP
    others = [("kid", "!=", row.kid), ("retired_at", "=", None)]
    await ports.state.write(lambda tx: tx.change(SigningKey, others, retired_at=until))
    return row.kid


async def rotate_when_old(ports: Ports) -> str | None:
    """Rotate when the newest key is older than `LIFETIME`; the new `kid`, or None. For what runs now and then."""
    before = ports.clock.now() - LIFETIME
    rows = await ports.state.read(lambda tx: tx.find(SigningKey, order=("-created_at",), limit=1))
    return await rotate_signing_key(ports) if rows and rows[0].created_at <= before else None


async def public_keys(ports: Ports) -> Json:
    """The JSON Web Key Set: bare public keys, newest first, never empty."""
    await current_signer(ports)
    now = ports.clock.now()
    rows = await ports.state.read(lambda tx: tx.find(SigningKey, order=("-created_at",)))
    return {"keys": [msgspec.json.decode(row.public) for row in rows if row.retired_at is None or row.retired_at > now]}


def _signing(tx: StateTransaction, now: datetime) -> SigningKey | None:
    rows = [
        row for row in tx.find(SigningKey, order=("-created_at",)) if row.retired_at is None or row.retired_at > now
    ]
    return next((row for row in rows if row.created_at + AHEAD <= now), rows[-1] if rows else None)


async def _make(ports: Ports) -> SigningKey:
    kid = ports.ids.new()
    key = await asyncio.to_thread(RSAKey.generate_key, KEY_BITS, {"kid": kid, "use": "sig", "alg": "RS256"})
    row = SigningKey(
        kid=kid,
        public=msgspec.json.encode(key.as_dict(private=False)).decode(),
        sealed=ports.vault.seal(msgspec.json.encode(key.as_dict(private=True)), context=CONTEXT),
        created_at=ports.clock.now(),
    )
    await ports.state.write(lambda tx: tx.apply(Append(row)))
    return row


@lru_cache(maxsize=4)
def _import(plain: bytes) -> RSAKey:
    """Kept in memory: taking an RSA key in is slow."""
    return RSAKey.import_key(msgspec.json.decode(plain))
