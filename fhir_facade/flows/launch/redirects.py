"""Redirect URIs: one strict parser at registration, exact comparison afterwards.

https://www.rfc-editor.org/rfc/rfc9700#section-2.1 and, for the port of native apps, RFC 8252 section 7.3
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote

from fhir_facade.errors import BadRequest

LOOPBACK_HOSTS: Final = frozenset({"localhost", "127.0.0.1", "[::1]"})
LONGEST: Final = 2000

_URI: Final = re.compile(
    r"(?P<scheme>https?)://(?P<host>\[::1\]|[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?)(?::(?P<port>[0-9]{1,5}))?"
    r"(?P<path>/[A-Za-z0-9\-._~!$&'()+,;=:@%/]*)?(?P<query>\?[A-Za-z0-9\-._~!$&'()+,;=:@%/?]*)?"
)
_BAD_ESCAPE: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")


@dataclass(frozen=True, slots=True)
class RedirectUri:
    """A registered redirect URI, taken apart. `port` is None when the scheme's default is meant."""

    text: str
    scheme: str
    host: str
    port: int | None
    rest: str

    @property
    def loopback(self) -> bool:
        return self.scheme == "http" and self.host in LOOPBACK_HOSTS

    @property
    def origin(self) -> str:
        """The web origin: for CORS and for `form-action`."""
        return f"{self.scheme}://{self.host}" + ("" if self.port is None else f":{self.port}")


def parse_redirect_uri(text: str) -> RedirectUri:
    """`https`, or `http` on localhost, 127.0.0.1 or [::1]. BadRequest says what is wrong with anything else."""
    match = _URI.fullmatch(text)
    if match is None or len(text) > LONGEST:
        raise BadRequest(
            "A redirect URI is https://host/path, or for local apps http://localhost:port/path, "
            "http://127.0.0.1:port/path and http://[::1]:port/path: ASCII only, without user name, fragment, wildcard "
            "or another IPv6 address."
        )
    if _BAD_ESCAPE.search(text) or _climbs(match["path"] or ""):
        raise BadRequest("The path of a redirect URI has no '.' or '..' segments and no broken percent escapes.")
    uri = RedirectUri(
        text, match["scheme"], match["host"].lower(), _port(match), (match["path"] or "") + (match["query"] or "")
    )
    if uri.scheme == "http" and not uri.loopback:
        raise BadRequest("A redirect URI uses https; http is accepted on localhost, 127.0.0.1 and [::1] only.")
    return uri


def redirect_matches(registered: str, asked: str, *, native: bool) -> bool:
    """Exact equality; a `native` client on http loopback may come back on another port."""
    if registered == asked:
        return True
    if not native:
        return False
    try:
        ours, theirs = parse_redirect_uri(registered), parse_redirect_uri(asked)
    except BadRequest:
        return False
    return ours.loopback and (ours.scheme, ours.host, ours.rest) == (theirs.scheme, theirs.host, theirs.rest)


def _climbs(path: str) -> bool:
    plain = unquote(path)
    return any(segment in (".", "..") for segment in plain.split("/")) or "\\" in plain or "//" in plain


def _port(match: re.Match[str]) -> int | None:
    if match["port"] is None:
        return None
    port = int(match["port"])
    if not 0 < port < 65536:
        raise BadRequest("The port of a redirect URI lies between 1 and 65535.")
    return None if port == {"http": 80, "https": 443}[match["scheme"]] else port
