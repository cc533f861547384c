"""Searches within the rights: no hop tells a hidden value, refusals first."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from fhir_facade.access.check import Deny
from fhir_facade.access.searches import search_within
from fhir_facade.fhir.query import parse_query
from fhir_facade.values import (
    AnyOf,
    Chain,
    Criterion,
    Has,
    Include,
    Match,
    Not,
    PatientId,
    Principal,
    ReferenceValue,
    SearchQuery,
    TokenValue,
)
from tests.unit.access.people import A, B, admin, anonymous, backend, engine, patient, practitioner

NOW = datetime(2026, 3, 10, tzinfo=UTC)
CIRCLE = frozenset({A, B})
OWN = Match("patient", "reference", (ReferenceValue("Patient", "a"),))


def ask(
    principal: Principal, type_name: str, *params: tuple[str, str], circle: frozenset[PatientId] = CIRCLE
) -> SearchQuery | Deny:
    parsed = parse_query(type_name, params, now=NOW)
    return search_within(principal, parsed.query, parsed.includes, circle)


@pytest.mark.parametrize(
    ("principal", "type_name", "param"),
    [
        pytest.param(patient("patient/Patient.rs"), "Observation", ("code", "x"), id="type not in scope"),
        pytest.param(patient(), "Group", ("_id", "x"), id="closed type"),
        pytest.param(admin(), "Patient", ("name", "x"), id="admins search no charts"),
        pytest.param(
            patient("patient/Observation.rs"), "Observation", ("patient.name", "x"), id="chain to a type not in scope"
        ),
        pytest.param(patient(), "Observation", ("derived-from:Observation.code", "x"), id="chain over a list"),
        pytest.param(patient(), "Observation", ("performer:Patient.name", "x"), id="chain to performing patients"),
        pytest.param(
            patient(), "AppointmentResponse", ("appointment.status", "x"), id="chain to what is about several"
        ),
        pytest.param(
            patient(), "Observation", ("encounter.appointment.status", "x"), id="second hop cannot be limited"
        ),
        pytest.param(patient(), "Practitioner", ("_has:Observation:performer:code", "x"), id="has from a shared type"),
        pytest.param(patient(), "Encounter", ("_has:Observation:encounter:code", "x"), id="has by another parameter"),
        pytest.param(patient(), "Patient", ("_has:Appointment:patient:status", "x"), id="has of what is about several"),
        pytest.param(patient(), "Patient", ("_has:AuditEvent:patient:action", "R"), id="has over several elements"),
        pytest.param(patient(), "Patient", ("_has:Group:member:_id", "x"), id="has of a closed type"),
        pytest.param(patient(), "Patient", ("_has:Device:patient:status", "x"), id="has of an optional type"),
        pytest.param(patient(), "Patient", ("_has:Basic:patient:code", "x"), id="has of the type of guards"),
        pytest.param(backend(), "Patient", ("_has:Basic:patient:code", "x"), id="has of guards by a service"),
        pytest.param(patient(), "Patient", ("_has:Observation:performer:code", "x"), id="has by performer"),
        pytest.param(
            patient("patient/Patient.rs patient/Observation.rs?category=x"),
            "Patient",
            ("_has:Observation:patient:code", "x"),
            id="has under a granular scope",
        ),
        pytest.param(
            practitioner("user/Patient.rs patient/Observation.rs", picked=A),
            "Patient",
            ("_has:Observation:patient:code", "x"),
            id="has with another reach",
        ),
        pytest.param(patient(), "Patient", ("_has:Observation:patient:encounter.status", "x"), id="chain inside a has"),
        pytest.param(patient(), "Observation", ("_list", "x"), id="list of unknown owner"),
        pytest.param(
            patient("patient/Observation.rs"), "Observation", ("_include", "Observation:encounter"), id="include"
        ),
        pytest.param(
            patient("patient/Observation.rs"),
            "Observation",
            ("_include", "Observation:subject:Patient"),
            id="include target",
        ),
        pytest.param(
            patient("patient/Encounter.rs"), "Encounter", ("_revinclude", "Observation:encounter"), id="revinclude"
        ),
        pytest.param(patient(), "Patient", ("_revinclude", "Group:member"), id="revinclude of a closed type"),
    ],
)
def test_a_hop_that_could_leave_the_rights_is_forbidden(
    principal: Principal, type_name: str, param: tuple[str, str]
) -> None:
    answer = ask(principal, type_name, param)

    assert isinstance(answer, Deny)
    assert answer.kind == "forbidden"


def test_what_two_ways_lead_to_is_limited_on_both() -> None:
    chain = Chain("encounter", ("Encounter",), Match("status", "token", (TokenValue(None, "finished"),)))
    either = AnyOf(((chain,), (chain, Match("status", "token", (TokenValue(None, "final"),)))))
    limited = search_within(patient(), SearchQuery("Observation", (either,)), (), CIRCLE)
    alone = search_within(patient(), SearchQuery("Observation", (chain,)), (), CIRCLE)

    assert isinstance(limited, SearchQuery)
    assert isinstance(alone, SearchQuery)
    assert [set(alone.criteria) <= set(group) for group in limited.any_of] == [True, True]


def test_a_search_without_token_is_not_authenticated() -> None:
    answer = ask(anonymous(), "Organization")

    assert isinstance(answer, Deny)
    assert answer.kind == "unauthenticated"


MINE = Match("subject", "reference", (ReferenceValue("Patient", "a"),))
DONE = Match("code", "token", (TokenValue(None, "x"),))
BOOKED = Chain("subject", ("Patient",), Match("gender", "token", (TokenValue(None, "male"),)))


def alternatives(*groups: tuple[Criterion, ...]) -> SearchQuery:
    return SearchQuery("Observation", (AnyOf(groups),))


def test_alternatives_about_the_record_itself_stay_one_criterion() -> None:
    asked = alternatives((MINE,), (DONE, Not(DONE)))

    answer = search_within(patient(), asked)

    assert answer == SearchQuery("Observation", (*asked.criteria, OWN))
    assert search_within(backend(), asked) == asked


def test_each_hop_of_an_alternative_is_narrowed() -> None:
    answer = search_within(patient(), alternatives((DONE,), (BOOKED, DONE)))

    own = Chain("subject", ("Patient",), Match("_id", "token", (TokenValue(None, "a"),)))
    assert isinstance(answer, SearchQuery)
    assert answer.any_of == ((DONE, OWN), (BOOKED, own, DONE, OWN))


def test_an_alternative_that_may_not_be_asked_refuses_the_search() -> None:
    closed = Chain("subject", ("Group",), Match("_id", "token", (TokenValue(None, "g"),)))

    assert isinstance(search_within(patient(), alternatives((DONE,), (closed,))), Deny)


def test_a_star_of_includes_is_judged_when_something_leaves() -> None:
    query = SearchQuery("Observation")

    assert isinstance(search_within(patient(), query, [Include("*", "*", reverse=True)]), SearchQuery)
    assert isinstance(search_within(patient(), query, [Include("*", "*")]), SearchQuery)


def test_the_clients_own_patient_criterion_is_joined_not_replaced() -> None:
    answer = ask(patient(), "Observation", ("patient", "b"))

    assert isinstance(answer, SearchQuery)
    assert answer.criteria == (Match("patient", "reference", (ReferenceValue("Patient", "b"),)), OWN)


def test_naming_the_own_patient_asks_the_store_once() -> None:
    answer = ask(patient(), "Observation", ("patient", "a"), ("code", "x"))

    assert isinstance(answer, SearchQuery)
    assert answer.criteria == (OWN, Match("code", "token", (TokenValue(None, "x"),)))
    assert answer.any_of == ()


def test_alternatives_of_the_token_become_groups_with_all_criteria() -> None:
    scopes = "patient/Observation.rs?category=lab patient/Observation.rs?category=vital"
    code = Match("code", "token", (TokenValue(None, "x"),))

    answer = ask(patient(scopes), "Observation", ("code", "x"))

    assert isinstance(answer, SearchQuery)
    assert answer.criteria == ()
    assert answer.any_of == tuple(
        (code, OWN, Match("category", "token", (TokenValue(None, name),))) for name in ("lab", "vital")
    )


def test_groups_that_a_query_already_has_are_kept() -> None:
    mine = Match("code", "token", (TokenValue(None, "x"),))

    answer = search_within(patient(), SearchQuery("Observation", any_of=((mine,), ())))

    assert isinstance(answer, SearchQuery)
    assert answer.any_of == ((mine, OWN), (OWN,))


def test_a_chain_over_a_single_reference_is_limited_at_its_end() -> None:
    status = Match("status", "token", (TokenValue(None, "x"),))

    answer = ask(patient(), "Observation", ("encounter.status", "x"))

    assert isinstance(answer, SearchQuery)
    assert answer.criteria == (
        Chain("encounter", ("Encounter",), status),
        Chain("encounter", ("Encounter",), OWN),
        OWN,
    )


def test_a_chain_keeps_the_targets_that_are_open_and_drops_the_others() -> None:
    answer = ask(patient(), "Observation", ("performer.name", "x"))

    assert isinstance(answer, SearchQuery)
    (chain, own) = answer.criteria
    assert isinstance(chain, Chain)
    assert set(chain.targets) == {"Organization", "Practitioner"}
    assert own == OWN


def test_a_chain_to_an_optional_type_has_an_alternative_for_each_limit() -> None:
    answer = ask(patient(), "Observation", ("device:Device.status", "x"))

    assert isinstance(answer, SearchQuery)
    assert len(answer.any_of) == 2


def test_a_reverse_chain_over_the_owner_reaches_only_what_the_found_patient_owns() -> None:
    answer = ask(practitioner(), "Patient", ("_has:Observation:subject:code", "x"))

    assert isinstance(answer, SearchQuery)
    assert [type(criterion) for criterion in answer.criteria] == [Has, Match]


def test_a_reverse_chain_among_shared_types_is_open() -> None:
    answer = ask(patient(), "Practitioner", ("_has:PractitionerRole:practitioner:specialty", "x"))

    assert isinstance(answer, SearchQuery)
    assert isinstance(answer.criteria[0], Has)


def test_a_search_that_nothing_narrows_is_asked_as_it_came() -> None:
    query = parse_query("Observation", (("code", "x"), ("status", "final")), now=NOW).query

    assert search_within(backend(), query) is query


@pytest.mark.parametrize("principal", [backend(), engine("import")], ids=["service", "import"])
def test_whole_systems_search_as_they_like(principal: Principal) -> None:
    asked = (("derived-from:Observation.code", "x"), ("_has:Provenance:target:_id", "y"), ("_list", "z"))

    assert ask(principal, "Observation", *asked) == parse_query("Observation", asked, now=NOW).query


@pytest.mark.parametrize(
    "include",
    [
        Include("Observation", "subject"),
        Include("Observation", "encounter", "Encounter"),
        Include("Observation", "*"),
        Include("Provenance", "target", reverse=True, iterate=True),
    ],
)
def test_includes_of_open_types_are_allowed_and_checked_when_they_leave(include: Include) -> None:
    assert isinstance(search_within(patient(), SearchQuery("Observation"), [include]), SearchQuery)


def test_too_many_alternatives_are_refused_instead_of_burdening_the_store() -> None:
    scopes = " ".join(
        f"patient/{name}.rs?_tag={number}" for name in ("Observation", "Encounter") for number in range(9)
    )

    assert isinstance(ask(patient(scopes), "Observation", ("encounter.status", "x")), Deny)


def test_a_chain_to_nothing_leads_to_nothing() -> None:
    query = SearchQuery("Observation", (Chain("subject", (), OWN),))

    assert isinstance(search_within(patient(), query), Deny)


def test_what_is_no_resource_of_a_store_is_no_condition_of_a_search() -> None:
    answer = ask(backend(), "Patient", ("_has:AuditEvent:patient:date", "2026"))

    assert isinstance(answer, Deny)
    assert "search AuditEvent" in answer.reason
