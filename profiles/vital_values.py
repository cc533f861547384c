"""Fixed values and required bindings in the R4 vital-signs profiles, element by element, as by HL7's validator.

https://hl7.org/fhir/R4/elementdefinition.html (fixed[x], binding), https://hl7.org/fhir/R4/observation-vitalsigns.html
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

Fault = tuple[str, str, str]
"""(path below the Observation, what is wrong and what is right, severity)."""


class Coded(NamedTuple):
    """A system and a code in it."""

    system: str
    code: str


class Units(NamedTuple):
    """The codes of a system that a quantity may have. A single one is fixed, several are a binding."""

    system: str
    codes: tuple[str, ...]


class Binding(NamedTuple):
    """A required binding of `value[x]` to a value set of units."""

    value_set: str
    units: Units


def places_of(codings: Sequence[Mapping[str, Any]], wanted: Coded) -> list[int]:
    """Where a coding is."""
    return [
        place
        for place, coding in enumerate(codings)
        if coding.get("code") == wanted.code and coding.get("system") == wanted.system
    ]


def is_coded(concept: Mapping[str, Any], wanted: Coded) -> bool:
    """Whether a CodeableConcept has a coding."""
    return bool(places_of(concept.get("coding", ()), wanted))


def repeated_codings(places: Sequence[int], path: str, profile: str) -> Iterator[Fault]:
    """Codings at these places, which are the same one, but the first."""
    for place in places[1:]:
        yield f"{path}.coding[{place}]", f"is there once already (profile {profile}).", "error"


def extended_codings(concept: Mapping[str, Any], places: Sequence[int], path: str, profile: str) -> Iterator[Fault]:
    """Extensions in codings at these places, whose system and code are fixed."""
    for place in places:
        for name in ("system", "code"):
            yield from _extended(concept["coding"][place], name, f"{path}.coding[{place}]", profile)


def quantity_faults(quantity: Mapping[str, Any], path: str, units: Units, profile: str) -> Iterator[Fault]:
    """What is wrong with a quantity that must have a value, a unit, the system and one of the codes."""
    for name in ("value", "unit"):
        if name not in quantity and "_" + name not in quantity:
            yield f"{path}.{name}", f"is required (profile {profile}).", "error"
    if quantity.get("system") != units.system:
        yield f"{path}.system", f"must be {units.system} (profile {profile}).", "error"
    if quantity.get("code") not in units.codes:
        yield f"{path}.code", f"must be the UCUM code {' or '.join(units.codes)} (profile {profile}).", "error"
    for name in ("system", "code") if len(units.codes) == 1 else ("system",):
        yield from _extended(quantity, name, path, profile)


def _extended(node: Mapping[str, Any], name: str, path: str, profile: str) -> Iterator[Fault]:
    if name in node and "extension" in node.get("_" + name, ()):
        yield f"{path}.{name}", f"is fixed, so it has no extension (profile {profile}).", "error"


def value_name(node: Mapping[str, Any]) -> str | None:
    """The member that is the value of an Observation or a component: itself, or only its companion with extensions."""
    if "valueQuantity" in node:
        return "valueQuantity"
    names = [name for name in node if name.startswith(("value", "_value"))]
    return max(names, default=None)  # a companion begins with '_', which is before every letter of "value"


def bound_faults(component: Mapping[str, Any], path: str, binding: Binding, profile: str) -> Iterator[Fault]:
    """What is wrong with the value of a component that is bound to units.

    A binding is about codes. HL7's validator finds them in a Quantity that has a system and a code, in a text (which
    must be a code itself) and in a CodeableConcept; a primitive without a value has none. All else it leaves open.
    """
    name = value_name(component)
    if name is None or _is_bound(component[name], name, binding.units):
        return
    place = f"{path}.{name}.code" if name == "valueQuantity" else f"{path}.{name}"
    wanted = f"must be a unit of {binding.value_set} ({', '.join(binding.units.codes)})"
    yield place, f"{wanted}; what is none is an Observation of its own (profile {profile}).", "error"


def _is_bound(value: Any, name: str, units: Units) -> bool:
    if name == "valueQuantity":
        return "system" not in value or "code" not in value or _is_among(value, units)
    if name == "valueString":
        return value in units.codes
    if name == "valueCodeableConcept":
        return any(_is_among(coding, units) for coding in value.get("coding", ()))
    return not name.startswith("_")


def _is_among(coded: Mapping[str, Any], units: Units) -> bool:
    return coded.get("system") == units.system and coded.get("code") in units.codes
