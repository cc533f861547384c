"""Searches that HAPI may answer with several rows of its index for one resource: two names that begin alike, two
codings of one code, two places that fit.

Without a stored search HAPI cuts off rows and not resources: as many of them as are wanted would be fewer resources,
and an end where there is none. https://hapifhir.io/hapi-fhir/docs/server_jpa/performance.html
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from fhir_facade.fhir.definitions.occurrence import occurs_once, single_valued
from fhir_facade.values import Chain, Criterion, Match, TokenValue

_OF_THE_RESOURCE: Final = frozenset({"_id", "_lastUpdated"})
_ONE_ROW: Final = frozenset({"string", "date", "number", "quantity", "uri"})
"""Kinds of parameters that have one row where their element occurs once; a concept has one for each of its codings."""


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
