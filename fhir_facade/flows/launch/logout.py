"""An app asks to sign the person out. https://openid.net/specs/openid-connect-rpinitiated-1_0.html"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from authlib.common.urls import add_params_to_uri
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from fhir_facade.errors import BadRequest
from fhir_facade.flows.launch.keys import public_keys
from fhir_facade.flows.launch.request import MalformedRequest, Pairs, single_parameters
from fhir_facade.flows.launch.sign_in import SignIn
from fhir_facade.rows.oauth import Client
from fhir_facade.values import Json

LONGEST_HINT: Final = 8192


@dataclass(frozen=True, slots=True)
class LogoutAsked:
    """`target` is where the browser goes afterwards: registered by the app, or None. `subject` is the account that an
    id_token of ours names: when it is the one who is signed in, nobody has to be asked."""

    target: str | None
    subject: str | None
    client_name: str


async def asked_logout(sign_in: SignIn, pairs: Pairs) -> LogoutAsked:
    """Read a request to sign out. BadRequest when it cannot be followed: then the browser must not be sent anywhere."""
    try:
        parameters = single_parameters(pairs)
    except MalformedRequest as error:
        raise BadRequest(str(error)) from None
    claims = await _hint(sign_in, parameters.get("id_token_hint", ""))
    client_id = parameters.get("client_id", claims.get("aud"))
    if claims and client_id != claims["aud"]:
        raise BadRequest("The id_token was made for another app.")
    client = await sign_in.ports.state.read(lambda tx: tx.get(Client, client_id)) if client_id else None
    target = parameters.get("post_logout_redirect_uri")
    if target is not None:
        if client is None or client.disabled or target not in client.logout_uris:
            raise BadRequest("The address to go to afterwards is not registered for this app.")
        if "state" in parameters:
            target = add_params_to_uri(target, [("state", parameters["state"])])
    return LogoutAsked(target, claims.get("sub"), client.name if client else "")


async def _hint(sign_in: SignIn, text: str) -> Mapping[str, Json]:
    """The claims of an id_token of ours, expired or not; empty without one. BadRequest for anything else."""
    if not text:
        return {}
    keys = KeySet.import_key_set(await public_keys(sign_in.ports))
    try:
        claims: dict[str, Any] = jwt.decode(text[:LONGEST_HINT], keys, ["RS256"]).claims
    except (JoseError, ValueError, TypeError, msgspec.DecodeError, RecursionError):
        raise BadRequest("The id_token_hint is not an id_token of this server.") from None
    if claims.get("iss") != sign_in.issuer.name or not isinstance(claims.get("aud"), str):
        raise BadRequest("The id_token_hint is not an id_token of this server.")
    return claims
