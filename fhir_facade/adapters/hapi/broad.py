"""Criteria for which HAPI finds too much, so that each find has to be looked at.

A composite is met by two different components, both bounds of a range by two different values, and a number is kept
with two decimals; a system without a code is not looked at, nor whether a canonical has no version. What HAPI has no
index for at all is left out of its parameters, and everything else is checked. https://hl7.org/fhir/R4/search.html#composite
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from fhir_facade.adapters.hapi.moments import is_unsure
from fhir_facade.adapters.hapi.query import is_ignored, is_narrower, is_of_no_system, is_unindexed, opposite
from fhir_facade.fhir.definitions.canonicals import VERSIONLESS
from fhir_facade.fhir.match import CONTAINED, matches
from fhir_facade.values import (
    CompositeValue,
    Criterion,
    DateValue,
    Match,
    NearValue,
    Not,
    NumberValue,
    QuantityValue,
    ReferenceValue,
    SearchValue,
    StringValue,
    UriValue,
)

SEVERAL_VALUES = ("component-", "combo-", "context-")
"""How the names of parameters begin whose values a resource may have several of."""

_INEXACT: Final = (NumberValue, QuantityValue, StringValue)
"""Parts of a composite: a text is looked for in the text of a code too, which `code-value-string` does not mean."""

SUBSTANCE_QUANTITY = "quantity"  # of each package; ChargeItem, which has the name too, has one


def is_broad(criterion: Criterion) -> bool:
    """Whether a find still has to be looked at; alternatives are split before that."""
    if isinstance(criterion, Not):
        return opposite(criterion.inner) is None
    if not isinstance(criterion, Match):
        return False
    unindexed = is_unindexed(criterion) or is_ignored(criterion) or is_narrower(criterion) or _is_like(criterion)
    return (
        unindexed or is_of_no_system(criterion) or any(_is_broad(criterion.name, value) for value in criterion.values)
    )


def _is_like(match: Match) -> bool:
    """Whether it asks for the beginning of an address, where HAPI takes `_` for any character: that of `hapi/` does not
    for `_profile`."""
    if match.modifier != "below" or match.name == "_profile":
        return False
    return any(isinstance(value, UriValue) and "_" in value.uri for value in match.values)


def may_be_several(name: str) -> bool:
    """Whether a resource may have several values of the parameter."""
    return name.startswith(SEVERAL_VALUES) or name == SUBSTANCE_QUANTITY


def _is_broad(name: str, value: SearchValue) -> bool:
    several = may_be_several(name)
    match value:
        case NumberValue() | NearValue():
            return True
        case QuantityValue(system=str(), code=None):
            return True
        case ReferenceValue(url=str() as url):
            return url.endswith(VERSIONLESS)
        case QuantityValue(prefix="eq" | "ap"):
            return several
        case CompositeValue(parts):
            inexact = any(isinstance(part, _INEXACT) or _has_an_edge(part) for part in parts)
            return several or inexact or is_unsure(value)
        case _:
            return False


def _has_an_edge(part: SearchValue) -> bool:
    """Whether HAPI finds what stands across the near edge of a range, as `edges` tells."""
    return isinstance(part, DateValue) and part.prefix in ("ge", "le")


def elements_looked_at(criteria: Sequence[Criterion]) -> str | None:
    """The elements of a find that tell whether it meets all criteria; None where that may be any."""
    if not criteria:
        return "id"
    return "contained" if all(isinstance(one, Match) and one.name == CONTAINED for one in criteria) else None


def satisfies(body: bytes, criteria: Sequence[Criterion]) -> bool:
    """Whether the resource itself meets all criteria."""
    if not criteria:
        return True
    resource = msgspec.json.decode(body)
    return all(matches(resource, criterion) for criterion in criteria)
