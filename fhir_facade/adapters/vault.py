"""Seals secrets with AES-256-GCM under the newest key of the key file; a sealed value names its key.

    1 byte format (1), 4 bytes key number, 12 bytes nonce, ciphertext, 16 bytes tag

The first five bytes and the context are authenticated with the content: a value moved to another place does not open.
Nonces are random, good for 2^32 seals under one key. https://csrc.nist.gov/pubs/sp/800/38/d/final
Those of steady seals are made of what is sealed, with a key of their own: only the same twice has the same nonce.
"""

from __future__ import annotations

import hmac
import secrets
import struct
from typing import TYPE_CHECKING, NoReturn

from fhir_facade.adapters.keys import KeyFile
from fhir_facade.errors import BadRequest

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

FORMAT = 1
HEADER = struct.Struct(">BI")
NONCE_BYTES = 12
TAG_BYTES = 16


class KeyFileVault:
    """`Vault` over a key file; takes up keys that another process adds without a restart."""

    def __init__(self, file: KeyFile) -> None:
        self._file = file
        self._ciphers: dict[int, AESGCM] = {}

    def seal(self, plain: bytes, *, context: str, steady: bool = False) -> bytes:
        self._file.refresh()
        number = self._file.ring.newest
        header = HEADER.pack(FORMAT, number)
        about = header + context.encode()
        nonce = self._nonce_of(number, about, plain) if steady else secrets.token_bytes(NONCE_BYTES)
        return header + nonce + self._cipher(number).encrypt(nonce, plain, about)

    def open(self, sealed: bytes, *, context: str) -> bytes:
        from cryptography.exceptions import InvalidTag

        header, number = self._header(sealed)
        nonce, content = sealed[HEADER.size : HEADER.size + NONCE_BYTES], sealed[HEADER.size + NONCE_BYTES :]
        try:
            return self._cipher(number).decrypt(nonce, content, header + context.encode())
        except InvalidTag:
            _refuse()

    def reseal(self, sealed: bytes, *, context: str) -> bytes | None:
        self._file.refresh()
        _, number = self._header(sealed)
        if number >= self._file.ring.newest:
            return None
        return self.seal(self.open(sealed, context=context), context=context)

    def _header(self, sealed: bytes) -> tuple[bytes, int]:
        if len(sealed) < HEADER.size + NONCE_BYTES + TAG_BYTES:
            _refuse()
        header = sealed[: HEADER.size]
        version, number = HEADER.unpack(header)
        if number not in self._file.ring.keys:
            self._file.refresh()
        if version != FORMAT or number not in self._file.ring.keys:
            _refuse()
        return header, number

    def _nonce_of(self, number: int, about: bytes, plain: bytes) -> bytes:
        key = hmac.digest(self._file.ring.keys[number], b"nonces of steady seals", "sha256")
        return hmac.digest(key, about + b"\0" + plain, "sha256")[:NONCE_BYTES]

    def _cipher(self, number: int) -> AESGCM:
        if number not in self._ciphers:
            from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # a start does without

            self._ciphers[number] = AESGCM(self._file.ring.keys[number])
        return self._ciphers[number]


def _refuse() -> NoReturn:
    """One answer for every reason, so that nobody learns which part was wrong."""
    raise BadRequest("this value was not sealed here, or was changed since") from None
