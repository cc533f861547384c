"""The handle of an authorization request: what was asked, sealed, so that nothing is stored until a person signed in.

https://www.rfc-editor.org/rfc/rfc6749#section-10.12; anybody can begin an authorization, so beginning one costs no row.
"""

from __future__ import annotations

import zlib
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import datetime, timedelta
from typing import Final

import msgspec

from fhir_facade.errors import BadRequest
from fhir_facade.flows.launch.issuer import PENDING_LIFETIME
from fhir_facade.flows.launch.opaque import digest
from fhir_facade.flows.launch.request import LaunchRequest
from fhir_facade.ports import Ids, Vault

CONTEXT: Final = "authorization"
LONGEST: Final = 7000
"""Characters of a handle: it travels in addresses, and servers in front of us may cut those at 8 kB."""

ASKS_SIGN_IN: Final = frozenset({"login", "select_account"})


class Asked(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """A checked authorization request. `scope` is what the app may have of what it asked for.

    `fresh_after`: the person must have signed in after this moment (`prompt=login`, `max_age`); `launch` is the launch
    token as sent.
    """

    id: str
    client_id: str
    redirect_uri: str
    scope: str
    challenge: str
    expires_at: datetime
    state: str | None = None
    nonce: str | None = None
    launch: str | None = None
    fresh_after: datetime | None = None

    @property
    def key(self) -> str:
        """Under which the row of this request is found, once there is one."""
        return digest(self.id)


def asked_of(request: LaunchRequest, ids: Ids, now: datetime) -> Asked:
    """What a request that passed all checks asks for."""
    parameters = request.form
    return Asked(
        id=ids.secret(),
        client_id=request.client.row.id,
        redirect_uri=parameters["redirect_uri"],
        scope=_meant(request.scope, "launch" in parameters),
        challenge=parameters["code_challenge"],
        expires_at=now + PENDING_LIFETIME,
        state=parameters.get("state"),
        nonce=parameters.get("nonce"),
        launch=parameters.get("launch"),
        fresh_after=_fresh_after(parameters.get("prompt", ""), parameters.get("max_age", ""), now),
    )


def seal(vault: Vault, asked: Asked) -> str:
    """The handle: text for an address."""
    plain = zlib.compress(msgspec.msgpack.encode(asked), 9)
    return urlsafe_b64encode(vault.seal(plain, context=CONTEXT)).rstrip(b"=").decode()


def unseal(vault: Vault, handle: str, now: datetime) -> Asked | None:
    """What was asked, or None: the handle was not made here, or its time is over."""
    try:
        sealed = urlsafe_b64decode(handle.encode("ascii") + b"=" * (-len(handle) % 4))
        plain = vault.open(sealed, context=CONTEXT)
    except (BadRequest, ValueError):
        return None
    asked = msgspec.msgpack.decode(zlib.decompress(plain), type=Asked)
    return asked if asked.expires_at > now else None


def _meant(scope: str, launched: bool) -> str:
    """Without a launch there is no launch context: the scope for it is left out."""
    return scope if launched else " ".join(word for word in scope.split() if word != "launch")


def _fresh_after(prompt: str, max_age: str, now: datetime) -> datetime | None:
    if ASKS_SIGN_IN & set(prompt.split()):
        return now
    if max_age.isdecimal() and len(max_age) < 10:
        return now - timedelta(seconds=int(max_age))
    return None
