"""The stored value sets that a search names after `:in` and `:not-in`, as their codes.

https://hl7.org/fhir/R4/search.html#token
"""

from __future__ import annotations

from collections.abc import Iterable

from fhir_facade.errors import BadRequest, Issue, NotSupported
from fhir_facade.fhir.query import NO_VALUE_SETS, ValueSets, named_value_sets
from fhir_facade.interactions.call import Call
from fhir_facade.values import TokenValue


async def value_sets(call: Call, params: Iterable[tuple[str, str]]) -> ValueSets:
    """Those that the caller may search for, by the URL that names them; the others are as if nobody had stored them.
    BadRequest: one that cannot be expanded."""
    names = [(name, value) for name, value in params if name == "_filter" or name.endswith((":in", ":not-in"))]
    if not names:
        return NO_VALUE_SETS
    return {url: codes for url in named_value_sets(names) if (codes := await _codes(call, url)) is not None}


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
