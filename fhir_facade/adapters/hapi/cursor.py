"""Where a search or a history goes on, as the opaque text of `Page.cursor`.

The first page of a search is a cheap one without a memory in HAPI. Its cursor says which ids it held; only when it is
followed a stored search begins, whose own link to the next page the later cursors carry.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from datetime import datetime

import msgspec

from fhir_facade.errors import Gone

DIGEST_BYTES = 6  # of 1,000 names no two are the same with odds of a billion to one


class Cursor(msgspec.Struct, frozen=True, tag_field="k"):
    """Base of the four kinds."""


class AfterFirst(Cursor, frozen=True, tag="f"):
    """`sent`: digests of the ids of the first page."""

    sent: bytes
    total: int | None = None


class InStored(Cursor, frozen=True, tag="s"):
    """`link` leads to the next page of the stored search; `sent` were on the first page."""

    link: str
    sent: bytes
    total: int | None = None


class InOrder(Cursor, frozen=True, tag="o"):
    """Of an order that HAPI does not know: `sent` were on the pages before."""

    sent: bytes


class InHistory(Cursor, frozen=True, tag="h"):
    """`link` leads to the next page, which new versions may have shifted: what is newer than `at`, or was `sent`, was
    shown."""

    link: str
    at: datetime
    sent: bytes
    total: int | None = None


Kind = AfterFirst | InStored | InOrder | InHistory
_DECODER: msgspec.msgpack.Decoder[Kind] = msgspec.msgpack.Decoder(Kind)


def sealed(cursor: Cursor) -> str:
    return base64.urlsafe_b64encode(msgspec.msgpack.encode(cursor)).decode().rstrip("=")


def opened(text: str) -> Kind:
    try:
        return _DECODER.decode(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (ValueError, msgspec.DecodeError) as error:
        raise Gone("The page link is not valid; start the search again") from error


def digests(names: Iterable[str]) -> bytes:
    """Short enough for a link, as one string of equally long pieces."""
    return b"".join(_digest(each) for each in names)


def those_sent(sent: bytes, names: Iterable[str]) -> list[bool]:
    """For each name whether it was among those sent."""
    known = {sent[start : start + DIGEST_BYTES] for start in range(0, len(sent), DIGEST_BYTES)}
    return [_digest(each) in known for each in names]


def _digest(name: str) -> bytes:
    return hashlib.blake2b(name.encode(), digest_size=DIGEST_BYTES).digest()
