"""One resource judged by a criterion, with the meaning a search has."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_facade.errors import NotSupported
from fhir_facade.fhir.comparisons import holds
from fhir_facade.fhir.extract import QuantityRow, TokenRow
from fhir_facade.fhir.match import matches, matches_query
from fhir_facade.fhir.query import parse_query
from fhir_facade.values import AnyOf, Match, MissingValue, Not, Ref, StringValue, TokenValue

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LOINC = "http://loinc.org"
UCUM = "http://unitsofmeasure.org"

PATIENT = {
    "resourceType": "Patient",
    "id": "p1",
    "name": [{"family": "Müller"}],
    "gender": "female",
    "identifier": [{"type": {"coding": [{"system": "urn:t", "code": "MR"}]}, "system": "urn:h", "value": "12"}],
    "managingOrganization": {"reference": "Organization/o1"},
}
ORGANIZATION = {"resourceType": "Organization", "id": "o1", "name": "Clinic"}
GLUCOSE = {
    "resourceType": "Observation",
    "id": "g1",
    "meta": {"lastUpdated": "2024-05-01T10:00:00Z", "profile": ["http://o/profiles/glucose"]},
    "status": "final",
    "code": {"coding": [{"system": LOINC, "code": "2339-0"}, {"code": "local"}], "text": "Blood sugar"},
    "subject": {"reference": "Patient/p1", "identifier": {"system": "urn:h", "value": "12"}},
    "focus": [{"reference": "http://o/Patient/9"}],
    "effectiveDateTime": "2024-05-01",
    "valueQuantity": {"value": 5.4, "unit": "mmol per litre", "system": UCUM, "code": "mmol/L"},
}


def asked(resource, name, value):
    (criterion,) = parse_query(resource["resourceType"], [(name, value)], now=NOW).query.criteria
    return criterion


def found(resource, name, value, **ways):
    return matches(resource, asked(resource, name, value), **ways)


# --- what cannot be judged --------------------------------------------------------------------------------------


def test_a_chain_without_a_way_to_follow_it_is_refused():
    with pytest.raises(NotSupported, match="a chain over subject"):
        found(GLUCOSE, "subject:Patient.name", "x")


def test_has_without_a_way_to_find_referrers_is_refused():
    with pytest.raises(NotSupported, match="_has:Observation"):
        found(PATIENT, "_has:Observation:patient:code", "x")


def test_missing_is_no_question_about_one_row():
    with pytest.raises(NotSupported, match=":missing"):
        holds(TokenRow("code", None, "a"), MissingValue(True))


def test_an_unknown_parameter_is_a_key_error():
    with pytest.raises(KeyError):
        matches(GLUCOSE, Match("pulse", "token", (TokenValue(None, "x"),)))


# --- by kind ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("_id", "g1", True),
        ("_id", "g2", False),
        ("code", "2339-0", True),
        ("code", f"{LOINC}|2339-0", True),
        ("code", f"{LOINC}|", True),
        ("code", "urn:x|2339-0", False),
        ("code", "urn:x|", False),
        ("code", "|2339-0", False),
        ("code", "|local", True),
        ("code", "a,b,local", True),
        ("code:not", "local", False),
        ("code:not", "other", True),
        ("code:not", "other,local", False),
        ("code:text", "blood", True),
        ("code:text", "sugar", False),
        ("category:not", "vital-signs", True),
        ("category:missing", "true", True),
        ("category:missing", "false", False),
        ("code:missing", "true", False),
        ("code:missing", "false", True),
        ("subject", "p1", True),
        ("subject", "Patient/p1", True),
        ("subject", "Group/p1", False),
        ("subject", "Patient/p2", False),
        ("subject:Patient", "p1", True),
        ("patient", "p1", True),
        ("focus", "http://o/Patient/9", True),
        ("focus", "Patient/9", False),
        ("focus", "http://o/Patient/9|1", False),
        ("subject:identifier", "urn:h|12", True),
        ("subject:identifier", "urn:h|13", False),
        ("_profile", "http://o/profiles/glucose", True),
        ("_profile", "http://o/profiles/", False),
        ("_profile:below", "http://o/profiles/", True),
        ("_profile:below", "http://o/others/", False),
        ("_profile:above", "http://o/profiles/glucose/fasting", True),
        ("_profile:above", "http://o/profiles/", False),
        ("_lastUpdated", "ge2024-05-01T10:00:00Z", True),
        ("_lastUpdated", "gt2024-05-01T10:00:00Z", False),
        ("code-value-quantity", f"{LOINC}|2339-0$gt5", True),
        ("code-value-quantity", f"{LOINC}|2339-0$lt5", False),
        ("code-value-quantity", "other$gt5", False),
        ("value-quantity", "5.4", True),
        ("value-quantity", "5", True),
        ("value-quantity", "5.41", False),
        ("value-quantity", "5.40||mmol/L", True),
        ("value-quantity", "5.4||mmol per litre", True),
        ("value-quantity", f"5.4|{UCUM}|mmol/L", True),
        ("value-quantity", f"5.4|{UCUM}|mmol per litre", False),
        ("value-quantity", f"5.4|{UCUM}|", True),
        ("value-quantity", "5.4|urn:x|mmol/L", False),
        ("value-quantity", "5.4||mg", False),
    ],
)
def test_an_observation_is_found_by_what_it_holds(name, value, expected):
    assert found(GLUCOSE, name, value) is expected


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("name", "mul", True),
        ("name", "ller", False),
        ("name:contains", "LLE", True),
        ("name:contains", "x", False),
        ("name:exact", "Müller", True),
        ("name:exact", "Muller", False),
        ("gender", "http://hl7.org/fhir/administrative-gender|female", True),
        ("identifier:of-type", "urn:t|MR|12", True),
        ("identifier:of-type", "urn:t|MR|13", False),
        ("identifier:of-type", "urn:x|MR|12", False),
        ("deceased", "false", True),
    ],
)
def test_a_patient_is_found_by_what_it_holds(name, value, expected):
    assert found(PATIENT, name, value) is expected


# (prefix, asked) -> holds for a stored value of 100, for the day 2020-05-10, and for 2020-05-01 to 2020-05-20
PREFIXES = [
    ("eq", "100", "2020-05", True, True, True),
    ("eq", "101", "2020-05-10", False, True, False),
    ("ne", "100", "2020-05", False, False, False),
    ("ne", "101", "2020-05-10", True, False, True),
    ("gt", "100", "2020-05-10", False, False, True),
    ("gt", "99.9", "2020-05-09", True, True, True),
    ("gt", "101", "2020-05-20", False, False, False),
    ("ge", "100", "2020-05-10", True, True, True),
    ("ge", "100.1", "2020-05-11", False, False, True),
    ("ge", "99", "2020", True, True, True),
    ("lt", "100", "2020-05-10", False, False, True),
    ("lt", "100.1", "2020-05-11", True, True, True),
    ("lt", "99", "2020-05-01", False, False, False),
    ("le", "100", "2020-05-10", True, True, True),
    ("le", "99.9", "2020-05-09", False, False, True),
    ("le", "101", "2020", True, True, True),
    ("sa", "99.9", "2020-05-09", True, True, False),
    ("sa", "100", "2020-04", False, True, True),
    ("eb", "100.1", "2020-05-11", True, True, False),
    ("eb", "100", "2020-06", False, True, True),
    ("ap", "95", "2020-05-10", True, True, True),
    ("ap", "80", "2010", False, False, False),
]


@pytest.mark.parametrize(("prefix", "number", "date", "of_number", "of_day", "of_period"), PREFIXES)
def test_prefixes_compare_as_r4_says(prefix, number, date, of_number, of_day, of_period):
    risk = {"resourceType": "RiskAssessment", "prediction": [{"probabilityDecimal": 100}]}
    day = {"resourceType": "Observation", "effectiveDateTime": "2020-05-10"}
    period = {"resourceType": "Observation", "effectivePeriod": {"start": "2020-05-01", "end": "2020-05-20"}}
    assert found(risk, "probability", prefix + number) is of_number
    assert found(day, "date", prefix + date) is of_day
    assert found(period, "date", prefix + date) is of_period


@pytest.mark.parametrize(
    ("value", "expected"),
    [("5.35", True), ("ge5.35", True), ("le5.35", True), ("gt5.35", False), ("lt5.35", False), ("ne5.35", False)],
)
def test_a_number_that_binary_floats_cannot_hold_equals_itself(value, expected):
    risk = {"resourceType": "RiskAssessment", "prediction": [{"probabilityDecimal": 5.35}]}
    assert found(risk, "probability", value) is expected


@given(st.decimals(min_value=0, max_value=10_000, places=3), st.decimals(min_value=0, max_value=10_000, places=3))
def test_two_numbers_are_ordered_as_they_are(stored, wanted):
    risk = {"resourceType": "RiskAssessment", "prediction": [{"probabilityDecimal": float(stored)}]}
    answers = {
        prefix: found(risk, "probability", f"{prefix}{wanted}") for prefix in ("gt", "ge", "lt", "le", "eq", "ne")
    }
    assert answers["gt"] is (stored > wanted)
    assert answers["ge"] is (stored >= wanted)
    assert answers["lt"] is (stored < wanted)
    assert answers["le"] is (stored <= wanted)
    assert answers["eq"] is (stored == wanted)
    assert answers["ne"] is (stored != wanted)


def test_a_versioned_canonical_is_found_with_and_without_its_version():
    response = {"resourceType": "QuestionnaireResponse", "questionnaire": "http://o/q|2"}
    assert found(response, "questionnaire", "http://o/q")
    assert found(response, "questionnaire", "http://o/q|2")
    assert not found(response, "questionnaire", "http://o/q|3")


def test_a_quantity_row_without_any_unit_matches_only_a_question_without_one():
    row = QuantityRow("value-quantity", 5, 5, None, None, None, None, None, None)
    question = asked(GLUCOSE, "value-quantity", "5").values[0]
    assert holds(row, question)
    assert not holds(row, asked(GLUCOSE, "value-quantity", "5||mg").values[0])


# --- chains and queries -----------------------------------------------------------------------------------------


def resolve(ref):
    return {Ref("Patient", "p1"): PATIENT, Ref("Organization", "o1"): ORGANIZATION}.get(ref)


def referrers(fhir_type, name, ref):
    return [GLUCOSE] if (fhir_type, name, ref) == ("Observation", "patient", Ref("Patient", "p1")) else []


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("subject:Patient.name", "mull", True),
        ("subject:Patient.name", "x", False),
        ("subject:Group.identifier", "12", False),
        ("subject:Patient.organization.name", "clinic", True),
        ("focus:Patient.name", "mull", False),
    ],
)
def test_a_chain_is_followed_to_what_is_there(name, value, expected):
    assert found(GLUCOSE, name, value, resolve=resolve) is expected


def test_a_chain_to_what_is_absent_does_not_hold():
    assert not found(GLUCOSE, "subject:Patient.name", "mull", resolve=lambda ref: None)


def test_has_asks_what_refers_to_the_resource():
    assert found(PATIENT, "_has:Observation:patient:code", "local", referrers=referrers)
    assert not found(PATIENT, "_has:Observation:patient:code", "other", referrers=referrers)
    assert not found(PATIENT, "_has:Encounter:patient:status", "planned", referrers=referrers)
    assert found(GLUCOSE, "patient._has:Observation:patient:code", "local", resolve=resolve, referrers=referrers)


QUESTIONNAIRES = [
    {"resourceType": "Questionnaire", "id": f"q{version}", "url": "http://o/q", "title": title, **said}
    for version, title, said in (("1", "one", {"version": "1"}), ("2", "two", {"version": "2"}), ("", "none", {}))
]


def named(fhir_type, url, version):
    return [one for one in QUESTIONNAIRES if url == "http://o/q" and version in ("", one.get("version"))]


@pytest.mark.parametrize(
    ("canonical", "title", "expected"),
    [
        ("http://o/q|2", "two", True),
        ("http://o/q|2", "one", False),
        ("http://o/q", "one", True),
        ("http://o/other", "one", False),
        ("Questionnaire/q1", "one", False),
    ],
)
def test_a_chain_over_a_canonical_is_followed_to_what_has_its_url(canonical, title, expected):
    answers = {"resourceType": "QuestionnaireResponse", "questionnaire": canonical}
    assert found(answers, "questionnaire.title", title, resolve=lambda ref: None, named=named) is expected


def test_a_canonical_without_a_way_to_find_what_it_names_leads_nowhere():
    answers = {"resourceType": "QuestionnaireResponse", "questionnaire": "http://o/q"}
    assert not found(answers, "questionnaire.title", "one", resolve=lambda ref: None)


def test_an_address_elsewhere_is_no_canonical():
    reading = {"resourceType": "Observation", "subject": {"reference": "http://o/Patient/1"}}
    assert not found(reading, "subject:Patient.name", "mull", resolve=lambda ref: None, named=named)


@pytest.mark.parametrize(
    ("resource", "asked"),
    [
        (QUESTIONNAIRES[0], [Ref("Questionnaire", "q1"), "http://o/q|", "http://o/q|1"]),
        (QUESTIONNAIRES[2], [Ref("Questionnaire", "q"), "http://o/q|"]),
        ({"resourceType": "Questionnaire", "id": "x"}, [Ref("Questionnaire", "x")]),
    ],
    ids=["with a version", "without one", "without a url"],
)
def test_has_over_a_canonical_asks_for_what_names_the_resource(resource, asked):
    seen = []

    def referrers(fhir_type, name, target):
        seen.append(target)
        return []

    assert not found(resource, "_has:QuestionnaireResponse:questionnaire:status", "final", referrers=referrers)
    assert seen == asked


def test_a_query_wants_all_criteria_and_one_group_of_any_of():
    query = parse_query("Observation", [("status", "final"), ("code", "local")], now=NOW).query
    yes, no = query.criteria[0], Match("status", "token", (TokenValue(None, "draft"),))
    assert matches_query(GLUCOSE, query)
    assert not matches_query(PATIENT, query)
    assert not matches_query(GLUCOSE, dataclasses.replace(query, criteria=(yes, no)))
    assert matches_query(GLUCOSE, dataclasses.replace(query, any_of=((no,), (yes, yes))))
    assert not matches_query(GLUCOSE, dataclasses.replace(query, any_of=((no,), (yes, no))))


def test_a_query_passes_its_ways_on():
    chained = parse_query("Observation", [("subject:Patient.name", "mull")], now=NOW).query
    assert matches_query(GLUCOSE, chained, resolve=resolve)


def test_any_of_several_values_is_enough():
    name = Match("name", "string", (StringValue("x"), StringValue("mul")))
    assert matches(PATIENT, name)


# --- what parameters cannot say ---------------------------------------------------------------------------------

FINAL, AMENDED = (Match("status", "token", (TokenValue(None, code),)) for code in ("final", "amended"))


def test_one_group_of_alternatives_has_to_hold_and_a_denied_one_must_not():
    reading = {"resourceType": "Observation", "status": "final", "valueString": "swimming"}
    code_missing = Match("code", "token", (MissingValue(True),), "missing")

    assert matches(reading, AnyOf(((AMENDED,), (FINAL, code_missing))))
    assert not matches(reading, AnyOf(((AMENDED,), (FINAL, Not(code_missing)))))
    assert matches(reading, Not(AMENDED))
    assert not matches(reading, Not(FINAL))


@pytest.mark.parametrize(("text", "holds_"), [("swimming", True), ("SWIMMÍNG ", True), ("swim", False)])
def test_a_string_equals_a_text_whatever_its_case_and_accents(text, holds_):
    reading = {"resourceType": "Observation", "valueString": "Swimming"}

    assert matches(reading, Match("value-string", "string", (StringValue(text),), "equal")) is holds_


@pytest.mark.parametrize(("text", "holds_"), [("ming", True), ("MING", True), ("swim", False)])
def test_a_string_ends_with_a_text(text, holds_):
    reading = {"resourceType": "Observation", "valueString": "Swimming"}

    assert matches(reading, Match("value-string", "string", (StringValue(text),), "ends")) is holds_


ULM = {"resourceType": "Location", "position": {"latitude": 48.4, "longitude": 9.99}}


@pytest.mark.parametrize(
    ("place", "near"),
    [
        (ULM, True),
        (ULM | {"position": {"latitude": 48.4, "longitude": 11.5}}, False),
        ({"resourceType": "Location"}, False),
        ({"resourceType": "Location", "position": "Ulm"}, False),
        ({"resourceType": "Location", "position": {"latitude": 48.4}}, False),
        ({"resourceType": "Location", "position": {"latitude": "x", "longitude": 9.9}}, False),
    ],
)
def test_a_place_is_near_or_not(place, near):
    assert found(place, "near", "48.4|9.9|10|km") is near


NOTE = {"resourceType": "Observation", "text": {"div": "<p>broken arm</p>"}, "note": [{"text": "healing"}]}


@pytest.mark.parametrize(
    ("name", "text", "there"),
    [
        ("_text", "arm", True),
        ("_text", "healing", False),
        ("_text", "leg,arm", True),
        ("_content", "healing", True),
        ("_content", "leg", False),
    ],
)
def test_words_are_in_the_narrative_or_anywhere(name, text, there):
    assert found(NOTE, name, text) is there


@pytest.mark.parametrize(("kind", "there"), [("Medication", True), ("Patient", False)])
def test_a_container_is_known_by_what_it_contains(kind, there):
    container = {"resourceType": "MedicationStatement", "contained": [{"resourceType": "Medication", "id": "m"}]}
    criterion = Match("_contained", "token", (TokenValue(None, kind),))

    assert matches(container, criterion) is there
    assert not matches({"resourceType": "MedicationStatement"}, criterion)
