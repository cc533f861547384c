"""The public keys of clients: checked at registration, fetched before a transaction begins, chosen by hand.

https://hl7.org/fhir/smart-app-launch/STU2.2/client-confidential-asymmetric.html#signature-verification
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import msgspec
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey

from fhir_facade.errors import BadRequest, UpstreamError
from fhir_facade.values import Json, JsonObject

MOST_KEYS: Final = 50
SMALLEST_RSA: Final = 2048
KEY_TYPES: Final[Mapping[str, str]] = {"RS384": "RSA", "ES384": "EC"}
_PRIVATE: Final = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})

PublicKey = RSAKey | ECKey


class KeySets(Protocol):
    """Fetches JSON Web Key Sets of registered addresses, within limits of time and size, and keeps them a while."""

    async def fetch(self, url: str, *, fresh: bool = False, public: bool = False) -> bytes:
        """The document at `url`; `fresh` asks again unless it was asked a moment ago, `public` asks only where all
        addresses of the name are of the internet. UpstreamError."""


@dataclass(frozen=True, slots=True)
class ClientKeys:
    """The keys with which one client's assertion may be checked in this request, as JWKs. Empty: none could be had."""

    client_id: str = ""
    keys: tuple[JsonObject, ...] = ()


def parse_key_set(text: str | bytes) -> tuple[JsonObject, ...]:
    """The keys of a JWKS that is being registered. BadRequest when it is none, holds private or symmetric keys, or
    names a `kid` twice."""
    keys = _keys(text)
    if not keys or len(keys) > MOST_KEYS:
        raise BadRequest(f'A key set is a JSON document with 1 to {MOST_KEYS} keys: {{"keys": [ … ]}}.')
    for key in keys:
        _check(key)
    names = [(key["kid"], key.get("kty")) for key in keys]
    if len(set(names)) != len(names):
        raise BadRequest("Two keys of the set have the same kid.")
    return tuple(keys)


def choose_key(keys: Sequence[JsonObject], kid: str, algorithm: str) -> PublicKey | None:
    """The one key with this `kid` whose type fits the algorithm; None when there is none or more than one."""
    fitting = [key for key in keys if key.get("kid") == kid and key.get("kty") == KEY_TYPES[algorithm]]
    if len(fitting) != 1 or fitting[0].get("use", "sig") != "sig":
        return None
    return import_public_key(fitting[0])


def import_public_key(key: JsonObject) -> PublicKey | None:
    """An RSA key of at least 2048 bits or a P-384 key; None for anything else."""
    try:
        if key.get("kty") == "EC":
            return ECKey.import_key(dict(key)) if key.get("crv") == "P-384" else None
        if key.get("kty") != "RSA" or _modulus_bits(key) < SMALLEST_RSA:
            return None
        return RSAKey.import_key(dict(key))
    except (JoseError, ValueError, TypeError, KeyError):
        return None


async def fetch_key_set(
    sets: KeySets, url: str, *, fresh: bool = False, public: bool = False
) -> tuple[JsonObject, ...]:
    """The keys behind a registered address; empty when they cannot be had: the assertion is then refused."""
    try:
        keys = _keys(await sets.fetch(url, fresh=fresh, public=public))
    except UpstreamError:
        return ()
    return tuple(key for key in keys[:MOST_KEYS] if isinstance(key, dict))


def _keys(text: str | bytes) -> list[Json]:
    try:
        document: Json = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return []
    keys = document.get("keys") if isinstance(document, dict) else None
    return keys if isinstance(keys, list) else []


def _check(key: Json) -> None:
    if not isinstance(key, dict) or not isinstance(key.get("kid"), str) or not key["kid"]:
        raise BadRequest("Every key of a key set is an object with a kid.")
    if _PRIVATE & key.keys():
        raise BadRequest("A key set holds public keys only; this one holds a private or symmetric key. Do not send it.")


def _modulus_bits(key: JsonObject) -> int:
    modulus = key.get("n")
    return len(modulus) * 6 if isinstance(modulus, str) else 0
