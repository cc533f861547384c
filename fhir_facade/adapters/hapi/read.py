"""Reading one resource, now or in a version; https://hl7.org/fhir/R4/http.html#read, #vread."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC
from urllib.parse import quote

from fhir_facade.adapters.hapi.content import bundle, deleted_at, stored, tombstone, version_in
from fhir_facade.adapters.hapi.session import Answer, HapiSession
from fhir_facade.errors import Gone, NotFound, UpstreamError
from fhir_facade.fhir.references import VERSION
from fhir_facade.values import Ref, StoredResource

NEWEST_VERSIONS = 100
_CLIMBING = frozenset({".", ".."})


async def read(session: HapiSession, ref: Ref) -> StoredResource:
    """NotFound: never there; Gone: deleted, now or in that version."""
    answer = await session.send("GET", path_of(ref))
    if answer.status == 200:
        return stored(answer.body)
    if answer.status == 410:
        raise Gone(f"{ref} was deleted")
    if answer.status in (400, 404):  # 400: an id or a version that HAPI's grammar does not know
        raise NotFound(f"{ref} does not exist")
    raise answer.refusal(str(ref))


async def current(session: HapiSession, ref: Ref) -> StoredResource | None:
    """The current version or the deletion; None when it never existed."""
    answer = await session.send("GET", path_of(Ref(ref.type, ref.id)))
    if answer.status == 200:
        return stored(answer.body)
    if answer.status == 410:
        return await _deletion(session, Ref(ref.type, ref.id, version_in(answer.location) or None), answer)
    if answer.status in (400, 404):
        return None
    raise answer.refusal(str(ref))


async def currents(session: HapiSession, refs: Sequence[Ref]) -> list[StoredResource | None]:
    return list(await asyncio.gather(*(current(session, ref) for ref in refs)))


async def deletion(session: HapiSession, ref: Ref) -> StoredResource:
    """The deletion that this version of a resource is, with its time."""
    answer = await session.send("GET", path_of(ref))
    if answer.status != 410:
        raise answer.refusal(str(ref))
    return await _deletion(session, ref, answer)


async def _deletion(session: HapiSession, ref: Ref, gone: Answer) -> StoredResource:
    """As the 410 tells it; what it leaves out is in the history, where other servers than HAPI tell the time."""
    at = deleted_at(gone.body)
    if ref.version is not None and at is not None:
        return tombstone(ref.type, ref.id, ref.version, at)
    answer = await session.send("GET", f"{path_of(Ref(ref.type, ref.id))}/_history?_count={NEWEST_VERSIONS}")
    if answer.status != 200:
        raise answer.refusal(f"the history of {ref}")
    entries = [entry for entry in bundle(answer.body).entry if ref.version in (None, entry.version)]
    told = entries[0].response if entries else None
    moment = at or (told.lastModified if told else None)
    if moment is None:
        raise UpstreamError(f"HAPI does not say when {ref} was deleted")
    return tombstone(ref.type, ref.id, entries[0].version, moment.astimezone(UTC))


def path_of(ref: Ref) -> str:
    """NotFound for what would climb: dots alone are no escaped id, and servers resolve them before they look; and for
    what no version is."""
    if ref.id in _CLIMBING or (ref.version is not None and not VERSION.fullmatch(ref.version)):
        raise NotFound(f"{ref} does not exist")
    base = f"/{ref.type}/{quote(ref.id, safe='')}"
    return base if ref.version is None else f"{base}/_history/{quote(ref.version, safe='')}"
