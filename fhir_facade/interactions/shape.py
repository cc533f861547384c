"""`_summary` and `_elements`: how much of a resource is answered, once it was judged whole.

https://hl7.org/fhir/R4/search.html#summary, https://hl7.org/fhir/R4/http.html#parameters
"""

from __future__ import annotations

from typing import Final

from fhir_facade.errors import BadRequest
from fhir_facade.fhir.query import ParsedSearch, parse_query
from fhir_facade.fhir.summary import elements, summarise
from fhir_facade.interactions.call import Call

SHAPING: Final = ("_elements", "_summary")


def shaped(body: bytes, parsed: ParsedSearch) -> bytes:
    """The parts that a search asked for."""
    if parsed.elements:
        return elements(body, parsed.elements)
    return summarise(body, parsed.summary) if parsed.summary else body


def shape_of(call: Call, type: str) -> ParsedSearch | None:
    """What `_summary` and `_elements` of a request ask for; None when it is everything."""
    asked = [(name, value) for name, value in call.request.params if name in SHAPING]
    return parse_query(type, asked, now=call.ports.clock.now()) if asked else None


def shaped_for(call: Call, body: bytes) -> bytes:
    """The parts that a read asked for. BadRequest: they cannot be parts of one resource."""
    parsed = shape_of(call, call.type)
    if parsed is None:
        return body
    if parsed.summary == "count":
        raise BadRequest("_summary=count counts what a search finds: one resource is read", expression="_summary")
    return shaped(body, parsed)
