"""Opaque secrets: 256 random bits behind a prefix that secret scanners recognise, stored only as SHA-256.

https://www.rfc-editor.org/rfc/rfc6819#section-5.1.4.1
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Final

ACCESS: Final = "ffa_"
REFRESH: Final = "ffr_"
CODE: Final = "ffc_"
CLIENT: Final = "ffk_"
LAUNCH: Final = "ffl_"
INITIAL: Final = "ffi_"
REGISTRATION: Final = "ffg_"
LINK: Final = "ffp_"


def digest(secret: str) -> str:
    """The hex SHA-256 under which a secret is stored and looked up. Any text is fine, whatever its characters."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def same(secret: str, stored: str) -> bool:
    """Whether `stored` is the digest of `secret`, compared in constant time."""
    return hmac.compare_digest(digest(secret), stored)


def csrf_token(cookie: str) -> str:
    """The form token that belongs to a browser's cookie: whoever cannot read the cookie cannot make it."""
    return hmac.new(cookie.encode("utf-8", "surrogatepass"), b"fhir-facade csrf", hashlib.sha256).hexdigest()
