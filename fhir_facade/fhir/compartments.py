"""What belongs to a compartment, as a criterion (https://hl7.org/fhir/R4/compartmentdefinition.html)."""

from __future__ import annotations

from typing import Final

from fhir_facade.fhir.definitions import compartment, search_parameters
from fhir_facade.values import AnyOf, Criterion, Match, Ref, ReferenceValue, TokenValue

COMPARTMENTS: Final = ("Device", "Encounter", "Patient", "Practitioner", "RelatedPerson")


def members_of_compartment(name: str) -> tuple[str, ...]:
    """The types that a compartment holds; its own resource is one of them. Empty for what is no compartment."""
    return tuple(sorted({name, *compartment(name)})) if name in COMPARTMENTS else ()


def within_compartment(of: Ref, type: str) -> Criterion:
    """What resources of a type, which the compartment holds, have to satisfy to belong to it."""
    groups = tuple((way,) for way in _ways(of, type))
    return groups[0][0] if len(groups) == 1 else AnyOf(groups)


def _ways(of: Ref, type: str) -> list[Match]:
    own = [Match("_id", "token", (TokenValue(None, of.id),))] if type == of.type else []
    value = ReferenceValue(of.type, of.id)
    linking = [name for name in compartment(of.type).get(type, ()) if of.type in search_parameters(type)[name].targets]
    return own + [Match(name, "reference", (value,)) for name in linking]
