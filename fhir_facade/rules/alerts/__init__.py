"""Alerts, pure: which rules an Observation concerns, what readings mean, what is written, what people may do.

    rules_for(observation) -> tuple[Rule, ...]                      empty for almost every Observation
    rule.lookback                                                   recent readings needed; zero: none
    reading(rule, observation, zone=None) -> Reading | Ignored
    evaluate(rule, readings, state, now, arrived_at, fresh=None) -> Nothing | Raise | Update | Clear
    detected_issue, task, flag, guard, guard_state, issue_updated, issue_cleared, flag_cleared    the resources
    Ids.of(rule_id, patient_id, episode), guard_id(rule_id, patient_id)
    act(task, action, *, by, at, note=None, verdict=None) -> dict | Refusal;  cleared(task, at)
    is_open(task), open_states(), possible(task)                    what state an alert is in
    closed(state, at) -> GuardState                                 the guard after resolve or false-alarm
    plan_definition(rule), alert_code_system(), engine_device()     the rules as resources; the Device is stored once

One alert per patient and rule: store the guard (`guard_id`) in the transaction of the reading, with the version it
was read from; on a conflict read it again and evaluate again. https://hl7.org/fhir/R4/detectedissue.html
"""

from __future__ import annotations

from fhir_facade.rules.alerts.definition import alert_code_system, plan_definition
from fhir_facade.rules.alerts.engine import evaluate
from fhir_facade.rules.alerts.lifecycle import (
    Refusal,
    act,
    actions,
    business_status,
    cleared,
    is_open,
    open_states,
    possible,
)
from fhir_facade.rules.alerts.reading import Ignored, Reading, reading
from fhir_facade.rules.alerts.resources import (
    Ids,
    describe,
    detected_issue,
    engine_device,
    engine_id,
    flag,
    flag_cleared,
    guard,
    guard_id,
    guard_state,
    issue_cleared,
    issue_updated,
    task,
)
from fhir_facade.rules.alerts.rules import Book, Rule, rules, rules_for
from fhir_facade.rules.alerts.transitions import Clear, GuardState, Nothing, Raise, Transition, Update, closed

__all__ = [
    "Book",
    "Clear",
    "GuardState",
    "Ids",
    "Ignored",
    "Nothing",
    "Raise",
    "Reading",
    "Refusal",
    "Rule",
    "Transition",
    "Update",
    "act",
    "actions",
    "alert_code_system",
    "business_status",
    "cleared",
    "closed",
    "describe",
    "detected_issue",
    "engine_device",
    "engine_id",
    "evaluate",
    "flag",
    "flag_cleared",
    "guard",
    "guard_id",
    "guard_state",
    "is_open",
    "issue_cleared",
    "issue_updated",
    "open_states",
    "plan_definition",
    "possible",
    "reading",
    "rules",
    "rules_for",
    "task",
]
