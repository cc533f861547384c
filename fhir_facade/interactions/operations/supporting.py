"""What a part of a record refers to outside of its compartment: practitioners, organizations, places, medications.

https://hl7.org/fhir/R4/patient-operation-everything.html
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from typing import Final

from fhir_facade.access.check import Deny
from fhir_facade.errors import TooLarge
from fhir_facade.fhir.definitions.tables import compartment
from fhir_facade.fhir.document import parse_stored
from fhir_facade.fhir.references import parse_reference, reference_texts
from fhir_facade.interactions.call import Call
from fhir_facade.interactions.operations.matches import matches
from fhir_facade.interactions.operations.record_parts import Wanted, bounds
from fhir_facade.interactions.page_bytes import bytes_of
from fhir_facade.values import Match, Ref, SearchQuery, StoredResource, TokenValue

MAX_HOPS: Final = 3
AT_ONCE: Final = 100


async def supporting(call: Call, wanted: Wanted, entries: Sequence[StoredResource]) -> list[StoredResource]:
    """The resources that these refer to, and what those refer to in turn, each once, as far as their types are wanted;
    what the caller may not search, or may not see, is left out."""
    if wanted.inside:
        return []
    inside = frozenset((*compartment(wanted.type), wanted.type))
    seen: set[Ref] = set()
    found: list[StoredResource] = []
    latest = entries
    for _ in range(MAX_HOPS):
        refs = _named(latest, inside) - seen
        seen |= refs
        latest = await _read(call, wanted, refs)
        found += latest
        if bytes_of(found) > call.ports.deployment.max_page_bytes:
            raise TooLarge("what this page refers to has more bytes than a page may have: ask for a smaller _count")
    return [stored for stored in found if wanted.has(stored.type)]


def _named(entries: Sequence[StoredResource], inside: frozenset[str]) -> set[Ref]:
    """The records outside of the compartment that these name; each text is read once, however often it stands there."""
    texts = {text for stored in entries for text in _texts(stored.body) if text.partition("/")[0] not in inside}
    references = (parse_reference(text) for text in texts)
    return {Ref(one.type, one.id) for one in references if one.kind == "relative" and one.type and one.id}


def _texts(body: bytes) -> list[str]:
    return reference_texts(parse_stored(body) if b"\\" in body else None, body)


async def _read(call: Call, wanted: Wanted, refs: set[Ref]) -> list[StoredResource]:
    ids: dict[str, list[str]] = defaultdict(list)
    for ref in sorted(refs, key=str):
        ids[ref.type].append(ref.id)
    open_kinds = [kind for kind in ids if not isinstance(call.search_rights(kind), Deny)]
    found = await asyncio.gather(*(_read_kind(call, wanted, kind, ids[kind]) for kind in open_kinds))
    return [stored for some in found for stored in some]


async def _read_kind(call: Call, wanted: Wanted, kind: str, ids: Sequence[str]) -> list[StoredResource]:
    since = bounds(Wanted(wanted.type, wanted.types, since=wanted.since), kind, call.ports.clock.now())
    found: list[StoredResource] = []
    for at in range(0, len(ids), AT_ONCE):
        named = Match("_id", "token", tuple(TokenValue(None, id_) for id_ in ids[at : at + AT_ONCE]))
        found += [stored async for stored in matches(call, SearchQuery(kind, (named, *since)))]
    return found
