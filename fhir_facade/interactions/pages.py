"""Page links: sealed, expiring, bound to who asked and what was asked; judged again on every use."""

from __future__ import annotations

import base64
import binascii
import hashlib
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
_CONTEXT = "page-link"
_INVALID = "this page link has expired or is not yours: repeat the search"


class _Link(msgspec.Struct, frozen=True, array_like=True):
    caller: str
    target: str
    params: tuple[tuple[str, str], ...]
    cursor: str
    made_at: datetime


@dataclass(frozen=True, slots=True)
class Asked:
    """The parameters of the first page, and where this page continues."""

    params: tuple[tuple[str, str], ...]
    cursor: str | None = None

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
    return Asked(link.params, link.cursor)


def _says_nothing(name: str, value: str) -> bool:
    """Medplum's client adds `_count=1000` to a link that has none: no page has more anyway."""
    return name == "_count" and whole_number(name, value) >= MAX_COUNT


def _open(call: Call, sealed: str) -> _Link:
    try:
        data = base64.urlsafe_b64decode(sealed.encode("ascii") + b"=" * (-len(sealed) % 4))
        return msgspec.json.decode(call.ports.vault.open(data, context=_CONTEXT), type=_Link)
    except (FacadeError, binascii.Error, UnicodeEncodeError, msgspec.DecodeError, ValueError) as error:
        raise Gone(_INVALID) from error


def page_links(
    call: Call, asked: Asked, page: Page, understood: Sequence[tuple[str, str]] | None = None
) -> list[tuple[str, str]]:
    """`self` with what was understood, where that may be less than was asked, and `next` when there is more of it."""
    address = f"{call.ports.deployment.fhir_url}/{_target(call)}".removesuffix("/")
    params = asked.params if understood is None else tuple(understood)
    query = query_text(params, safe="|:,/$")
    links = [("self", f"{address}?{query}" if query else address)]
    if page.cursor is not None:
        link = _Link(_caller(call.principal), _target(call), params, page.cursor, call.ports.clock.now())
        sealed = call.ports.vault.seal(msgspec.json.encode(link), context=_CONTEXT)
        links.append(("next", f"{address}?{PAGE}={base64.urlsafe_b64encode(sealed).decode().rstrip('=')}"))
    return links


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
