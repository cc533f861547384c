"""What stands above or below a resource in the hierarchy of its type, as far as the caller may search it.

https://hl7.org/fhir/R4/search.html#recursive
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from fhir_facade.access.check import Deny
from fhir_facade.errors import Forbidden, TooLarge
from fhir_facade.fhir.extract import extract_parameter
from fhir_facade.fhir.query import parents
from fhir_facade.interactions.call import Call
from fhir_facade.interactions.include import allowed
from fhir_facade.values import Match, ReferenceValue, SearchQuery, TokenValue

MOST_PLACES: Final = 2000
"""A store is asked for each of them."""


async def tree(call: Call, modifier: str, type: str, id: str) -> tuple[str, ...]:
    """The id and those of all above or below it. Forbidden; TooLarge for more than a search can hold."""
    rights = call.search_rights(type)
    if isinstance(rights, Deny):
        raise Forbidden(f"what lies {modifier} a {type} is found by searching it. {rights.reason}")
    step = _parts if modifier == "below" else _wholes
    found, frontier = {id: None}, [id]
    while frontier:
        reached = await step(call, type, frontier)
        frontier = [each for each in dict.fromkeys(reached) if each not in found]
        found.update(dict.fromkeys(frontier))
        if len(found) > MOST_PLACES:
            raise TooLarge(f"more than {MOST_PLACES:,} resources lie {modifier} {type}/{id}: ask for a smaller part")
    return tuple(found)


async def _parts(call: Call, type: str, ids: Sequence[str]) -> list[str]:
    """What says that it is a part of one of these."""
    match = Match(parents()[type], "reference", tuple(ReferenceValue(type, id_) for id_ in ids))
    return [stored.id for stored, _ in await allowed(call, SearchQuery(type, (match,)))]


async def _wholes(call: Call, type: str, ids: Sequence[str]) -> list[str]:
    """What these say that they are parts of."""
    match = Match("_id", "token", tuple(TokenValue(None, id_) for id_ in ids))
    entries = await allowed(call, SearchQuery(type, (match,)))
    rows = [row for _, part in entries for row in extract_parameter(part, parents()[type]).references]
    return [row.id for row in rows if row.type == type and row.id is not None]
