"""Which rules and alerts a write concerns."""

from __future__ import annotations

from typing import Any

import pytest

from fhir_facade.interactions.alerts.concerns import Changed, alert_key, concerns_of, handled_of, subject_of
from fhir_facade.rules.alerts import Ids
from fhir_facade.values import Ref
from terminology.canonical import ALERT_STATUS, identifier_system

LOINC = "http://loinc.org"


def observation(code: str = "8867-4", patient: str = "Patient/p1", **elements: Any) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "id": "o1",
        "status": "final",
        "code": {"coding": [{"system": LOINC, "code": code}]},
        "subject": {"reference": patient},
    } | elements


def change(after: dict[str, Any] | None, before: dict[str, Any] | None = None) -> Changed:
    return Changed(Ref("Observation", "o1"), before, after, b"{}" if after else b"")


def keys(*changes: Changed) -> set[tuple[str, str]]:
    return {(concern.rule.id, concern.patient) for concern in concerns_of(changes)}


HEART = {("heart-rate-very-high", "p1"), ("heart-rate-very-low", "p1")}


@pytest.mark.parametrize(
    "resource",
    [
        pytest.param(observation("39156-5"), id="code without a rule"),
        pytest.param(observation(patient="Group/g1"), id="about a group"),
        pytest.param(observation(patient="https://other.example/fhir/Patient/p1"), id="patient of another server"),
        pytest.param(observation(patient="#p1"), id="contained patient"),
        pytest.param({**observation(), "subject": {"display": "Somebody"}}, id="name instead of a reference"),
        pytest.param({**observation(), "subject": "Patient/p1"}, id="no reference at all"),
        pytest.param({"resourceType": "Observation", "status": "final"}, id="no code"),
    ],
)
def test_what_no_rule_reads_concerns_none(resource: dict[str, Any]) -> None:
    assert concerns_of([change(resource)]) == []


def test_every_rule_of_a_code_is_concerned_once_for_each_patient() -> None:
    second = Changed(Ref("Observation", "o2"), None, observation(id="o2"))

    concerns = concerns_of([change(observation()), second])

    assert {(each.rule.id, each.patient) for each in concerns} == HEART
    assert all(set(each.written) == {"o1", "o2"} for each in concerns)


def test_a_versioned_reference_names_the_same_patient() -> None:
    assert subject_of(observation(patient="Patient/p1/_history/3")) == "p1"


def test_an_observation_that_got_another_code_is_withdrawn_from_its_old_rules() -> None:
    (old,) = {
        each.written["o1"].resource["status"] for each in concerns_of([change(observation("39156-5"), observation())])
    }

    assert old == "entered-in-error"
    assert keys(change(observation("39156-5"), observation())) == HEART


def test_an_observation_that_keeps_its_rules_is_judged_as_it_is_now() -> None:
    concerns = concerns_of([change(observation(status="amended"), observation())])

    assert {each.written["o1"].resource["status"] for each in concerns} == {"amended"}


def test_a_deleted_observation_is_withdrawn_and_says_so() -> None:
    concerns = concerns_of([change(None, observation())])

    assert {(each.written["o1"].resource["status"], each.written["o1"].deleted) for each in concerns} == {
        ("entered-in-error", True)
    }


def test_a_task_concerns_no_rule() -> None:
    assert concerns_of([Changed(Ref("Task", "t"), None, {**observation(), "resourceType": "Task"})]) == []


# --- Tasks ----------------------------------------------------------------------------------------------------


def alert_task(state: str = "resolved", **elements: Any) -> dict[str, Any]:
    return {
        "resourceType": "Task",
        "id": Ids.of("glucose-low", "p1", 2).task,
        "identifier": [{"system": identifier_system("alert"), "value": "glucose-low|p1|2"}],
        "businessStatus": {"coding": [{"system": ALERT_STATUS, "code": state}]},
        "for": {"reference": "Patient/p1"},
    } | elements


def handled(after: dict[str, Any], before: dict[str, Any] | None = None) -> list[Any]:
    return handled_of([Changed(Ref("Task", after["id"]), before, after)])


def test_a_task_that_moves_to_another_state_is_handled() -> None:
    (found,) = handled(alert_task("resolved"), alert_task("new"))

    assert (found.rule, found.patient, found.episode, found.state, found.closed) == (
        "glucose-low",
        "p1",
        2,
        "resolved",
        True,
    )
    assert [each.closed for each in handled(alert_task("acknowledged"))] == [False]


@pytest.mark.parametrize(
    "task",
    [
        pytest.param(alert_task(id="made-up"), id="another id than the alert's"),
        pytest.param({**alert_task(), "for": {"reference": "Patient/p2"}}, id="another patient than the alert's"),
        pytest.param({**alert_task(), "identifier": []}, id="no alert"),
        pytest.param({**alert_task(), "businessStatus": {}}, id="no state"),
    ],
)
def test_a_task_that_is_not_the_one_of_the_alert_handles_nothing(task: dict[str, Any]) -> None:
    assert handled(task) == []


def test_a_task_that_keeps_its_state_and_a_deleted_one_handle_nothing() -> None:
    assert handled(alert_task(note=[{"text": "seen"}]), alert_task()) == []
    assert handled_of([Changed(Ref("Task", "t"), alert_task(), None)]) == []


@pytest.mark.parametrize(
    "value", ["", "glucose-low", "glucose-low|p1", "glucose-low|p1|two", f"glucose-low|p1|{'9' * 5000}"]
)
def test_an_identifier_that_names_no_episode_is_no_key(value: str) -> None:
    assert alert_key({"identifier": [{"system": identifier_system("alert"), "value": value}]}) is None
