"""Alerts as lines of a page, and what somebody does with one.

https://hl7.org/fhir/R4/task.html#statemachine
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from starlette.responses import Response

from fhir_facade.api.oauth.browser import Form, local_path
from fhir_facade.api.portal.visit import Visit
from fhir_facade.api.portal.wording import Wording
from fhir_facade.flows.alerts import Alert, act_on
from fhir_facade.rules.alerts import rules

_COMPARATORS: Final = {">=": "≥", "<=": "≤", ">": ">", "<": "<"}
_GRAVEST: Final = ("high", "moderate", "low")
_TONES: Final = {"new": "bad", "notified": "bad", "escalated": "bad", "cleared-unacked": "warn", "snoozed": "warn"}


@dataclass(frozen=True, slots=True)
class Line:
    """One alert as a page shows it. `name` and `patient` are empty on the page of that very patient."""

    id: str
    version: str
    title: str
    state: str
    tone: str
    severity: str
    value: str
    limit: str
    when: str
    owner: str
    patient: str
    name: str
    actions: tuple[str, ...]


def lines(
    alerts: Iterable[Alert],
    words: Wording,
    language: str,
    staff: Mapping[str, str],
    patients: Mapping[str, str] | None = None,
) -> list[Line]:
    """The gravest first. `staff` tells the name behind an owner's reference, `patients` the name of each patient where
    that is needed."""
    titles = {rule.id: rule.name(language) for rule in rules()}
    ordered = sorted(alerts, key=lambda alert: _GRAVEST.index(alert.severity or "low"))
    return [_line(alert, words, titles.get(alert.rule, alert.title), staff, patients or {}) for alert in ordered]


def _line(alert: Alert, words: Wording, title: str, staff: Mapping[str, str], patients: Mapping[str, str]) -> Line:
    comparator = _COMPARATORS.get(alert.comparator or "", "")
    limit = _amount(alert.threshold, alert, words)
    return Line(
        id=alert.id,
        version=alert.version,
        title=title,
        state=alert.state,
        tone=_TONES.get(alert.state, "calm"),
        severity=alert.severity or "low",
        value=_amount(alert.observed, alert, words),
        limit=words.t("alert.limit", comparator=comparator, limit=limit) if limit else "",
        when=words.moment(alert.raised_at),
        owner=staff.get(alert.owner, alert.owner) if alert.owner else "",
        patient=alert.patient if patients else "",
        name=patients.get(alert.patient, ""),
        actions=alert.actions,
    )


def _amount(value: Decimal | None, alert: Alert, words: Wording) -> str:
    """At most one digit: what the rule compared is in the record with all of them."""
    if value is None:
        return ""
    exact = Decimal(value)  # a whole number of a document is read as an int
    digits = 0 if exact == exact.to_integral_value() else 1
    unit = alert.unit or ""
    shown = words.t("unit.per", unit=unit[1:]) if unit.startswith("/") else unit
    return f"{words.number(exact, digits)} {shown}".strip()


async def act(visit: Visit, form: Form) -> Response:
    """POST /alerts/{id}/{action}: with the version that was on the page: nobody overrules a faster colleague."""
    action = visit.part("action")
    alert, version = visit.part("alert"), form.fields.get("version")
    await act_on(visit.ports, visit.principal, alert, action, version=version, origin=visit.origin)
    return visit.go(local_path(form.fields.get("next")), action)
