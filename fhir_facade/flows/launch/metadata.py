"""The metadata of an app in the words of RFC 7591, and as we keep it. https://www.rfc-editor.org/rfc/rfc7591#section-2"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from fhir_facade.errors import BadRequest
from fhir_facade.flows.launch.clients import NewClient
from fhir_facade.flows.launch.redirects import parse_redirect_uri
from fhir_facade.flows.launch.registered import GRANT_TYPES_OF, RegisteredClient
from fhir_facade.rows.oauth import Client

KIND_OF: Final[Mapping[str, str]] = {
    "none": "public",
    "client_secret_basic": "confidential",
    "client_secret_post": "confidential",
    "private_key_jwt": "confidential",
}
_ELSEWHERE: Final = re.compile(r"https://(?:[A-Za-z0-9-]+\.)+[A-Za-z]{2,}(?::443)?/[!-~]*")
"""An address at a name, never at a number or at a machine next door: nobody lets us look around in here."""
MOST_URIS: Final = 20
LONGEST_NAME: Final = 200


class InvalidMetadata(ValueError):
    """Metadata that cannot be meant; `code` is a word of RFC 7591 section 3.2.2."""

    def __init__(self, text: str, code: str = "invalid_client_metadata") -> None:
        super().__init__(text)
        self.code = code


def new_client(document: Mapping[str, Any], client_id: str) -> NewClient:
    """What a document asks for. The id is ours; members we do not know are left out, as RFC 7591 says.

    InvalidMetadata, also for keys on this very machine: only an operator may name those.
    """
    method = _text(document, "token_endpoint_auth_method") or "client_secret_basic"
    if method not in KIND_OF:
        raise InvalidMetadata(f"token_endpoint_auth_method is one of {', '.join(KIND_OF)}.")
    keys = document.get("jwks")
    if keys is not None and "jwks_uri" in document:
        raise InvalidMetadata("Give jwks or jwks_uri, not both.")
    if (method == "private_key_jwt") is not (keys is not None or "jwks_uri" in document):
        raise InvalidMetadata("Keys belong to private_key_jwt, and it needs them.")
    if "jwks_uri" in document and not _ELSEWHERE.fullmatch(_text(document, "jwks_uri") or ""):
        raise InvalidMetadata("jwks_uri is an https address with the name of a host on the internet.")
    kind = _kind(document, KIND_OF[method])
    return NewClient(
        id=client_id,
        kind=kind,
        scope=_text(document, "scope") or "",
        name=_name(document),
        redirect_uris=_uris(document, "redirect_uris"),
        jwks=None if keys is None else msgspec.json.encode(keys).decode(),
        jwks_uri=_text(document, "jwks_uri"),
        launch_uri=_text(document, "initiate_login_uri"),
        logout_uris=_uris(document, "post_logout_redirect_uris"),
    )


def described(row: Client) -> dict[str, Any]:
    """A registration as it stands."""
    methods = RegisteredClient(row).methods()
    told: dict[str, Any] = {
        "client_id": row.id,
        "client_id_issued_at": int(row.created_at.timestamp()),
        "client_name": row.name,
        "redirect_uris": list(row.redirect_uris),
        "scope": row.scope,
        "grant_types": sorted(GRANT_TYPES_OF[row.kind]),
        "response_types": [] if row.kind == "backend" else ["code"],
        "token_endpoint_auth_method": min(methods),
        "jwks": None if row.jwks is None else msgspec.json.decode(row.jwks),
        "jwks_uri": row.jwks_uri,
        "initiate_login_uri": row.launch_uri,
        "post_logout_redirect_uris": list(row.logout_uris) or None,
    }
    return {name: value for name, value in told.items() if value is not None}


def _kind(document: Mapping[str, Any], kind: str) -> str:
    """Client credentials alone make a backend service."""
    asked = document.get("grant_types", ["authorization_code"])
    if not isinstance(asked, list):
        raise InvalidMetadata("grant_types is a list.")
    kind = "backend" if kind == "confidential" and asked == ["client_credentials"] else kind
    if not {one for one in asked if isinstance(one, str)} <= GRANT_TYPES_OF[kind] or not asked:
        raise InvalidMetadata(f"The grant_types of such an app are {', '.join(sorted(GRANT_TYPES_OF[kind]))}.")
    if document.get("response_types", ["code"]) not in (["code"], []):
        raise InvalidMetadata("The only response type is code.")
    return kind


def _name(document: Mapping[str, Any]) -> str:
    name = _text(document, "client_name") or ""
    if len(name) > LONGEST_NAME or not name.isprintable():
        raise InvalidMetadata(f"client_name has at most {LONGEST_NAME} printable characters.")
    return name


def _uris(document: Mapping[str, Any], name: str) -> tuple[str, ...]:
    uris = document.get(name, [])
    if not isinstance(uris, list) or len(uris) > MOST_URIS or not all(isinstance(uri, str) for uri in uris):
        raise InvalidMetadata(f"{name} is a list of at most {MOST_URIS} addresses.", "invalid_redirect_uri")
    try:
        for uri in uris:
            parse_redirect_uri(uri)
    except BadRequest as error:
        raise InvalidMetadata(str(error), "invalid_redirect_uri") from None
    return tuple(uris)


def _text(document: Mapping[str, Any], name: str) -> str | None:
    value = document.get(name)
    if value is not None and not isinstance(value, str):
        raise InvalidMetadata(f"{name} is a text.")
    return value
