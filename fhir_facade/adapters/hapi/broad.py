"""Criteria for which HAPI finds too much, so that each find has to be looked at.

A composite is met by two different components, both bounds of a range by two different values, and a number is kept
with two decimals; a system without a code is not looked at. https://hl7.org/fhir/R4/search.html#composite
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from fhir_facade.fhir.match import matches
from fhir_facade.values import CompositeValue, Criterion, Match, NumberValue, QuantityValue, SearchValue

SEVERAL_VALUES = ("component-", "combo-", "context-")
"""How the names of parameters begin whose values a resource may have several of."""

SUBSTANCE_QUANTITY = "quantity"  # of each package; ChargeItem, which has the name too, has one


def is_broad(criterion: Criterion) -> bool:
    if not isinstance(criterion, Match):
        return False
    return any(_is_broad(criterion.name, value) for value in criterion.values)


def _is_broad(name: str, value: SearchValue) -> bool:
    several = name.startswith(SEVERAL_VALUES) or name == SUBSTANCE_QUANTITY
    match value:
        case NumberValue():
            return True
        case QuantityValue(system=str(), code=None):
            return True
        case QuantityValue(prefix="eq" | "ap"):
            return several
        case CompositeValue(parts):
            return several or any(isinstance(part, NumberValue | QuantityValue) for part in parts)
        case _:
            return False


def satisfies(body: bytes, criteria: Sequence[Criterion]) -> bool:
    """Whether the resource itself meets all criteria."""
    if not criteria:
        return True
    resource = msgspec.json.decode(body)
    return all(matches(resource, criterion) for criterion in criteria)
