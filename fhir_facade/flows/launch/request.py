"""A request to the authorization server, read strictly before the OAuth core sees it.

https://www.rfc-editor.org/rfc/rfc6749#appendix-A says which characters each parameter may have.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import unquote

from authlib.oauth2.rfc6749 import OAuth2Payload, OAuth2Request

LONGEST_VALUE: Final = 16_384
_VISIBLE: Final = re.compile(r"[\x20-\x7e]*")
_RESPONSE_TYPE: Final = re.compile(r"[A-Za-z0-9_ ]+")
_FREE_TEXT: Final = frozenset({"login_hint", "ui_locales", "claims_locales", "id_token_hint", "display"})
"""Parameters of OpenID Connect that we do not read and that may hold any character."""

Pairs = Sequence[tuple[str, str]]


class MalformedRequest(ValueError):
    """The request cannot be judged at all; the text may be shown to whoever sent it."""


@dataclass(frozen=True, slots=True)
class Basic:
    """Client id and secret of an HTTP Basic header."""

    client_id: str
    secret: str


@dataclass(frozen=True, slots=True)
class Bearer:
    """The access token of a Bearer header."""

    token: str


class LaunchPayload(OAuth2Payload):
    """The parameters, each of which occurs once."""

    def __init__(self, parameters: Mapping[str, str]) -> None:
        self._data = dict(parameters)
        self._lists: defaultdict[str, list[str]] = defaultdict(list, {k: [v] for k, v in self._data.items()})

    @property
    def data(self) -> dict[str, str]:
        return self._data

    @property
    def datalist(self) -> defaultdict[str, list[str]]:
        return self._lists

    @property
    def response_type(self) -> str:
        """The core repeats an unknown type in its error text, where quotes are forbidden."""
        asked = self._data.get("response_type", "")
        return asked if _RESPONSE_TYPE.fullmatch(asked) else "unknown"


class LaunchRequest(OAuth2Request):
    """What the OAuth core works on. The URI is ours, never one from a header, so its transport check always holds."""

    def __init__(self, method: str, parameters: Mapping[str, str], header: Basic | Bearer | None = None) -> None:
        super().__init__(method, "https://facade.invalid/")
        self.payload = LaunchPayload(parameters)
        self.header = header
        self.facts: Any = None

    @property
    def args(self) -> dict[str, str]:
        return {}

    @property
    def form(self) -> dict[str, str]:
        return self.payload.data


def single_parameters(pairs: Pairs) -> dict[str, str]:
    """The parameters as a mapping. MalformedRequest when one occurs twice, is too long or has forbidden characters.

    Empty values count as absent (RFC 6749 section 3.1).
    """
    seen: dict[str, str] = {}
    for name, value in pairs:
        if name in seen:
            raise MalformedRequest("A parameter occurs more than once.")
        if len(value) > LONGEST_VALUE:
            raise MalformedRequest("A parameter is too long.")
        if name not in _FREE_TEXT and not _VISIBLE.fullmatch(value):
            raise MalformedRequest("A parameter has characters that are not printable ASCII.")
        seen[name] = value
    return {name: value for name, value in seen.items() if value}


def credentials(header: str | None) -> Basic | Bearer | None:
    """What an `Authorization` header holds. MalformedRequest for another scheme or a broken one."""
    if not header:
        return None
    scheme, _, rest = header.partition(" ")
    read = _SCHEMES.get(scheme.lower())
    if read is None:
        raise MalformedRequest("The Authorization header is neither Basic nor Bearer.")
    return read(rest.strip())


def credential_count(parameters: Mapping[str, str], header: Basic | Bearer | None) -> int:
    """How many ways of client authentication a request uses: more than one is an error (RFC 6749 section 2.3)."""
    return (header is not None) + sum(name in parameters for name in ("client_secret", "client_assertion"))


def _basic(encoded: str) -> Basic:
    try:
        text = base64.b64decode(encoded.encode("ascii"), validate=True).decode("utf-8")
    except (binascii.Error, ValueError):
        raise MalformedRequest("The Authorization header is not valid Basic authentication.") from None
    client_id, colon, secret = text.partition(":")
    if not colon or not client_id or not secret:
        raise MalformedRequest("The Authorization header is not valid Basic authentication.")
    return Basic(unquote(client_id), unquote(secret))


_SCHEMES: Final[Mapping[str, Callable[[str], Basic | Bearer]]] = {"basic": _basic, "bearer": Bearer}
