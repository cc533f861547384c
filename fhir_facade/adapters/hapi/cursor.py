"""Where a search or a history goes on, as the opaque text of `Page.cursor`.

The first page of a search is a cheap one without a memory in HAPI. Its cursor says when it was made and which ids it
held; only when it is followed a stored search begins, whose handle the later cursors carry.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from datetime import datetime

import msgspec

from fhir_facade.errors import Gone

ID_BYTES = 6  # of 1,000 ids no two are the same with odds of a billion to one


class Cursor(msgspec.Struct, frozen=True, tag_field="k"):
    """Base of the three kinds."""


class AfterFirst(Cursor, frozen=True, tag="f"):
    """`at`: HAPI's time of the first page; `sent`: digests of its ids."""

    at: datetime
    sent: bytes
    total: int | None = None


class InStored(Cursor, frozen=True, tag="s"):
    """HAPI's stored search and the position in it."""

    search: str
    offset: int
    total: int | None = None


class InHistory(Cursor, frozen=True, tag="h"):
    """Versions written until `at`, of which `offset` were shown."""

    at: datetime
    offset: int
    total: int | None = None


_DECODER: msgspec.msgpack.Decoder[AfterFirst | InStored | InHistory] = msgspec.msgpack.Decoder(
    AfterFirst | InStored | InHistory
)


def sealed(cursor: Cursor) -> str:
    return base64.urlsafe_b64encode(msgspec.msgpack.encode(cursor)).decode().rstrip("=")


def opened(text: str) -> AfterFirst | InStored | InHistory:
    try:
        return _DECODER.decode(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (ValueError, msgspec.DecodeError) as error:
        raise Gone("The page link is not valid; start the search again") from error


def digests(ids: Iterable[str]) -> bytes:
    """Short enough for a link, as one string of equally long pieces."""
    return b"".join(_digest(each) for each in ids)


def count_sent(sent: bytes) -> int:
    return len(sent) // ID_BYTES


def those_sent(sent: bytes, ids: Iterable[str]) -> list[bool]:
    """For each id whether it was among those sent."""
    known = {sent[start : start + ID_BYTES] for start in range(0, len(sent), ID_BYTES)}
    return [_digest(each) in known for each in ids]


def _digest(id: str) -> bytes:
    return hashlib.blake2b(id.encode(), digest_size=ID_BYTES).digest()
