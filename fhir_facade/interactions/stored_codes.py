"""The stored value sets, code systems and hierarchies that a search names after `:in`, `:not-in`, `:above`, `:below`.

https://hl7.org/fhir/R4/search.html#token
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from fhir_facade.errors import BadRequest, Issue, NotSupported
from fhir_facade.fhir.query import (
    NO_CODES,
    StoredCodes,
    named_code_systems,
    named_places,
    named_value_sets,
    searched_types,
)
from fhir_facade.interactions.call import Call
from fhir_facade.interactions.hierarchies import tree
from fhir_facade.values import TokenValue
from terminology.concept import Concept

_MODIFIERS: Final = (":in", ":not-in", ":above", ":below")


async def stored_codes(call: Call, type: str, params: Sequence[tuple[str, str]]) -> StoredCodes:
    """Those that the caller may search for, by the URL that names them; the others are as if nobody had stored them.
    BadRequest: a value set that cannot be expanded."""
    names = [(name, value) for name, value in params if name == "_filter" or name.endswith(_MODIFIERS)]
    if not names:
        return NO_CODES
    sets = {url: codes for url in named_value_sets(names) if (codes := await _codes(call, url)) is not None}
    systems = {url: found for url in named_code_systems(names) if (found := await _concepts(call, url))}
    base_url, types = call.ports.deployment.fhir_url, searched_types(type, params)
    places = frozenset(place for kind in types for place in named_places(kind, names, base_url))
    return StoredCodes(sets, systems, {place: await tree(call, *place) for place in places})


async def _codes(call: Call, url: str) -> tuple[TokenValue, ...] | None:
    from fhir_facade.interactions.operations.terms import expanded, look_for  # not loaded by those who never ask

    plain, _, version = url.partition("|")
    found = await look_for(call, "ValueSet", plain, version or None)
    if found is None:
        return None
    try:
        concepts = await expanded(call, found)
    except NotSupported as error:
        raise BadRequest(str(error), issues=(Issue("not-supported", str(error)),)) from error
    return tuple(TokenValue(one.system, one.code) for one in concepts)


async def _concepts(call: Call, url: str) -> tuple[Concept, ...]:
    from fhir_facade.interactions.operations.terms import look_for  # as above
    from terminology.concepts import concepts_of

    found = await look_for(call, "CodeSystem", url)
    return () if found is None else concepts_of(found)
