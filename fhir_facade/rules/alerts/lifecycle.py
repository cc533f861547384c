"""What people do with an alert, as changes of its Task: https://hl7.org/fhir/R4/task.html#statemachine

    act(task, action, *, by, at, note=None, verdict=None) -> dict | Refusal
    cleared(task, at) -> dict            the condition ended by itself; the work stays until someone has seen it
    is_open(task) -> bool;  open_states();  possible(task) -> tuple[str, ...]

`action` is acknowledge, respond, resolve or false-alarm; `by` a reference such as `Practitioner/1`, or the name of a
service that has no record. The Task given is not changed. Who may act is decided in the access room; racing people
are told apart by If-Match.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from importlib.resources import files
from typing import Any

import msgspec

from fhir_facade.rules.observations import codings, fhir_time
from terminology.canonical import ALERT_STATUS, ALERT_TASK, ALERT_VERDICT
from terminology.codes import concept


@dataclass(frozen=True, slots=True)
class Refusal:
    """What cannot be done: `reason` is `unknown-action`, `wrong-state` or `unknown-verdict`; `text` what to do."""

    reason: str
    text: str


class _Action(msgspec.Struct, frozen=True, rename={"origins": "from"}):
    origins: list[str]
    status: str
    business_status: str
    takes_over: bool = False
    verdicts: list[str] = []
    default_verdict: str | None = None


class _Table(msgspec.Struct, frozen=True):
    open: list[str]
    unseen: list[str]
    actions: dict[str, _Action]


@cache
def _table() -> _Table:
    return msgspec.toml.decode((files(__package__) / "lifecycle.toml").read_bytes(), type=_Table)


def actions() -> tuple[str, ...]:
    """Everything that can be done with an alert."""
    return tuple(_table().actions)


def possible(task: Mapping[str, Any]) -> tuple[str, ...]:
    """What can be done with the alert in its present state."""
    return _possible(business_status(task))


def _possible(state: str | None) -> tuple[str, ...]:
    return tuple(name for name, row in _table().actions.items() if state in row.origins)


def open_states() -> tuple[str, ...]:
    """The states in which someone still has to deal with an alert."""
    return tuple(_table().open)


def business_status(task: Mapping[str, Any]) -> str | None:
    """The state of the alert that a Task stands for."""
    return next((code for system, code in codings(task.get("businessStatus")) if system == ALERT_STATUS), None)


def is_open(task: Mapping[str, Any]) -> bool:
    """Whether someone still has to deal with the alert."""
    return business_status(task) in _table().open


def _wrong_state(action: str, state: str | None) -> Refusal:
    allowed = _possible(state)
    instead = f"possible now: {', '.join(allowed)}" if allowed else "nothing more can be done with it"
    return Refusal("wrong-state", f"The alert is {state or 'in no known state'}: {action} is not possible; {instead}")


def _output(verdict: str) -> dict[str, Any]:
    return {"type": concept((ALERT_TASK, "verdict")), "valueCodeableConcept": concept((ALERT_VERDICT, verdict))}


def act(
    task: Mapping[str, Any],
    action: str,
    *,
    by: str,
    at: datetime,
    note: str | None = None,
    verdict: str | None = None,
) -> dict[str, Any] | Refusal:
    """The Task after someone acted on it, or why they cannot."""
    row = _table().actions.get(action)
    if row is None:
        return Refusal("unknown-action", f"{action} is not known; known are {', '.join(actions())}")
    if business_status(task) not in row.origins:
        return _wrong_state(action, business_status(task))
    verdict = verdict or row.default_verdict
    if verdict is not None and verdict not in row.verdicts:
        known = ", ".join(row.verdicts) or "none"
        return Refusal("unknown-verdict", f"{verdict} is no verdict of {action}; known are {known}")
    return _changed(task, row, by=by, at=at, note=note, verdict=verdict)


def _changed(
    task: Mapping[str, Any], row: _Action, *, by: str, at: datetime, note: str | None, verdict: str | None
) -> dict[str, Any]:
    when = fhir_time(at)
    after = {
        **task,
        "status": row.status,
        "businessStatus": concept((ALERT_STATUS, row.business_status)),
        "lastModified": when,
    }
    if row.takes_over or "owner" not in task:
        after["owner"] = {"reference": by} if "/" in by else {"display": by}
    if verdict is not None:
        after["output"] = [*task.get("output", ()), _output(verdict)]
    if note:
        author = {"authorReference": {"reference": by}} if "/" in by else {"authorString": by}
        written = {**author, "time": when, "text": note}
        after["note"] = [*task.get("note", ()), written]
    return after


def cleared(task: Mapping[str, Any], at: datetime) -> dict[str, Any]:
    """The Task after the condition ended by itself: still to be seen when nobody has, otherwise unchanged."""
    if business_status(task) not in _table().unseen:
        return dict(task)
    status = concept((ALERT_STATUS, "cleared-unacked"))
    return {**task, "businessStatus": status, "lastModified": fhir_time(at)}
