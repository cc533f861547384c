"""Page links: sealed, expiring, bound to who asked and what was asked; judged again on every use."""

from __future__ import annotations

import base64
import binascii
import hashlib
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import lru_cache

import msgspec

from fhir_facade.errors import BadRequest, FacadeError, Gone
from fhir_facade.fhir.query import MAX_COUNT, whole_number
from fhir_facade.fhir.urls import query_text
from fhir_facade.interactions.call import Call
from fhir_facade.values import Page, Principal

PAGE = "_page"
VALID_FOR = timedelta(hours=1)
MOST_BYTES = 3000
"""Of a link, where forgetting the pages furthest behind helps: many servers take addresses of 8 KB at most."""
_CONTEXT = "page-link"
_INVALID = "this page link has expired or is not yours: repeat the search"


Before = tuple[str | None, ...]
"""Where the pages before one begin, in order; None begins the first one."""


class _Link(msgspec.Struct, frozen=True, array_like=True):
    caller: str
    target: str
    params: tuple[tuple[str, str], ...]
    cursor: str
    made_at: datetime
    before: Before = ()


@dataclass(frozen=True, slots=True)
class Asked:
    """The parameters of the first page, where this page continues, and the pages before it as far as they are known."""

    params: tuple[tuple[str, str], ...]
    cursor: str | None = None
    before: Before = ()

    def counted(self, count: int) -> Asked:
        """With the `_count` that is used, where one is asked for: it may be less."""
        return replace(self, params=tuple((n, str(count) if n == "_count" else v) for n, v in self.params))


def open_page(call: Call) -> Asked:
    """What a request asks: its own parameters, or those sealed in its page link. Gone for a foreign or old link."""
    params = call.request.params
    sealed = next((value for name, value in params if name == PAGE), None)
    if sealed is None:
        return Asked(params)
    if any(not _says_nothing(name, value) for name, value in params if (name, value) != (PAGE, sealed)):
        raise BadRequest("a page link takes no further parameters: use it as it was given")
    link = _open(call, sealed)
    if link.caller != _caller(call.principal) or link.target != _target(call):
        raise Gone(_INVALID)
    if call.ports.clock.now() - link.made_at > VALID_FOR:
        raise Gone(_INVALID)
    return Asked(link.params, link.cursor, link.before)


def _says_nothing(name: str, value: str) -> bool:
    """Medplum's client adds `_count=1000` to a link that has none: no page has more anyway."""
    return name == "_count" and whole_number(name, value) >= MAX_COUNT


def _open(call: Call, sealed: str) -> _Link:
    try:
        data = base64.urlsafe_b64decode(sealed.encode("ascii") + b"=" * (-len(sealed) % 4))
        return msgspec.json.decode(_unpacked(call.ports.vault.open(data, context=_CONTEXT)), type=_Link)
    except (FacadeError, binascii.Error, UnicodeEncodeError, msgspec.DecodeError, ValueError) as error:
        raise Gone(_INVALID) from error


def page_links(
    call: Call, asked: Asked, page: Page, understood: Sequence[tuple[str, str]] | None = None
) -> list[tuple[str, str]]:
    """`self` with what was understood, where that may be less than was asked, `previous` behind the first page, and
    `next` when there is more of it. A link that carries no more of the pages before has no `previous`."""
    address = f"{call.ports.deployment.fhir_url}/{_target(call)}".removesuffix("/")
    params = asked.params if understood is None else tuple(understood)
    query = query_text(params, safe="|:,/$")
    first = f"{address}?{query}" if query else address

    def url(cursor: str | None, before: Before) -> str:
        return first if cursor is None else f"{address}?{PAGE}={_sealed(call, Asked(params, cursor, before))}"

    links = [("self", first)]
    if asked.before:
        links.append(("previous", url(asked.before[-1], asked.before[:-1])))
    if page.cursor is not None:
        links.append(("next", url(page.cursor, (*asked.before, asked.cursor))))
    return links


def _sealed(call: Call, asked: Asked) -> str:
    assert asked.cursor is not None, "the first page needs no seal"
    now = call.ports.clock.now()
    link = _Link(_caller(call.principal), _target(call), asked.params, asked.cursor, now, asked.before)
    sealed = call.ports.vault.seal(_packed(link), context=_CONTEXT)
    return base64.urlsafe_b64encode(sealed).decode().rstrip("=")


def _packed(link: _Link) -> bytes:
    """A short one as JSON; the cursors of many pages are much alike, and take a tenth of it."""
    data = msgspec.json.encode(link)
    if len(data) < MOST_BYTES / 4:
        return data
    packed = zlib.compress(data)
    if len(packed) <= MOST_BYTES or not link.before:
        return packed
    return _packed(msgspec.structs.replace(link, before=link.before[len(link.before) // 4 + 1 :]))


def _unpacked(data: bytes) -> bytes:
    return data if data.startswith(b"[") else zlib.decompress(data)


def _target(call: Call) -> str:
    request = call.request
    if request.compartment is not None:
        return f"{request.compartment}/{request.type or '*'}"
    last = "_history" if request.interaction.value.startswith("history") else request.operation
    parts = [request.type, request.id, last]
    return "/".join(part for part in parts if part)


@lru_cache(maxsize=1024)
def _caller(principal: Principal) -> str:
    scopes = sorted(repr((s.context, s.type, sorted(s.letters), s.params)) for s in principal.scopes)
    who = (principal.kind, principal.user, principal.client, principal.patient, principal.practitioner, *scopes)
    return hashlib.sha256(repr(who).encode()).hexdigest()
