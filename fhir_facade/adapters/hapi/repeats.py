"""Searches that HAPI may answer with several rows of its index for one resource: two names that begin alike, two
codings of one code, two places that fit, or several values that it is sorted by.

HAPI cuts off rows and not resources: as many of them as are wanted would be fewer resources, and an end where there is
none. With an `_offset` it takes the rows of a resource together first, which costs more. https://hapifhir.io/hapi-fhir/docs/server_jpa/performance.html
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from fhir_facade.fhir.definitions import element, search_parameters
from fhir_facade.fhir.definitions.occurrence import occurs_once, single_valued
from fhir_facade.values import Chain, Criterion, Match, SearchQuery, Sort, TokenValue

_OF_THE_RESOURCE: Final = frozenset({"_id", "_lastUpdated"})
_PLAIN_CODES: Final = frozenset({"code", "boolean"})
_ONE_ROW: Final = frozenset({"date", "uri"})
"""Kinds of parameters that have one row where their element occurs once. A concept has one for each of its codings, a
range for each of its ends, an address for each of its lines."""


def query_may_repeat(query: SearchQuery) -> bool:
    """Whether one resource may be found, or have its place in the order, by several rows."""
    criteria = [*query.criteria, *(criterion for group in query.any_of for criterion in group)]
    return may_repeat(query.type, criteria) or any(_places(query.type, sort) for sort in query.sort)


def _places(type: str, sort: Sort) -> bool:
    """Whether a resource may have several places in this order."""
    if sort.name in _OF_THE_RESOURCE or (sort.kind == "token" and _is_one_code(type, sort.name)):
        return False
    once = single_valued if sort.kind == "reference" else occurs_once
    return not (sort.kind in (*_ONE_ROW, "reference") and once(type, sort.name))


def _is_one_code(type: str, name: str) -> bool:
    parameter = search_parameters(type).get(name)
    read = element(parameter.expression) if parameter is not None else None
    return read is not None and _PLAIN_CODES.issuperset(read.types) and occurs_once(type, name)


def may_repeat(type: str, criteria: Iterable[Criterion]) -> bool:
    """Whether one resource may satisfy the criteria by several rows."""
    return any(_repeats(type, criterion) for criterion in criteria)


def _repeats(type: str, criterion: Criterion) -> bool:
    match criterion:
        case Match(name=name) if name in _OF_THE_RESOURCE:
            return False
        case Match(name=name, kind="reference"):
            return not single_valued(type, name)
        case Match(kind="token", values=(TokenValue(system=str(), code=str()),), modifier=None):
            return False
        case Match(name=name, kind=kind) if kind in _ONE_ROW:
            return not occurs_once(type, name)
        case Chain(name, (target,), inner):
            return not single_valued(type, name) or _repeats(target, inner)
        case _:
            return True
