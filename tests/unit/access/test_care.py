"""A practitioner's patients: named as general practitioner, or in an active team with them now; nobody else."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from fhir_facade.access.care import circle_of, circle_queries
from fhir_facade.fhir.match import matches_query
from tests.unit.access.people import A, ref

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
    assert circle_of([resource], "doc", NOW) == frozenset()


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
    assert circle_of([resource], "doc", NOW) == {A}


@pytest.mark.parametrize("resource", [general(ref("Practitioner/doc")), team()], ids=["Patient", "CareTeam"])
def test_the_queries_find_what_puts_a_patient_into_care(resource: dict[str, Any]) -> None:
    assert any(matches_query(resource, query) for query in circle_queries("doc"))
    assert not any(matches_query(resource, query) for query in circle_queries("other"))
