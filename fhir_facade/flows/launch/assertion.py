"""Client authentication with a signed assertion (`private_key_jwt`), stricter than RFC 7523 alone.

https://hl7.org/fhir/smart-app-launch/STU2.2/client-confidential-asymmetric.html#authenticating-to-the-token-endpoint
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
from joserfc import jws, jwt
from joserfc.errors import JoseError

from fhir_facade.flows.launch.client_keys import ClientKeys, choose_key
from fhir_facade.flows.launch.issuer import ASSERTION_ALGORITHMS, ASSERTION_LIFETIME, CLOCK_SKEW

ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
LONGEST: Final = 16_384
LONGEST_JTI: Final = 256


class RefusedAssertion(ValueError):
    """The assertion proves nothing; the text says why, without repeating what was sent."""


@dataclass(frozen=True, slots=True)
class Assertion:
    """An assertion whose signature and claims hold. Whether its `jti` was used before is for the caller to know."""

    client_id: str
    jti: str
    expires_at: datetime


class _Registry(jws.JWSRegistry):
    max_header_length = 4096
    """A long `jku` is legal; the library's own limit is 512 bytes."""


def claimed_client(text: str) -> str | None:
    """The client an assertion says it comes from, unverified; None when it cannot be read."""
    try:
        claims = msgspec.json.decode(_compact(text).payload)
    except (RefusedAssertion, msgspec.DecodeError, UnicodeError, RecursionError):
        return None
    subject = claims.get("sub") if isinstance(claims, dict) else None
    return subject if isinstance(subject, str) else None


def claimed_key(text: str) -> str | None:
    """The `kid` an assertion names, unverified."""
    try:
        kid = _compact(text).headers().get("kid")
    except RefusedAssertion:
        return None
    return kid if isinstance(kid, str) else None


def verify_assertion(text: str, *, keys: ClientKeys, jwks_uri: str | None, audience: str, now: datetime) -> Assertion:
    """Check signature, then claims. RefusedAssertion for everything that is not exactly right, whatever was sent."""
    header = _compact(text).headers()
    algorithm, kid = header.get("alg"), header.get("kid")
    if algorithm not in ASSERTION_ALGORITHMS or not isinstance(kid, str):
        raise RefusedAssertion("The header needs a kid, and RS384 or ES384 as alg.")
    if "crit" in header or ("jku" in header and (jwks_uri is None or header["jku"] != jwks_uri)):
        raise RefusedAssertion("The header names another jku than the registered one, or something critical.")
    key = choose_key(keys.keys, kid, algorithm)
    if key is None:
        raise RefusedAssertion("There is not exactly one registered key with this kid and type.")
    try:
        claims = jwt.decode(text, key, [algorithm], _Registry(algorithms=[algorithm], strict_check_header=False)).claims
    except (JoseError, ValueError, TypeError, RecursionError):
        raise RefusedAssertion("The signature does not hold.") from None
    return _checked(claims, keys.client_id, audience, now)


def _compact(text: str) -> Any:
    if len(text) > LONGEST:
        raise RefusedAssertion("The assertion is too long.")
    try:
        return jws.extract_compact(text.encode("ascii"), None, _Registry(strict_check_header=False))
    except (JoseError, ValueError, TypeError, RecursionError):
        raise RefusedAssertion("The assertion is not a JWT.") from None


def _checked(claims: Mapping[str, Any], client_id: str, audience: str, now: datetime) -> Assertion:
    if claims.get("iss") != client_id or claims.get("sub") != client_id:
        raise RefusedAssertion("iss and sub are both the client id.")
    if claims.get("aud") != audience:
        raise RefusedAssertion("aud is the address of the token endpoint, one string.")
    expires_at = _moment(claims, "exp")
    if expires_at is None or not now < expires_at + CLOCK_SKEW:
        raise RefusedAssertion("The assertion has expired, or has no exp.")
    if expires_at > now + ASSERTION_LIFETIME + CLOCK_SKEW:
        raise RefusedAssertion("exp lies more than five minutes ahead.")
    if any(name in claims and not _past(claims, name, now) for name in ("iat", "nbf")):
        raise RefusedAssertion("iat or nbf lies in the future.")
    jti = claims.get("jti")
    if not isinstance(jti, str) or not 0 < len(jti) <= LONGEST_JTI:
        raise RefusedAssertion("jti is missing or too long.")
    return Assertion(client_id, jti, expires_at + CLOCK_SKEW)


def _moment(claims: Mapping[str, Any], name: str) -> datetime | None:
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return datetime.fromtimestamp(value, tz=UTC)
    except (OverflowError, ValueError, OSError):
        return None


def _past(claims: Mapping[str, Any], name: str, now: datetime) -> bool:
    moment = _moment(claims, name)
    return moment is not None and moment <= now + CLOCK_SKEW
