"""RSA keys that sign id_tokens: made on first use, sealed at rest, published while a token may still need them.

https://openid.net/specs/openid-connect-core-1_0.html#RotateSigKeys
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from typing import Final

import msgspec
from joserfc.jwk import RSAKey

from fhir_facade.ports import Ports, StateTransaction
from fhir_facade.rows import Append
from fhir_facade.rows.oauth import SigningKey
from fhir_facade.values import Json

KEY_BITS: Final = 2048
OVERLAP: Final = timedelta(days=1)
"""A retired key stays published this long: every id_token it signed has expired by then."""
CONTEXT: Final = "signing-key"


@dataclass(frozen=True, slots=True)
class Signer:
    """A private key in hand, with the `kid` under which its public half is published."""

    kid: str
    key: RSAKey


async def current_signer(ports: Ports) -> Signer:
    """The newest key that is not retired; made when there is none. Two processes may make one each: both are good."""
    row = await ports.state.read(_newest) or await _make(ports)
    return Signer(row.kid, _import(ports.vault.open(row.sealed, context=CONTEXT)))


async def rotate_signing_key(ports: Ports) -> str:
    """Sign with a new key from now on; the old one stays published for `OVERLAP`. Returns the new `kid`."""
    row = await _make(ports)

    def retire(tx: StateTransaction) -> None:
        tx.change(
            SigningKey, [("kid", "!=", row.kid), ("retired_at", "=", None)], retired_at=ports.clock.now() + OVERLAP
        )

    await ports.state.write(retire)
    return row.kid


async def public_keys(ports: Ports) -> Json:
    """The JSON Web Key Set: bare public keys, newest first, never empty."""
    await current_signer(ports)
    now = ports.clock.now()
    rows = await ports.state.read(lambda tx: tx.find(SigningKey, order=("-created_at",)))
    return {"keys": [msgspec.json.decode(row.public) for row in rows if row.retired_at is None or row.retired_at > now]}


def _newest(tx: StateTransaction) -> SigningKey | None:
    rows = tx.find(SigningKey, ("retired_at", "=", None), order=("-created_at",), limit=1)
    return rows[0] if rows else None


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
