"""Every sentence a person reads exists in every language."""

import re
from string import Formatter

import pytest

from fhir_facade.access.compartment import type_rules
from fhir_facade.access.granular import granular_parameters
from fhir_facade.access.scopes import parse_scopes
from fhir_facade.api.pages.permissions import facts, narrowed, permissions
from fhir_facade.api.pages.texts import LANGUAGES, language_of, messages, texts

CATEGORIES = "http://terminology.hl7.org/CodeSystem/observation-category"


def placeholders(text):
    return {name for _, name, _, _ in Formatter().parse(text) if name}


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_catalogue_is_complete_and_fills_in_the_same_values(language):
    english, other = messages("en"), messages(language)
    assert english.keys() == other.keys()
    assert {key: placeholders(text) for key, text in english.items()} == {
        key: placeholders(text) for key, text in other.items()
    }
    assert all(text.strip() == text != "" for text in other.values())


def test_a_key_that_no_catalogue_has_is_a_mistake():
    with pytest.raises(KeyError):
        texts("de")("no.such.key")


@pytest.mark.parametrize(
    ("header", "language"),
    [
        (None, "en"),
        ("", "en"),
        ("fr", "en"),
        ("de", "de"),
        ("DE-at, en;q=0.8", "de"),
        ("en;q=0.5, de;q=0.9", "de"),
        ("de;q=0", "en"),
        ("de;q=x", "en"),
        ("fr, de;q=0.1", "de"),
        ("*", "en"),
    ],
)
def test_the_reader_gets_the_language_they_like_best(header, language):
    assert language_of(header) == language


def test_scopes_are_told_in_plain_words():
    scopes = parse_scopes(
        "openid fhirUser launch/patient offline_access patient/Observation.rs?category=vital-signs "
        "patient/*.cruds user/Patient.read patient/Basic.d"
    )
    assert [(line.scope, line.text) for line in permissions(scopes, texts("en"))] == [
        (
            "patient/Observation.rs?category=vital-signs",
            "See: measurements and laboratory results of this patient, only vital signs",
        ),
        ("patient/*.cruds", "See, add, change, delete: all health data of this patient"),
        ("user/Patient.read", "See: name, address and other personal details of everyone whose record you may open"),
        ("patient/Basic.d", "Delete: records of the type Basic of this patient"),
        ("offline_access", "Keep this access for up to 90 days, also while you are away"),
    ]
    assert len(facts(scopes, texts("en"))) == 2
    assert facts(parse_scopes("patient/*.rs"), texts("de")) == []


def test_a_person_is_told_of_the_own_record_and_not_of_a_patient():
    (line,) = permissions(parse_scopes("patient/Observation.rs"), texts("en"), own=True)
    assert line.text == "See: measurements and laboratory results in your record"


@pytest.mark.parametrize(
    ("scope", "text"),
    [
        ("patient/Condition.rs?category=problem-list-item", "only the problem list"),
        (
            f"patient/Observation.rs?category={CATEGORIES}|laboratory,{CATEGORIES}|survey",
            "only laboratory results or questionnaires and surveys",
        ),
        ("patient/Observation.rs?category=http://example.org|sleep", "only where category is sleep"),
        ("patient/Observation.rs?code=http://loinc.org|8867-4", "only where code is 8867-4"),
        ("patient/Observation.rs?_security=R", "only where security label is R"),
    ],
)
def test_limits_of_a_scope_are_told_without_addresses(scope, text):
    (line,) = permissions(parse_scopes(scope), texts("en"))
    assert line.text.endswith(", " + text)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_limit_a_scope_can_have_has_a_name(language):
    names = {name for rule in type_rules() for name in granular_parameters(rule)} | set(granular_parameters("*"))
    assert all(texts(language)(f"limit.{name}") for name in names)


def test_a_part_of_some_data_can_be_allowed_instead_of_all_of_it():
    (line,) = permissions(parse_scopes("patient/Observation.rs"), texts("en"))
    laboratory = next(part.scope for part in line.parts if part.text == "laboratory results")
    assert narrowed(["patient/Observation.rs", "patient/Patient.rs"], [laboratory]) == [
        "patient/Patient.rs",
        laboratory,
    ]
    assert narrowed(["patient/Patient.rs"], [laboratory]) == ["patient/Patient.rs"]  # all of it was unticked
    assert narrowed(["patient/Observation.rs"], []) == ["patient/Observation.rs"]
    assert narrowed(["patient/Observation.rs"], ["nonsense"]) == ["patient/Observation.rs"]
    assert narrowed(["patient/Observation.rs"], ["nonsense", laboratory]) == [laboratory]


def test_german_is_german():
    (line,) = permissions(parse_scopes("patient/Observation.c"), texts("de"))
    assert re.match(r"Hinzufügen: Messwerte", line.text)
