"""A practitioner's patients: named as general practitioner, or in an active team with them now; nobody else."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fhir_facade.access.care import (
    Carer,
    carer_of,
    changes_care,
    circle_of,
    circle_queries,
    organizations_of,
    role_queries,
)
from fhir_facade.fhir.match import matches_query
from fhir_facade.values import Principal
from tests.unit.access.people import A, ref

DOC = Carer("Practitioner/doc")
NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)


def general(*names: Any) -> dict[str, Any]:
    return {"resourceType": "Patient", "id": "a", "generalPractitioner": list(names)}


def team(
    member: Any = None, status: str | None = "active", period: Any = None, takes_part: Any = None
) -> dict[str, Any]:
    participant = {"member": member or ref("Practitioner/doc"), **({"period": takes_part} if takes_part else {})}
    found: dict[str, Any] = {"resourceType": "CareTeam", "subject": ref("Patient/a"), "participant": [participant]}
    return found | ({"status": status} if status else {}) | ({"period": period} if period else {})


@pytest.mark.parametrize(
    "resource",
    [
        pytest.param(general(ref("Practitioner/other")), id="another general practitioner"),
        pytest.param(general(ref("Organization/doc")), id="an organization with the same id"),
        pytest.param(general(ref("https://x.example/Practitioner/doc")), id="a practitioner elsewhere"),
        pytest.param(general({"display": "doc"}, "Practitioner/doc"), id="no reference"),
        pytest.param({"resourceType": "Patient", "id": "a", "generalPractitioner": "doc"}, id="no list"),
        pytest.param({"resourceType": "Patient", "id": "a"}, id="nobody named"),
        pytest.param({"resourceType": "Patient", "generalPractitioner": [ref("Practitioner/doc")]}, id="no id"),
        pytest.param(team(status="proposed"), id="proposed team"),
        pytest.param(team(status="inactive"), id="inactive team"),
        pytest.param(team(status=None), id="team without status"),
        pytest.param(team(member=ref("Practitioner/other")), id="another member"),
        pytest.param(team(period={"end": "2026-03-09"}), id="team that ended yesterday"),
        pytest.param(team(period={"start": "2026-03-11"}), id="team that starts tomorrow"),
        pytest.param(team(takes_part={"end": "2026-03-10T11:59:59Z"}), id="member that left a moment ago"),
        pytest.param(team(takes_part={"start": "2026-03-10T13:00:00+00:00"}), id="member that comes in an hour"),
        pytest.param(team(period={"end": "soon"}), id="period that cannot be read"),
        pytest.param(team(period={"end": 2027}), id="period that is no date"),
        pytest.param(team(period="2026"), id="period that is no period"),
        pytest.param(team() | {"subject": ref("Group/a")}, id="team of a group"),
        pytest.param(team() | {"subject": ref("https://x.example/Patient/a")}, id="team of a patient elsewhere"),
        pytest.param(team() | {"participant": {"member": ref("Practitioner/doc")}}, id="participants are no list"),
        pytest.param({"resourceType": "Observation", "subject": ref("Patient/a")}, id="another type"),
    ],
)
def test_nothing_else_puts_a_patient_into_care(resource: dict[str, Any]) -> None:
    assert circle_of([resource], DOC, NOW) == frozenset()


@pytest.mark.parametrize(
    "resource",
    [
        pytest.param(general(ref("Practitioner/other"), ref("Practitioner/doc")), id="general practitioner"),
        pytest.param(general(ref("Practitioner/doc/_history/2")), id="a version of the practitioner"),
        pytest.param(team(), id="active team without periods"),
        pytest.param(team(period={"start": "2026-03-10", "end": "2026-03-10"}), id="a date means all of it"),
        pytest.param(team(takes_part={"start": "2026-03"}, period={"start": "2020"}), id="open end"),
    ],
)
def test_general_practitioners_and_present_members_of_active_teams_are_in_care(resource: dict[str, Any]) -> None:
    assert circle_of([resource], DOC, NOW) == {A}


@pytest.mark.parametrize("resource", [general(ref("Practitioner/doc")), team()], ids=["Patient", "CareTeam"])
def test_the_queries_find_what_puts_a_patient_into_care(resource: dict[str, Any]) -> None:
    assert any(matches_query(resource, query) for query in circle_queries(DOC))
    assert not any(matches_query(resource, query) for query in circle_queries(Carer("Practitioner/other")))


# --- roles, institutions and proxies --------------------------------------------------------------------------

ROLE_SYSTEM = "http://terminology.hl7.org/CodeSystem/practitioner-role"
AT_WARD = Carer("Practitioner/doc", frozenset({"ward"}))
WARD = Carer("Organization/ward")
MOTHER = Carer("RelatedPerson/mother")


def role(**changed: Any) -> dict[str, Any]:
    elements = {
        "resourceType": "PractitionerRole",
        "active": True,
        "practitioner": ref("Practitioner/doc"),
        "organization": ref("Organization/ward"),
        "code": [{"coding": [{"system": ROLE_SYSTEM, "code": "doctor"}]}],
        **changed,
    }
    return {name: value for name, value in elements.items() if value is not None}


def managed(by: Any) -> dict[str, Any]:
    return {"resourceType": "Patient", "id": "a", "managingOrganization": by}


def related(**changed: Any) -> dict[str, Any]:
    return {"resourceType": "RelatedPerson", "id": "mother", "patient": ref("Patient/a"), **changed}


@pytest.mark.parametrize(
    ("kind", "field", "expected"),
    [
        ("practitioner", "practitioner", "Practitioner/1"),
        ("proxy", "related_person", "RelatedPerson/1"),
        ("staff", "organization", "Organization/1"),
        ("patient", "patient", None),
        ("admin", "practitioner", None),
        ("backend", "organization", None),
    ],
)
def test_who_reaches_others_is_named_as_records_name_them(kind: Any, field: str, expected: str | None) -> None:
    named: dict[str, Any] = {field: "1"}
    found = carer_of(Principal(kind, **named))

    assert (found and found.itself) == expected
    assert carer_of(Principal(kind)) is None


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param({"active": None}, id="not said to be active"),
        pytest.param({"active": False}, id="not active"),
        pytest.param({"practitioner": ref("Practitioner/other")}, id="another practitioner"),
        pytest.param({"period": {"end": "2026-03-09"}}, id="ended yesterday"),
        pytest.param({"code": None}, id="no code"),
        pytest.param({"code": [{"coding": [{"system": ROLE_SYSTEM, "code": "researcher"}]}]}, id="no permission"),
        pytest.param({"code": [{"coding": [{"system": "urn:x", "code": "doctor"}]}]}, id="a code of somebody else"),
        pytest.param({"organization": None}, id="no organization"),
        pytest.param({"organization": "ward"}, id="organization is no reference"),
        pytest.param({"organization": {"display": "ward"}}, id="organization without reference"),
        pytest.param({"organization": ref("Location/ward")}, id="a place"),
    ],
)
def test_no_other_role_permits_to_care(changed: dict[str, Any]) -> None:
    assert organizations_of([role(**changed)], DOC, NOW) == frozenset()


def test_an_active_role_with_permission_permits_to_care_at_its_organization() -> None:
    roles = [role(), role(organization=ref("Organization/clinic"), period={"start": "2026-03-10"})]

    assert organizations_of(roles, DOC, NOW) == {"ward", "clinic"}
    assert all(any(matches_query(each, query) for query in role_queries(DOC)) for each in roles)
    assert role_queries(WARD) == ()


@pytest.mark.parametrize(
    ("carer", "resource"),
    [
        pytest.param(AT_WARD, managed(ref("Organization/ward")), id="a doctor of the ward"),
        pytest.param(WARD, managed(ref("Organization/ward")), id="the staff of the ward"),
        pytest.param(MOTHER, related(), id="a mother"),
        pytest.param(MOTHER, related(active=True, period={"start": "2026"}), id="a mother for this year"),
    ],
)
def test_institutions_and_proxies_reach_their_patients(carer: Carer, resource: dict[str, Any]) -> None:
    assert circle_of([resource], carer, NOW) == {A}
    assert any(matches_query(resource, query) for query in circle_queries(carer))


@pytest.mark.parametrize(
    ("carer", "resource"),
    [
        pytest.param(DOC, managed(ref("Organization/ward")), id="a doctor without a role there"),
        pytest.param(AT_WARD, managed(ref("Organization/clinic")), id="another institution"),
        pytest.param(AT_WARD, managed(None), id="no institution"),
        pytest.param(WARD, managed(ref("Practitioner/ward")), id="a practitioner with the same id"),
        pytest.param(WARD, general(ref("Organization/ward")), id="an institution as general practitioner"),
        pytest.param(WARD, team(member=ref("Organization/ward")), id="an institution in a team"),
        pytest.param(MOTHER, related(id="father"), id="another relative"),
        pytest.param(MOTHER, related(active=False), id="a relative no more"),
        pytest.param(MOTHER, related(period={"end": "2026-03-09"}), id="until yesterday"),
        pytest.param(MOTHER, related(patient=ref("https://x.example/Patient/a")), id="a patient elsewhere"),
        pytest.param(DOC, related(id="doc"), id="a relative with the id of a practitioner"),
        pytest.param(MOTHER, general(ref("RelatedPerson/mother")), id="a relative as general practitioner"),
    ],
)
def test_nothing_else_lets_institutions_and_proxies_in(carer: Carer, resource: dict[str, Any]) -> None:
    assert circle_of([resource], carer, NOW) == frozenset()


# --- the oracle -----------------------------------------------------------------------------------------------

_WHO = st.sampled_from(["Practitioner/doc", "Practitioner/other", "Organization/ward", "RelatedPerson/mother"])
_PERIODS = st.sampled_from([None, {"end": "2026-03-09"}, {"start": "2026-03-10"}, {"start": "2026-03-11"}])
_FLAGS = st.sampled_from([None, True, False])
_IDS = st.sampled_from(["a", "b"])


def _without_none(**elements: Any) -> dict[str, Any]:
    return {name: value for name, value in elements.items() if value is not None}


_PATIENTS = st.builds(
    lambda id_, doctor, house: _without_none(
        resourceType="Patient", id=id_, generalPractitioner=[ref(doctor)], managingOrganization=ref(house)
    ),
    _IDS,
    _WHO,
    _WHO,
)
_TEAMS = st.builds(
    lambda id_, who, status, period, part: team(ref(who), status, period, part) | {"subject": ref(f"Patient/{id_}")},
    _IDS,
    _WHO,
    st.sampled_from(["active", "proposed", None]),
    _PERIODS,
    _PERIODS,
)
_RELATED = st.builds(
    lambda id_, name, active, period: _without_none(
        resourceType="RelatedPerson", id=name, patient=ref(f"Patient/{id_}"), active=active, period=period
    ),
    _IDS,
    st.sampled_from(["mother", "father"]),
    _FLAGS,
    _PERIODS,
)
_RECORDS = st.lists(st.one_of(_PATIENTS, _TEAMS, _RELATED), max_size=6)
_CARERS = st.sampled_from([DOC, AT_WARD, WARD, MOTHER, Carer("Practitioner/other"), Carer("RelatedPerson/doc")])


def now_within(period: dict[str, str] | None) -> bool:
    """All periods of this world are told by one day."""
    return period is None or period == {"start": "2026-03-10"}


def oracle(resource: dict[str, Any], carer: Carer) -> str | None:
    """The patient whom this one record puts into the carer's care, read out of the record word for word."""
    text = str(resource)
    named = f"'{carer.itself}'" in text
    if resource["resourceType"] == "RelatedPerson":
        counts = carer.itself == f"RelatedPerson/{resource['id']}" and resource.get("active", True)
        return resource["patient"]["reference"][8:] if counts and now_within(resource.get("period")) else None
    if resource["resourceType"] == "CareTeam":
        (part,) = resource["participant"]
        present = now_within(resource.get("period")) and now_within(part.get("period"))
        counts = carer.type == "Practitioner" and named and resource.get("status") == "active" and present
        return resource["subject"]["reference"][8:] if counts else None
    by_name = carer.type == "Practitioner" and resource["generalPractitioner"] == [ref(carer.itself)]
    houses = {"Organization": {carer.itself}, "Practitioner": {f"Organization/{id_}" for id_ in carer.organizations}}
    by_house = resource["managingOrganization"]["reference"] in houses.get(carer.type, set())
    return resource["id"] if by_name or by_house else None


@settings(max_examples=50, deadline=None)
@given(_RECORDS, _CARERS)
def test_the_circle_is_what_each_record_by_itself_says_and_the_queries_find_all_of_it(
    records: list[dict[str, Any]], carer: Carer
) -> None:
    expected = {patient for each in records if (patient := oracle(each, carer)) is not None}
    found = [each for each in records if any(matches_query(each, query) for query in circle_queries(carer))]

    assert circle_of(records, carer, NOW) == expected
    assert circle_of(found, carer, NOW) == expected


@pytest.mark.parametrize(
    ("before", "after", "changes"),
    [
        pytest.param(None, team(), True, id="a team is made"),
        pytest.param(team(), None, True, id="a team is deleted"),
        pytest.param(None, {"resourceType": "RelatedPerson"}, True, id="somebody who stands for a patient"),
        pytest.param(general(ref("Practitioner/doc")), general(), True, id="a general practitioner goes"),
        pytest.param(general(), general() | {"managingOrganization": ref("Organization/o")}, True, id="an institution"),
        pytest.param(general(ref("Practitioner/doc")), general(ref("Practitioner/doc")), False, id="the same again"),
        pytest.param(general(), general() | {"gender": "other"}, False, id="another element"),
        pytest.param(None, {"resourceType": "Observation"}, False, id="a reading"),
    ],
)
def test_a_write_changes_who_reaches_a_patient(before: Any, after: Any, changes: bool) -> None:
    assert changes_care(before, after) is changes
