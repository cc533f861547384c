from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from fhir.resources.R4B.basic import Basic
from fhir.resources.R4B.detectedissue import DetectedIssue
from fhir.resources.R4B.device import Device
from fhir.resources.R4B.flag import Flag
from fhir.resources.R4B.task import Task
from hypothesis import given
from hypothesis import strategies as st

from fhir_facade.fhir.validation import validate
from fhir_facade.rules.alerts import (
    Clear,
    GuardState,
    Ids,
    Raise,
    Reading,
    Refusal,
    Update,
    act,
    actions,
    business_status,
    cleared,
    detected_issue,
    engine_device,
    evaluate,
    flag,
    flag_cleared,
    guard,
    guard_id,
    guard_state,
    is_open,
    issue_cleared,
    issue_updated,
    open_states,
    possible,
    rules,
    task,
)

NOW = datetime(2026, 8, 10, 12, tzinfo=UTC)
LOW = next(rule for rule in rules() if rule.id == "oxygen-saturation-low")
RESTING = next(rule for rule in rules() if rule.id == "resting-heart-rate-high")
MODELS: dict[str, Any] = {"DetectedIssue": DetectedIssue, "Task": Task, "Flag": Flag, "Basic": Basic, "Device": Device}


def valid(resource: dict[str, Any]) -> dict[str, Any]:
    encoded = json.loads(msgspec.json.Encoder(decimal_format="number").encode(resource))
    assert MODELS[resource["resourceType"]].model_validate(encoded)
    assert [issue for issue in validate(encoded, type=resource["resourceType"]) if issue.severity != "warning"] == []
    return resource


def reading(value: str, minutes_ago: int, name: str) -> Reading:
    when = NOW - timedelta(minutes=minutes_ago)
    return Reading(name, when, when, Decimal(value), "final")


def raised(rule: Any = LOW, value: str = "88") -> Raise:
    transition = evaluate(rule, [reading(value, 5, "o1")], GuardState(), NOW, NOW)
    assert isinstance(transition, Raise)
    return transition


def over() -> Raise:
    transition = evaluate(LOW, [reading("88", 9, "o1"), reading("97", 5, "o2")], GuardState(), NOW, NOW)
    assert isinstance(transition, Raise)
    return transition


def new_task() -> dict[str, Any]:
    return task(LOW, "p1", raised(), NOW)


def test_a_basic_that_is_no_guard_is_refused() -> None:
    with pytest.raises(ValueError, match="holds no state"):
        guard_state({"resourceType": "Basic", "id": "b", "extension": [{"url": "http://example.org"}]})
    with pytest.raises(ValueError, match="holds no state"):
        guard_state({"resourceType": "Basic", "id": "b"})


def test_the_finding_says_what_was_seen_where_and_by_which_limit() -> None:
    issue = valid(detected_issue(LOW, "p1", raised()))
    facts = {row["url"].rsplit("/", 1)[-1]: row for row in issue["extension"]}
    assert issue["severity"] == "high"
    assert issue["implicated"] == [{"reference": "Observation/o1"}]
    assert issue["identifiedPeriod"] == {"start": "2026-08-10T11:55:00Z"}
    assert issue["detail"] == "Oxygen saturation low: 88 % (<= 91 %)"
    assert facts["alert-limit"]["valueQuantity"]["value"] == 91
    assert facts["alert-observed"]["valueQuantity"]["value"] == 88
    assert facts["alert-comparator"]["valueCode"] == "<="
    assert facts["alert-rule"]["valueCanonical"].endswith("PlanDefinition/oxygen-saturation-low|1")


def test_the_work_points_at_the_finding_and_the_patient() -> None:
    work, issue = valid(new_task()), detected_issue(LOW, "p1", raised())
    assert work["focus"] == {"reference": f"DetectedIssue/{issue['id']}"}
    assert work["for"] == {"reference": "Patient/p1"}
    assert (work["status"], business_status(work), work["priority"]) == ("requested", "new", "stat")
    assert is_open(work)


def test_only_high_and_open_alerts_have_a_flag() -> None:
    banner = flag(LOW, "p1", raised())
    assert banner is not None
    assert valid(banner)["status"] == "active"
    assert flag(RESTING, "p1", raised(RESTING, "120")) is None
    assert flag(LOW, "p1", over()) is None


def test_an_alert_that_is_over_already_says_so_from_the_start() -> None:
    issue, work = valid(detected_issue(LOW, "p1", over())), valid(task(LOW, "p1", over(), NOW))
    assert issue["identifiedPeriod"]["end"] == "2026-08-10T11:55:00Z"
    assert business_status(work) == "cleared-unacked"
    assert is_open(work)


def test_more_evidence_is_added_once_and_the_limit_that_fired_stays() -> None:
    issue = detected_issue(LOW, "p1", raised())
    update = evaluate(LOW, [reading("85", 2, "o2")], raised().state, NOW, NOW)
    assert isinstance(update, Update)
    after = valid(issue_updated(issue_updated(issue, update, LOW), update, LOW))
    assert [row["reference"] for row in after["implicated"]] == ["Observation/o1", "Observation/o2"]
    assert len(after["extension"]) == len(issue["extension"])
    assert "85" in after["detail"]
    assert issue["implicated"] == [{"reference": "Observation/o1"}]


def test_a_late_reading_is_evidence_and_the_newest_value_stays() -> None:
    late = evaluate(LOW, [reading("80", 7, "o0")], raised().state, NOW, NOW)
    assert isinstance(late, Update)
    issue = detected_issue(LOW, "p1", raised())
    after = valid(issue_updated(issue, late, LOW))
    assert [row["reference"] for row in after["implicated"]] == ["Observation/o1", "Observation/o0"]
    assert (after["detail"], after["extension"]) == (issue["detail"], issue["extension"])


def test_a_finding_that_goes_on_for_long_names_its_first_and_its_newest_readings() -> None:
    issue = detected_issue(LOW, "p1", raised())
    for number in range(2, 150):
        update = evaluate(LOW, [reading("85", 2, f"o{number}")], raised().state, NOW, NOW)
        assert isinstance(update, Update)
        issue = issue_updated(issue, update, LOW)
    named = [row["reference"] for row in issue["implicated"]]
    assert (len(named), named[0], named[-1]) == (100, "Observation/o1", "Observation/o149")


def test_what_can_be_done_depends_on_the_state() -> None:
    assert possible(new_task()) == ("acknowledge", "respond", "resolve", "false-alarm")
    done = act(new_task(), "resolve", by="Practitioner/1", at=NOW)
    assert isinstance(done, dict)
    assert possible(done) == ()
    assert (business_status(done) in open_states(), business_status(new_task()) in open_states()) == (False, True)


def test_finding_and_flag_end_with_the_condition() -> None:
    clear = evaluate(LOW, [reading("97", 1, "o2")], raised().state, NOW, NOW)
    assert isinstance(clear, Clear)
    banner = flag(LOW, "p1", raised())
    assert banner is not None
    ended = valid(issue_cleared(detected_issue(LOW, "p1", raised()), clear))
    assert ended["identifiedPeriod"]["end"] == "2026-08-10T11:59:00Z"
    lowered = valid(flag_cleared(banner, clear.at))
    assert (lowered["status"], lowered["period"]["end"]) == ("inactive", "2026-08-10T11:59:00Z")


def test_ids_belong_to_rule_patient_and_episode() -> None:
    ids = Ids.of("r", "p", 1)
    assert ids == Ids.of("r", "p", 1)
    assert len({ids.issue, ids.task, ids.flag, guard_id("r", "p"), Ids.of("r", "p", 2).issue}) == 5


def test_the_engine_is_a_device_of_its_version() -> None:
    assert valid(engine_device())["id"].startswith("alert-engine-")
    assert detected_issue(LOW, "p1", raised())["author"]["reference"] == f"Device/{engine_device()['id']}"


TIMES = st.none() | st.timedeltas(timedelta(days=-9999), timedelta(days=9999)).map(lambda span: NOW + span)
STATES = st.builds(
    GuardState, st.integers(0, 10**6), st.booleans(), TIMES, TIMES, TIMES, TIMES, st.none() | st.just("o1")
)


@given(
    st.builds(GuardState, st.integers(0, 10**6), st.booleans(), TIMES, TIMES, TIMES, TIMES, st.none() | st.just("o1"))
)
def test_a_guard_keeps_its_state(state: GuardState) -> None:
    assert guard_state(valid(guard(LOW, "p1", state))) == state


def test_an_unknown_action_is_refused_with_the_list_of_those_known() -> None:
    refused = act(new_task(), "ignore", by="Practitioner/1", at=NOW)
    assert isinstance(refused, Refusal)
    assert refused.reason == "unknown-action"
    assert "acknowledge" in refused.text


@pytest.mark.parametrize("action", actions())
def test_a_closed_alert_and_a_task_that_is_no_alert_take_no_action(action: str) -> None:
    done = act(new_task(), "resolve", by="Practitioner/1", at=NOW)
    assert isinstance(done, dict)
    refused = act(done, action, by="Practitioner/2", at=NOW)
    assert isinstance(refused, Refusal)
    assert refused.reason == "wrong-state"
    assert "nothing more" in refused.text
    assert isinstance(act({"resourceType": "Task", "status": "draft"}, action, by="Practitioner/2", at=NOW), Refusal)


def test_acknowledging_twice_is_refused_with_what_is_possible() -> None:
    seen = act(new_task(), "acknowledge", by="Practitioner/1", at=NOW)
    assert isinstance(seen, dict)
    refused = act(seen, "acknowledge", by="Practitioner/2", at=NOW)
    assert isinstance(refused, Refusal)
    assert "respond, resolve, false-alarm" in refused.text


@pytest.mark.parametrize(
    ("action", "verdict"), [("resolve", "artefact"), ("acknowledge", "artefact"), ("false-alarm", "x")]
)
def test_a_verdict_that_does_not_belong_to_the_action_is_refused(action: str, verdict: str) -> None:
    refused = act(new_task(), action, by="Practitioner/1", at=NOW, verdict=verdict)
    assert isinstance(refused, Refusal)
    assert refused.reason == "unknown-verdict"


@pytest.mark.parametrize(
    ("action", "status", "state"),
    [
        ("acknowledge", "accepted", "acknowledged"),
        ("respond", "in-progress", "responding"),
        ("resolve", "completed", "resolved"),
        ("false-alarm", "completed", "false-alarm"),
    ],
)
def test_every_action_moves_status_and_business_status(action: str, status: str, state: str) -> None:
    before = new_task()
    after = act(before, action, by="Practitioner/1", at=NOW + timedelta(minutes=1), note="seen")
    assert isinstance(after, dict)
    valid(after)
    assert (after["status"], business_status(after)) == (status, state)
    assert after["owner"] == {"reference": "Practitioner/1"}
    assert after["lastModified"] == "2026-08-10T12:01:00Z"
    assert after["note"][0]["text"] == "seen"
    assert is_open(after) is (status != "completed")
    assert before == new_task()


def test_who_responds_takes_over_and_who_closes_does_not() -> None:
    seen = act(new_task(), "acknowledge", by="Practitioner/1", at=NOW)
    assert isinstance(seen, dict)
    taken = act(seen, "respond", by="Practitioner/2", at=NOW)
    assert isinstance(taken, dict)
    done = act(taken, "resolve", by="Practitioner/3", at=NOW, verdict="true-actionable")
    assert isinstance(done, dict)
    assert done["owner"] == {"reference": "Practitioner/2"}
    assert done["output"][0]["valueCodeableConcept"]["coding"][0]["code"] == "true-actionable"


@pytest.mark.parametrize(("verdict", "expected"), [(None, "false-alarm"), ("artefact", "artefact")])
def test_a_false_alarm_always_has_a_verdict(verdict: str | None, expected: str) -> None:
    after = act(new_task(), "false-alarm", by="Practitioner/1", at=NOW, verdict=verdict)
    assert isinstance(after, dict)
    assert valid(after)["output"][0]["valueCodeableConcept"]["coding"][0]["code"] == expected


def test_a_condition_that_ends_unseen_leaves_the_work_open() -> None:
    after = valid(cleared(new_task(), NOW))
    assert business_status(after) == "cleared-unacked"
    assert is_open(after)


def test_a_condition_that_ends_after_someone_has_seen_it_changes_no_work() -> None:
    seen = act(new_task(), "acknowledge", by="Practitioner/1", at=NOW)
    assert isinstance(seen, dict)
    assert cleared(seen, NOW) == seen
