"""An alert as people look at it, made of its Task and its DetectedIssue.

https://hl7.org/fhir/R4/task.html, https://hl7.org/fhir/R4/detectedissue.html
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from fhir_facade.interactions.alerts.concerns import alert_key
from fhir_facade.rules.alerts import Ids, business_status, is_open, possible
from fhir_facade.rules.observations import codings, interval
from fhir_facade.values import JsonObject
from terminology.canonical import ALERT_VERDICT, extension


@dataclass(frozen=True, slots=True)
class Note:
    """What somebody wrote when handling the alert. `by` is a reference or the name of a service."""

    by: str | None
    at: datetime | None
    text: str


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert: its work (`id` and `version` are those of the Task) and its finding.

    `state`: `new acknowledged responding cleared-unacked resolved false-alarm`; `open`: somebody still has to deal with
    it; `condition_active`: the readings still show it. `since` and `ended` are in effective time, `raised_at` and
    `changed_at` in ours. `actions` are what this caller may do with it now. The finding's members are None when the
    caller may not see it.
    """

    id: str
    version: str
    state: str
    open: bool
    rule: str
    title: str
    priority: str
    patient: str
    issue: str
    raised_at: datetime
    changed_at: datetime
    severity: str | None
    detail: str | None
    observed: Decimal | None
    comparator: str | None
    threshold: Decimal | None
    unit: str | None
    since: datetime | None
    ended: datetime | None
    condition_active: bool | None
    evidence: tuple[str, ...]
    owner: str | None
    verdict: str | None
    notes: tuple[Note, ...]
    actions: tuple[str, ...]


def views(resources: Iterable[JsonObject], *, may_act: bool) -> list[Alert]:
    """The alerts whose Tasks are among the resources, with their findings when these are too.

    `may_act`: whether the caller may change Tasks.
    """
    known = list(resources)
    issues = {each["id"]: each for each in known if each["resourceType"] == "DetectedIssue"}
    tasks = [(each, ids) for each in known if each["resourceType"] == "Task" and (ids := ids_of(each)) is not None]
    return [_view(work, ids, issues.get(ids.issue, {}), may_act=may_act) for work, ids in tasks]


def ids_of(work: JsonObject) -> Ids | None:
    """The ids of the alert whose Task this is; None for one that only says so."""
    key = alert_key(work)
    ids = None if key is None else Ids.of(*key)
    return ids if ids is not None and ids.task == work["id"] else None


def _view(work: JsonObject, ids: Ids, issue: JsonObject, *, may_act: bool) -> Alert:
    """What somebody left out of the Task is said by what is known of the alert anyway: a colleague still sees it."""
    rule, patient, _ = ids.key.split("|")
    changed_at = datetime.fromisoformat(work["meta"]["lastUpdated"])
    period = issue.get("identifiedPeriod", {})
    limit, observed = _quantity(issue, "alert-limit"), _quantity(issue, "alert-observed")
    return Alert(
        id=work["id"],
        version=work["meta"]["versionId"],
        state=business_status(work) or "",
        open=is_open(work),
        rule=rule,
        title=work.get("code", {}).get("text", rule),
        priority=work.get("priority", "routine"),
        patient=patient,
        issue=f"DetectedIssue/{ids.issue}",
        raised_at=_moment(work.get("authoredOn")) or changed_at,
        changed_at=_moment(work.get("lastModified")) or changed_at,
        severity=issue.get("severity"),
        detail=issue.get("detail"),
        observed=observed.get("value"),
        comparator=_extension(issue, "alert-comparator").get("valueCode"),
        threshold=limit.get("value"),
        unit=limit.get("unit"),
        since=_moment(period.get("start")),
        ended=_moment(period.get("end")),
        condition_active="end" not in period if issue else None,
        evidence=tuple(each["reference"] for each in issue.get("implicated", ())),
        owner=_who(work.get("owner", {})),
        verdict=_verdict(work),
        notes=tuple(_note(each) for each in work.get("note", ())),
        actions=possible(work) if may_act else (),
    )


def _extension(issue: JsonObject, name: str) -> Mapping[str, Any]:
    url = extension(name)
    return next((each for each in issue.get("extension", ()) if each["url"] == url), {})


def _quantity(issue: JsonObject, name: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = _extension(issue, name).get("valueQuantity", {})
    return found


def _moment(text: str | None) -> datetime | None:
    span = interval(text)
    return None if span is None else span[0]


def _who(reference: Mapping[str, Any]) -> str | None:
    return reference.get("reference") or reference.get("display")


def _note(note: Mapping[str, Any]) -> Note:
    by = note.get("authorString") or _who(note.get("authorReference", {}))
    return Note(by, _moment(note.get("time")), note["text"])


def _verdict(work: JsonObject) -> str | None:
    given = [
        code
        for output in work.get("output", ())
        for system, code in codings(output.get("valueCodeableConcept"))
        if system == ALERT_VERDICT
    ]
    return given[-1] if given else None
