"""Reading one resource, now or in a version; https://hl7.org/fhir/R4/http.html#read, #vread."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from urllib.parse import quote

from fhir_facade.adapters.hapi.content import deleted_at, stored, tombstone, version_in
from fhir_facade.adapters.hapi.session import HapiSession
from fhir_facade.errors import Gone, NotFound
from fhir_facade.values import Ref, StoredResource


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
        return tombstone(ref.type, ref.id, version_in(answer.location), deleted_at(answer.body))
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
    return tombstone(ref.type, ref.id, str(ref.version), deleted_at(answer.body))


def path_of(ref: Ref) -> str:
    base = f"/{ref.type}/{quote(ref.id, safe='')}"
    return base if ref.version is None else f"{base}/_history/{quote(ref.version, safe='')}"
