"""The attacks that got through elsewhere, as decisions: https://owasp.org/API-Security/editions/2023/en/0xa1-broken-object-level-authorization/

Each test is named after its attack and makes the request that used to work on some other server.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from fhir_facade.access.check import Deny
from fhir_facade.access.policy import Ask, decide
from fhir_facade.access.searches import search_within
from fhir_facade.errors import BadRequest
from fhir_facade.fhir.query import parse_query
from fhir_facade.values import Interaction as Do
from fhir_facade.values import Match, PatientId, Principal, ReferenceValue, SearchQuery
from tests.unit.access.people import NOBODY_YET, A, backend, check, observation, patient, practitioner, ref

NOW = datetime(2026, 3, 10, tzinfo=UTC)


def ask(principal: Principal, type_name: str, name: str, value: str) -> SearchQuery | Deny:
    parsed = parse_query(type_name, [(name, value)], now=NOW)
    return search_within(principal, parsed.query, parsed.includes, NOBODY_YET)


def forbidden(answer: object) -> bool:
    return isinstance(answer, Deny) and answer.kind == "forbidden"


def test_reading_a_foreign_id_looks_like_reading_an_absent_one() -> None:
    caller = patient()

    foreign, absent = (decide(caller, Ask(Do.READ, "Observation", id_)) for id_ in ("of-b", "nowhere"))

    assert foreign == absent
    assert not check(caller, Do.READ, "Observation").may_leave(observation("b"))


@pytest.mark.parametrize("id_", ["b", "a/../b", "B", "b%00", "b;a"])
def test_naming_another_patient_in_the_search_only_adds_a_condition(id_: str) -> None:
    try:
        answer = ask(patient(), "Observation", "patient", id_)
    except BadRequest:
        return

    assert isinstance(answer, SearchQuery)
    assert Match("patient", "reference", (ReferenceValue("Patient", "a"),)) in answer.criteria


@pytest.mark.parametrize(
    "foreign",
    [
        pytest.param(observation("b"), id="revinclude of a foreign record"),
        pytest.param({"resourceType": "Patient", "id": "b"}, id="include of a foreign patient"),
        pytest.param({"resourceType": "Encounter", "id": "e", "subject": ref("Patient/b")}, id="iterate"),
    ],
)
def test_an_include_does_not_carry_foreign_records_out(foreign: dict[str, Any]) -> None:
    assert not check(patient(), Do.SEARCH_TYPE, "Observation").may_leave(foreign)


@pytest.mark.parametrize(
    ("type_name", "name"),
    [
        ("Practitioner", "_has:Observation:performer:code"),
        ("Organization", "_has:Observation:performer:code"),
        ("Location", "_has:Encounter:location:status"),
        ("Medication", "_has:MedicationRequest:medication:status"),
        ("Encounter", "_has:Observation:encounter:code"),
        ("Patient", "_has:Patient:link:name"),
        ("Observation", "derived-from:Observation.code"),
        ("Observation", "has-member:Observation.code"),
        ("Patient", "link:Patient.name"),
    ],
)
def test_the_presence_of_a_match_tells_no_hidden_value(type_name: str, name: str) -> None:
    assert forbidden(ask(patient(), type_name, name, "x"))


def test_membership_in_a_list_of_somebody_else_cannot_be_asked() -> None:
    assert forbidden(ask(patient(), "Observation", "_list", "of-b"))


@pytest.mark.parametrize("element", ["performer", "focus", "hasMember"])
def test_being_named_in_a_foreign_record_does_not_make_it_ones_own(element: str) -> None:
    assert not check(patient(), Do.READ, "Observation").may_leave(observation("b", **{element: [ref("Patient/a")]}))


def test_the_owner_of_a_record_cannot_be_changed_by_put_or_patch() -> None:
    for interaction in (Do.UPDATE, Do.PATCH):
        writing = check(patient(), interaction, "Observation")
        assert writing.may_write(observation("b"), observation("a")).kind == "hidden"
        assert forbidden(writing.may_write(observation("a"), observation("b")))


@pytest.mark.parametrize(
    "poison",
    [
        pytest.param({"performer": [ref("Patient/b")]}, id="performer"),
        pytest.param({"extension": [{"url": "x", "valueReference": ref("Patient/b")}]}, id="extension"),
        pytest.param({"contained": [{"resourceType": "Patient", "id": "p"}]}, id="contained patient"),
        pytest.param({"performer": [{"type": "Patient", "identifier": {"value": "1"}}]}, id="identifier only"),
        pytest.param({"performer": [ref("https://here.example/fhir/Patient/b")]}, id="absolute"),
        pytest.param({"performer": [ref("Patient?identifier=1")]}, id="conditional"),
    ],
)
def test_the_record_of_another_patient_cannot_be_poisoned(poison: dict[str, Any]) -> None:
    assert forbidden(check(patient(), Do.CREATE, "Observation").may_write(None, observation("a", **poison)))


def test_links_between_patients_are_not_followed() -> None:
    linked = {"resourceType": "Patient", "id": "b", "link": [{"other": ref("Patient/a"), "type": "seealso"}]}

    assert not check(patient(), Do.READ, "Patient").may_leave(linked)


@pytest.mark.parametrize("type_name", ["Person", "Group", "Linkage", "Bundle", "Subscription", "MessageHeader"])
def test_types_that_lead_to_other_people_are_closed_to_people(type_name: str) -> None:
    for principal in (patient(), practitioner()):
        assert forbidden(decide(principal, Ask(Do.READ, type_name)))
        assert forbidden(decide(principal, Ask(Do.CREATE, type_name)))


def test_a_put_to_a_chosen_id_tells_nothing_and_makes_nothing() -> None:
    writing = check(patient(), Do.UPDATE, "Observation")

    assert writing.may_write(None, observation("a")) == writing.may_write(observation("b"), observation("a"))


@pytest.mark.parametrize(
    ("element", "value"),
    [
        ("identifier", [{"value": "somebody"}]),
        ("active", False),
        ("generalPractitioner", [ref("Practitioner/attacker")]),
        ("link", [{"other": ref("Patient/a"), "type": "replaces"}]),
        ("managingOrganization", ref("Organization/attacker")),
    ],
)
def test_a_patient_cannot_assign_what_identity_and_access_hang_on(element: str, value: Any) -> None:
    before = {"resourceType": "Patient", "id": "a"}

    assert forbidden(check(patient(), Do.UPDATE, "Patient").may_write(before, before | {element: value}))


def test_an_empty_list_of_patients_is_nobody_not_everybody() -> None:
    lonely = practitioner()

    assert not check(lonely, Do.READ, "Observation").may_leave(observation("a"))
    answer = search_within(lonely, SearchQuery("Observation"), circle=NOBODY_YET)
    assert isinstance(answer, SearchQuery)
    assert answer.criteria


def test_an_unknown_parameter_in_a_scope_drops_the_scope_not_the_limit() -> None:
    assert forbidden(decide(patient("patient/Observation.rs?unknown=x"), Ask(Do.READ, "Observation")))


@pytest.mark.parametrize(
    "name", ["expunge", "reindex", "export", "graphql", "merge", "process-message", "everything:x"]
)
def test_operations_that_nobody_opened_are_closed_even_to_whole_systems(name: str) -> None:
    assert forbidden(decide(backend(), Ask(Do.OPERATION, "Patient", operation=name)))


def test_a_wide_user_scope_is_no_wider_than_the_user() -> None:
    wide = Principal("patient", patient=A, scopes=patient("user/*.cruds system/*.cruds").scopes)

    assert not check(wide, Do.READ, "Observation").may_leave(observation("b"))
    assert not check(wide, Do.HISTORY_SYSTEM, None).may_leave(observation("b"))


def test_two_callers_with_equal_scopes_are_not_mixed_up() -> None:
    scopes = patient().scopes
    one, other = (Principal("patient", patient=PatientId(who), scopes=scopes) for who in "ab")

    assert check(one, Do.READ, "Observation").may_leave(observation("a"))
    assert not check(other, Do.READ, "Observation").may_leave(observation("a"))


def test_history_after_a_change_of_owner_is_judged_version_by_version() -> None:
    reading = check(patient(), Do.HISTORY_INSTANCE, "Observation")

    assert [reading.may_leave(version) for version in (observation("b"), observation("a"))] == [False, True]
