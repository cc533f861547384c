"""The table of owners against the official definitions."""

from __future__ import annotations

from fhir_facade.access.compartment import type_rules
from fhir_facade.access.granular import granular_parameters
from fhir_facade.fhir.definitions.tables import compartment, element, resource_types, search_parameters

RULES = type_rules()
PERSONAL = [rule for rule in RULES.values() if rule.type_class in ("personal", "optional")]


def test_every_r4_type_has_exactly_one_rule() -> None:
    assert sorted(RULES) == sorted(resource_types())


def test_every_owner_parameter_exists_and_can_name_a_patient() -> None:
    for rule in PERSONAL:
        if rule.owner is not None:
            assert "Patient" in search_parameters(rule.type)[rule.owner].targets, rule


def test_every_owner_path_is_an_element_that_can_refer_to_a_patient() -> None:
    for rule in PERSONAL:
        for path in rule.paths:
            found = element(".".join((rule.type, *path)))
            assert found is not None, rule
            assert not found.targets or {"Patient", "Resource"} & set(found.targets), rule


def test_the_owner_parameter_reads_the_owner_elements() -> None:
    for rule in PERSONAL:
        if rule.owner is not None:
            expression = search_parameters(rule.type)[rule.owner].expression
            assert all(".".join((rule.type, *path)) in expression for path in rule.paths), rule


def test_what_the_patient_compartment_holds_is_personal_or_closed_with_a_reason() -> None:
    for name, parameters in compartment("Patient").items():
        rule = RULES[name]
        if parameters:
            assert rule.type_class in ("person", "personal", "closed"), rule
            assert rule.type_class != "closed" or rule.reason, rule


def test_no_shared_type_has_a_parameter_that_names_a_patient() -> None:
    for rule in RULES.values():
        if rule.type_class == "shared":
            named = [p for p in search_parameters(rule.type).values() if len(p.targets) < len(resource_types())]
            assert not [parameter for parameter in named if "Patient" in parameter.targets], rule


def test_types_that_differ_from_the_compartment_say_why() -> None:
    outside = [
        rule for rule in RULES.values() if rule.type not in compartment("Patient") and rule.type_class != "person"
    ]

    assert all(rule.reason for rule in outside)


def test_granular_parameters_are_token_parameters_of_their_type() -> None:
    for rule in RULES.values():
        for name in granular_parameters(rule.type):
            assert search_parameters(rule.type)[name].kind == "token", (rule, name)
