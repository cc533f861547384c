"""What is written because an alert opens, goes on, ends or is closed, and the event that tells of it.

https://hl7.org/fhir/R4/detectedissue.html, https://hl7.org/fhir/R4/task.html, https://hl7.org/fhir/R4/flag.html
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import Any, Final

import msgspec

from fhir_facade.fhir.document import decimal_loads
from fhir_facade.interactions.alerts.concerns import Handled
from fhir_facade.interactions.alerts.judging import Guard, Judged
from fhir_facade.interactions.alerts.stored import currents
from fhir_facade.ports import Ports
from fhir_facade.rows.events import Event
from fhir_facade.rules.alerts import (
    Clear,
    Ids,
    Raise,
    Rule,
    Update,
    business_status,
    cleared,
    closed,
    detected_issue,
    engine_device,
    engine_id,
    flag,
    flag_cleared,
    guard,
    issue_cleared,
    issue_updated,
    rules,
    task,
)
from fhir_facade.values import Absent, ExpectVersion, JsonObject, Precondition, Ref, StoredResource

TOPIC: Final = "alert"
DEVICE: Final = Ref("Device", engine_id())

Stored = Mapping[Ref, StoredResource]


@dataclass(frozen=True, slots=True)
class Put:
    """A resource the engine writes, and the patient it is about."""

    resource: JsonObject
    precondition: Precondition | None
    patient: str | None


@dataclass(slots=True)
class Plan:
    """Everything that is to be written. `seen` are the versions on which it rests; None: not there."""

    now: datetime
    stored: Stored
    puts: dict[Ref, Put] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    seen: dict[Ref, str | None] = field(default_factory=dict)

    def put(
        self, resource: JsonObject, patient: str | None, version: str | None = None, *, fresh: bool = False
    ) -> None:
        """`version`: only if it still is this one; `fresh`: only if it is not there."""
        ref = Ref(str(resource["resourceType"]), str(resource["id"]))
        expected: Precondition | None = Absent() if fresh else None if version is None else ExpectVersion(version)
        if expected is not None:
            self.seen[ref] = version
        self.puts[ref] = Put(resource, expected, patient)

    def change(self, ref: Ref, patient: str, new: JsonObject | None) -> None:
        """Replace a stored resource; nothing when it is the same."""
        at = self.stored[ref]
        if new is not None and new != decimal_loads(at.body):
            self.put(new, patient, at.version)

    def current(self, ref: Ref) -> dict[str, Any] | None:
        """The stored resource with its decimals as they are; None when it is not there."""
        at = self.stored.get(ref)
        return None if at is None else decimal_loads(at.body)

    def guard(self, rule: Rule, patient: str, at: Guard) -> None:
        """The guard in its new state, and the engine's Device when this is the first time it is named."""
        self.put(guard(rule, patient, at.state), patient, at.version, fresh=at.version is None)
        if DEVICE not in self.stored and DEVICE not in self.puts:
            self.put(engine_device(), None, fresh=True)

    def tell(self, kind: str, patient: str, ids: Ids, rule: str, **more: str) -> None:
        """An event of references and codes; a listener reads the rest through the door."""
        severity = next((each.severity for each in rules() if each.id == rule), None)
        references = {"task": f"Task/{ids.task}", "issue": f"DetectedIssue/{ids.issue}"}
        data = {"patient": f"Patient/{patient}", **references, "rule": rule, "severity": severity, **more}
        body = msgspec.json.encode(data).decode()
        self.events.append(Event(at=self.now, topic=TOPIC, kind=kind, patient=patient, data=body))


async def plan_of(
    ports: Ports, judged: Sequence[Judged], handled: Sequence[Handled], guards: Mapping[tuple[str, str], Guard]
) -> Plan:
    """`guards` of the handled alerts, as they are stored."""
    refs = {DEVICE, *_refs_judged(judged), *_refs_handled(handled)} if judged or handled else set[Ref]()
    plan = Plan(ports.clock.now(), await currents(ports, refs))
    after = dict(guards)
    for each in judged:
        _follow(plan, each)
        after[each.rule.id, each.patient] = replace(each.guard, state=each.transition.state)
    for alert in handled:
        _handle(plan, alert, after[alert.rule, alert.patient])
    return plan


def _refs_judged(judged: Iterable[Judged]) -> Iterable[Ref]:
    for each in judged:
        if isinstance(each.transition, Update | Clear):
            yield from _refs(Ids.of(each.rule.id, each.patient, each.guard.state.episode))


def _refs_handled(handled: Iterable[Handled]) -> Iterable[Ref]:
    for each in handled:
        if each.closed:
            yield from _refs(each.ids)


def _refs(ids: Ids) -> Iterable[Ref]:
    return Ref("DetectedIssue", ids.issue), Ref("Task", ids.task), Ref("Flag", ids.flag)


def _follow(plan: Plan, judged: Judged) -> None:
    plan.guard(judged.rule, judged.patient, replace(judged.guard, state=judged.transition.state))
    ids = Ids.of(judged.rule.id, judged.patient, judged.transition.state.episode)
    match judged.transition:
        case Raise() as raised:
            _raise(plan, judged.rule, judged.patient, ids, raised)
        case Update() as update:
            _update(plan, judged.rule, judged.patient, ids, update)
        case Clear() as clear:
            _clear(plan, judged.rule, judged.patient, ids, clear)


def _raise(plan: Plan, rule: Rule, patient: str, ids: Ids, raised: Raise) -> None:
    work = task(rule, patient, raised, plan.now)
    plan.put(detected_issue(rule, patient, raised), patient)
    plan.put(work, patient)
    banner = flag(rule, patient, raised)
    if banner is not None:
        plan.put(banner, patient)
    plan.tell("raised", patient, ids, rule.id, state=str(business_status(work)))


def _update(plan: Plan, rule: Rule, patient: str, ids: Ids, update: Update) -> None:
    ref = Ref("DetectedIssue", ids.issue)
    issue = plan.current(ref)
    if issue is not None:
        plan.change(ref, patient, issue_updated(issue, update, rule))
        plan.tell("updated", patient, ids, rule.id)


def _clear(plan: Plan, rule: Rule, patient: str, ids: Ids, clear: Clear) -> None:
    _end(plan, patient, ids, clear, clear.at)
    ref = Ref("Task", ids.task)
    work = plan.current(ref)
    state = {}
    if work is not None:
        work = cleared(work, plan.now)
        plan.change(ref, patient, work)
        state = {"state": str(business_status(work))}
    plan.tell("cleared", patient, ids, rule.id, **state)


def _end(plan: Plan, patient: str, ids: Ids, clear: Clear, lowered_at: datetime) -> None:
    """The finding gets its end, the banner comes down."""
    _changed(plan, Ref("DetectedIssue", ids.issue), patient, partial(_ended, clear=clear))
    _changed(plan, Ref("Flag", ids.flag), patient, partial(_lowered, at=lowered_at))


def _changed(plan: Plan, ref: Ref, patient: str, how: Any) -> None:
    resource = plan.current(ref)
    if resource is not None:
        plan.change(ref, patient, how(resource))


def _ended(issue: JsonObject, clear: Clear) -> JsonObject:
    return issue if "end" in issue.get("identifiedPeriod", {}) else issue_cleared(issue, clear)


def _lowered(banner: JsonObject, at: datetime) -> JsonObject:
    return flag_cleared(banner, at) if banner["status"] == "active" else banner


def _handle(plan: Plan, handled: Handled, at: Guard) -> None:
    """Somebody moved the Task; closing it ends the episode, whatever the condition."""
    if handled.closed:
        ends = at.state.open and at.state.episode == handled.episode
        state = closed(at.state, plan.now) if ends else at.state
        rule = next((each for each in rules() if each.id == handled.rule), None)
        if ends and rule is not None:
            plan.guard(rule, handled.patient, replace(at, state=state))
        _end(plan, handled.patient, handled.ids, Clear(state, state.ended_at or plan.now, None), plan.now)
    plan.tell(handled.state, handled.patient, handled.ids, handled.rule, state=handled.state)
