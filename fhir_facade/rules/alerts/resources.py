"""An alert in FHIR: DetectedIssue (what was found), Task (the work), Flag (while open and high), Basic (the guard).

    detected_issue(rule, patient_id, raised) -> dict     https://hl7.org/fhir/R4/detectedissue.html
    task(rule, patient_id, raised, at) -> dict           https://hl7.org/fhir/R4/task.html
    flag(rule, patient_id, raised) -> dict | None        https://hl7.org/fhir/R4/flag.html
    issue_updated(issue, update, rule) / issue_cleared(issue, clear) / flag_cleared(flag, clear) -> dict
    guard(rule, patient_id, state) -> dict, guard_state(basic) -> GuardState     https://hl7.org/fhir/R4/basic.html
    Ids.of(rule_id, patient_id, episode)        ids of all of them, derived from `rule|patient|episode`
    guard_id(rule_id, patient_id), engine_device(), engine_id()

The limit that fired is copied into the finding, so that a later change of the rule does not rewrite history. Resources
that are changed keep every element they had.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any

from fhir_facade.rules.alerts.reading import Reading
from fhir_facade.rules.alerts.rules import Rule, engine_version, priority
from fhir_facade.rules.alerts.transitions import Clear, GuardState, Raise, Update
from fhir_facade.rules.observations import fhir_time
from terminology import ucum
from terminology.canonical import (
    ALERT,
    ALERT_STATUS,
    ALERT_TASK,
    BASIC,
    FLAG_CATEGORY,
    UCUM,
    deterministic_id,
    extension,
    identifier_system,
)
from terminology.codes import coding, concept

_FLAG_DETAIL = "http://hl7.org/fhir/StructureDefinition/flag-detail"
MOST_IMPLICATED = 100
"""A finding names the readings it began with and the newest ones; a condition that lasts for days has thousands."""

_GUARD = extension("alert-guard-state")
_OBSERVED = extension("alert-observed")


@dataclass(frozen=True, slots=True)
class Ids:
    """The ids of one alert."""

    key: str
    issue: str
    task: str
    flag: str

    @staticmethod
    def of(rule_id: str, patient_id: str, episode: int) -> Ids:
        """The same rule, patient and episode, the same ids, whichever process raises the alert."""
        key = f"{rule_id}|{patient_id}|{episode}"
        issue, task_, flag_ = (deterministic_id(f"alert|{kind}|{key}") for kind in ("issue", "task", "flag"))
        return Ids(key, issue, task_, flag_)


@lru_cache(maxsize=4096)
def guard_id(rule_id: str, patient_id: str) -> str:
    """The id of the one guard of a rule and patient."""
    return deterministic_id(f"alert|guard|{rule_id}|{patient_id}")


def engine_id() -> str:
    """The id of the Device that stands for this version of the alert engine."""
    return f"alert-engine-{engine_version()}"


def engine_device() -> dict[str, Any]:
    """The Device named as author of findings and requester of work."""
    return {
        "resourceType": "Device",
        "id": engine_id(),
        "status": "active",
        "deviceName": [{"name": "Alert engine", "type": "user-friendly-name"}],
        "version": [{"value": engine_version()}],
    }


def _engine() -> dict[str, str]:
    return {"reference": f"Device/{engine_id()}"}


def rule_concept(rule: Rule) -> dict[str, Any]:
    """The alert code of a rule; rules of one's own have no code in the shipped system but the same form."""
    return {
        "coding": [{"system": ALERT, "code": rule.id, "display": rule.name("en")}],
        "text": rule.name("en"),
    }


def _identifier(ids: Ids) -> list[dict[str, str]]:
    return [{"system": identifier_system("alert"), "value": ids.key}]


def _quantity(value: Decimal, unit: str) -> dict[str, Any]:
    return {"value": ucum.plain(value), "unit": ucum.printed(unit), "system": UCUM, "code": unit}


def _number(value: Decimal) -> str:
    return str(ucum.plain(value.quantize(Decimal("0.01"))))


def describe(rule: Rule, observed: Decimal) -> str:
    """The finding in one line of English, as it is stored."""
    unit = ucum.printed(rule.unit)
    return f"{rule.name('en')}: {_number(observed)} {unit} ({rule.comparator} {_number(rule.threshold)} {unit})"


def _observed(rule: Rule, observed: Decimal) -> dict[str, Any]:
    return {"url": _OBSERVED, "valueQuantity": _quantity(observed.quantize(Decimal("0.01")), rule.unit)}


def _extensions(rule: Rule, observed: Decimal) -> list[dict[str, Any]]:
    return [
        {"url": extension("alert-limit"), "valueQuantity": _quantity(rule.threshold, rule.unit)},
        {"url": extension("alert-comparator"), "valueCode": rule.comparator},
        _observed(rule, observed),
        {"url": extension("alert-rule"), "valueCanonical": f"{rule.url}|{rule.version}"},
    ]


def _references(evidence: Iterable[Reading]) -> list[dict[str, str]]:
    return [{"reference": f"Observation/{reading.observation_id}"} for reading in evidence]


def detected_issue(rule: Rule, patient_id: str, raised: Raise) -> dict[str, Any]:
    """What was found. `identifiedPeriod` is in effective time; it has an end when it was over already."""
    ids = Ids.of(rule.id, patient_id, raised.state.episode)
    period = {"start": fhir_time(raised.since)}
    if raised.cleared_at is not None:
        period["end"] = fhir_time(raised.cleared_at)
    return {
        "resourceType": "DetectedIssue",
        "id": ids.issue,
        "extension": _extensions(rule, raised.observed),
        "identifier": _identifier(ids),
        "status": "final",
        "code": rule_concept(rule),
        "severity": rule.severity,
        "patient": {"reference": f"Patient/{patient_id}"},
        "identifiedPeriod": period,
        "author": _engine(),
        "implicated": _references(raised.evidence),
        "detail": describe(rule, raised.observed),
    }


def task(rule: Rule, patient_id: str, raised: Raise, at: datetime) -> dict[str, Any]:
    """The work: someone has to look. `at` is when the alert was raised."""
    ids = Ids.of(rule.id, patient_id, raised.state.episode)
    status = "new" if raised.cleared_at is None else "cleared-unacked"
    return {
        "resourceType": "Task",
        "id": ids.task,
        "identifier": _identifier(ids),
        "instantiatesUri": rule.url,
        "status": "requested",
        "businessStatus": concept((ALERT_STATUS, status)),
        "intent": "order",
        "priority": priority(rule.severity),
        "code": {"coding": [coding(ALERT_TASK, "alert-review")], "text": rule.name("en")},
        "description": describe(rule, raised.observed),
        "focus": {"reference": f"DetectedIssue/{ids.issue}"},
        "for": {"reference": f"Patient/{patient_id}"},
        "authoredOn": fhir_time(at),
        "lastModified": fhir_time(at),
        "requester": _engine(),
    }


def flag(rule: Rule, patient_id: str, raised: Raise) -> dict[str, Any] | None:
    """The banner of an alert that is high and open; None for all others."""
    if rule.severity != "high" or raised.cleared_at is not None:
        return None
    ids = Ids.of(rule.id, patient_id, raised.state.episode)
    return {
        "resourceType": "Flag",
        "id": ids.flag,
        "extension": [{"url": _FLAG_DETAIL, "valueReference": {"reference": f"DetectedIssue/{ids.issue}"}}],
        "identifier": _identifier(ids),
        "status": "active",
        "category": [{"coding": [coding(FLAG_CATEGORY, "clinical")]}],
        "code": rule_concept(rule),
        "subject": {"reference": f"Patient/{patient_id}"},
        "period": {"start": fhir_time(raised.since)},
        "author": _engine(),
    }


def issue_updated(issue: Mapping[str, Any], update: Update, rule: Rule) -> dict[str, Any]:
    """The finding with more evidence and the newest value; the limit that fired stays. What people took out of it is
    no reason to lose a reading."""
    before = issue.get("implicated", ())
    known = {row.get("reference") for row in before}
    more = [row for row in _references(update.evidence) if row["reference"] not in known]
    after = {**issue, "implicated": _bounded([*before, *more])}
    if update.observed is None:
        return after
    kept = [row for row in issue.get("extension", ()) if row["url"] != _OBSERVED]
    newest = {"extension": [*kept, _observed(rule, update.observed)]}
    return {**after, **newest, "detail": describe(rule, update.observed)}


def _bounded(implicated: list[dict[str, str]]) -> list[dict[str, str]]:
    if len(implicated) <= MOST_IMPLICATED:
        return implicated
    half = MOST_IMPLICATED // 2
    return [*implicated[:half], *implicated[-half:]]


def issue_cleared(issue: Mapping[str, Any], clear: Clear) -> dict[str, Any]:
    """The finding after its condition ended."""
    return {**issue, "identifiedPeriod": {**issue.get("identifiedPeriod", {}), "end": fhir_time(clear.at)}}


def flag_cleared(banner: Mapping[str, Any], at: datetime) -> dict[str, Any]:
    """The banner after the condition ended or someone closed the alert."""
    return {**banner, "status": "inactive", "period": {**banner.get("period", {}), "end": fhir_time(at)}}


_TIMES = ("pending_since", "last_effective", "opened_at", "ended_at")


def guard(rule: Rule, patient_id: str, state: GuardState) -> dict[str, Any]:
    """The guard as it is stored; PUT it with the version it was read from."""
    parts: list[dict[str, Any]] = [
        {"url": "episode", "valueInteger": state.episode},
        {"url": "open", "valueBoolean": state.open},
    ]
    times = ((name, getattr(state, name)) for name in _TIMES)
    parts += [{"url": name, "valueDateTime": fhir_time(when)} for name, when in times if when is not None]
    if state.evidence is not None:
        parts.append({"url": "evidence", "valueId": state.evidence})
    return {
        "resourceType": "Basic",
        "id": guard_id(rule.id, patient_id),
        "extension": [{"url": _GUARD, "extension": parts}],
        "identifier": [{"system": identifier_system("alert-guard"), "value": f"{rule.id}|{patient_id}"}],
        "code": {"coding": [coding(BASIC, "alert-guard")]},
        "subject": {"reference": f"Patient/{patient_id}"},
    }


def guard_state(basic: Mapping[str, Any]) -> GuardState:
    """The state a stored guard holds. ValueError when it holds none."""
    found = next((row for row in basic.get("extension", ()) if row.get("url") == _GUARD), None)
    if found is None:
        raise ValueError(f"Basic/{basic.get('id')} holds no state of an alert rule")
    parts = {row["url"]: row for row in found["extension"]}
    times = {name: datetime.fromisoformat(parts[name]["valueDateTime"]) for name in _TIMES if name in parts}
    return GuardState(
        episode=int(parts["episode"]["valueInteger"]),
        open=parts["open"]["valueBoolean"],
        evidence=parts["evidence"]["valueId"] if "evidence" in parts else None,
        **times,
    )
