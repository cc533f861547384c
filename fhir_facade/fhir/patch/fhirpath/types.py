"""Which types there are, and which is a kind of which. https://hl7.org/fhir/R4/fhirpath.html#types"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, Final

from fhir_facade.fhir.document import known_types
from fhir_facade.fhir.patch.fhirpath.amounts import Amount
from fhir_facade.fhir.patch.fhirpath.moments import Moment
from fhir_facade.fhir.patch.fhirpath.tokens import NotTaken
from fhir_facade.fhir.patch.places import Place
from fhir_facade.fhir.validation.tables import NESTED, asset

_SYSTEM: Final = frozenset(("Boolean", "String", "Integer", "Decimal", "Date", "DateTime", "Time", "Quantity", "Any"))
_ABSTRACT: Final = frozenset(("Resource", "DomainResource", "Element", "BackboneElement"))
_BARE: Final = frozenset(("Bundle", "Binary", "Parameters"))
"""The resources that have neither text nor extensions."""
_NO_TYPES: Final = frozenset((NESTED, "elementId", "mimeType", "currency"))
"""Definitions of the schema only."""
_SPECIAL: Final[Mapping[str, str]] = {
    **dict.fromkeys(("code", "id", "markdown"), "string"),
    **dict.fromkeys(("url", "canonical", "uuid", "oid"), "uri"),
    **dict.fromkeys(("unsignedInt", "positiveInt"), "integer"),
    **dict.fromkeys(("SimpleQuantity", "Age", "Count", "Distance", "Duration"), "Quantity"),
    **dict.fromkeys(("Timing", "Dosage", "ElementDefinition", "MarketingStatus", "Population"), "BackboneElement"),
    **dict.fromkeys(("ProdCharacteristic", "ProductShelfLife", "SubstanceAmount"), "BackboneElement"),
    "BackboneElement": "Element",
    "DomainResource": "Resource",
}
"""Types that are a kind of another; all other datatypes are an Element, all other resources a DomainResource."""


def is_of_type(item: Any, name: str) -> bool:
    """Whether an item is of the named type or of a kind of it. NotTaken for a name that is no type."""
    namespace, _, bare = name.rpartition(".")
    _refuse_unknown(namespace, bare, name)
    if isinstance(item, Place):
        return namespace != "System" and bare in kinds_of(item.definition)
    return namespace != "FHIR" and bare in (_system_type(item), "Any")


def _refuse_unknown(namespace: str, bare: str, name: str) -> None:
    if namespace not in ("", "FHIR", "System") or bare not in _fhir_types() | _SYSTEM:
        raise NotTaken(f"'{name}' is no type of FHIR R4")


@cache
def _fhir_types() -> frozenset[str]:
    named = (name for name in asset()["definitions"] if "_" not in name and name[-1] != "?")
    return frozenset(named) - _NO_TYPES | _ABSTRACT


@cache
def kinds_of(definition: str) -> frozenset[str]:
    """The type of an element and all that it is a kind of."""
    owner, _, part = definition.partition("_")
    if part:  # a type without a name, e.g. Patient.contact, Timing.repeat
        return frozenset(("BackboneElement", "Element") if owner in known_types() else ("Element",))
    kinds = [definition]
    while (above := _above(kinds[-1])) is not None:
        kinds.append(above)
    return frozenset(kinds)


def _above(kind: str) -> str | None:
    if kind in ("Element", "Resource"):
        return None
    if kind in known_types():
        return "Resource" if kind in _BARE else "DomainResource"
    return _SPECIAL.get(kind, "Element")


def _system_type(item: Any) -> str:
    if isinstance(item, Moment):
        return item.kind
    kinds = {bool: "Boolean", str: "String", int: "Integer", Amount: "Quantity"}
    return kinds.get(type(item), "Decimal")
