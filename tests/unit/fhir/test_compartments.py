"""What belongs to a compartment, as the definitions of R4 say."""

from __future__ import annotations

from fhir_facade.fhir.compartments import COMPARTMENTS, members_of_compartment, within_compartment
from fhir_facade.fhir.definitions import compartment, search_parameters
from fhir_facade.values import AnyOf, Match, Ref, ReferenceValue, TokenValue

P = Ref("Patient", "p")
SELF = Match("_id", "token", (TokenValue(None, "p"),))


def by(name: str) -> Match:
    return Match(name, "reference", (ReferenceValue("Patient", "p"),))


def test_what_is_no_compartment_holds_nothing() -> None:
    assert members_of_compartment("Organization") == ()


def test_a_compartment_holds_its_own_resource_and_what_is_linked_to_it() -> None:
    assert set(members_of_compartment("Patient")) == {"Patient", *compartment("Patient")}
    assert set(members_of_compartment("Encounter")) == {"Encounter", *compartment("Encounter")}


def test_a_record_belongs_by_any_of_its_links() -> None:
    assert within_compartment(P, "Observation") == AnyOf(((by("subject"),), (by("performer"),)))
    assert within_compartment(P, "Patient") == AnyOf(((SELF,), (by("link"),)))


def test_one_link_needs_no_alternatives() -> None:
    assert within_compartment(P, "Immunization") == by("patient")
    assert within_compartment(Ref("Encounter", "p"), "Encounter") == SELF


def test_every_link_of_every_compartment_can_be_searched() -> None:
    for name in COMPARTMENTS:
        for kind in members_of_compartment(name):
            found = within_compartment(Ref(name, "x"), kind)
            groups = found.groups if isinstance(found, AnyOf) else ((found,),)
            assert groups
            assert all(own.name in search_parameters(kind) for (own,) in groups if isinstance(own, Match))
