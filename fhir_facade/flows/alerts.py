"""Alerts as people work with them: a list, and what they do with one. Everything goes through the door.

The work is a Task, the finding a DetectedIssue; closing a Task also ends the episode and lowers the banner, whichever
way the Task is written. https://hl7.org/fhir/R4/task.html#statemachine, docs/alerts.md
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from fhir_facade.access.check import Deny
from fhir_facade.access.policy import Ask, decide
from fhir_facade.errors import BadRequest, Conflict, Forbidden, NotFound, PreconditionFailed, PreconditionRequired
from fhir_facade.fhir.document import decimal_dumps, decimal_loads
from fhir_facade.fhir.searchset import read_searchset
from fhir_facade.flows.admission import UNKNOWN, Origin
from fhir_facade.flows.alert_view import Alert, Note, ids_of, views
from fhir_facade.interactions.circle import circle
from fhir_facade.interactions.dispatch import dispatch
from fhir_facade.interactions.pages import PAGE
from fhir_facade.ports import Ports
from fhir_facade.rules.alerts import Refusal, act, open_states
from fhir_facade.values import FhirRequest, FhirResponse, Interaction, Principal
from terminology.canonical import ALERT_STATUS, ALERT_TASK

__all__ = ["DEFAULT_LIMIT", "MOST", "Alert", "Alerts", "Note", "act_on", "list_alerts", "look_at"]

DEFAULT_LIMIT: Final = 50
MOST: Final = 200
WORK: Final = f"{ALERT_TASK}|alert-review"


@dataclass(frozen=True, slots=True)
class Alerts:
    """One page, newest first; `next` continues it for the same caller, None on the last."""

    alerts: tuple[Alert, ...]
    next: str | None = None


async def list_alerts(
    ports: Ports,
    principal: Principal,
    *,
    patient: str | None = None,
    open_only: bool = True,
    limit: int = DEFAULT_LIMIT,
    page: str | None = None,
    origin: Origin = UNKNOWN,
) -> Alerts:
    """The alerts of the patients this principal may see. A foreign patient has none, like one who is not there.

    With `page` (the `next` of an earlier answer) the other choices are those of the first page. Forbidden, Gone.
    """
    may_act, with_issue = await _may(ports, principal, Interaction.UPDATE), await _sees_issues(ports, principal)
    params = ((PAGE, page),) if page else _asked(patient, open_only, limit, with_issue=with_issue)
    request = FhirRequest(
        Interaction.SEARCH_TYPE, "Task", params=params, request_id=origin.request_id, address=origin.address
    )
    found = read_searchset((await dispatch(ports, principal, request)).body)
    resources = [decimal_loads(each) for each in found.resources]
    return Alerts(tuple(views(resources, may_act=may_act)), dict(found.following).get(PAGE))


def _asked(patient: str | None, open_only: bool, limit: int, *, with_issue: bool) -> tuple[tuple[str, str], ...]:
    params = [("code", WORK), ("_sort", "-authored-on"), ("_count", str(limit))]
    if open_only:
        params.append(("business-status", ",".join(f"{ALERT_STATUS}|{state}" for state in open_states())))
    if patient is not None:
        params.append(("patient", patient))
    if with_issue:
        params.append(("_include", "Task:focus"))
    return tuple(params)


async def _may(ports: Ports, principal: Principal, asked: Interaction, type_name: str = "Task") -> bool:
    return not isinstance(decide(principal, Ask(asked, type_name, circle=await circle(ports, principal))), Deny)


async def _sees_issues(ports: Ports, principal: Principal) -> bool:
    asked = (Interaction.READ, Interaction.SEARCH_TYPE)
    return all([await _may(ports, principal, each, "DetectedIssue") for each in asked])


async def act_on(
    ports: Ports,
    principal: Principal,
    alert_id: str,
    action: str,
    *,
    version: str | None,
    note: str | None = None,
    verdict: str | None = None,
    origin: Origin = UNKNOWN,
) -> Alert:
    """Acknowledge, respond, resolve or false-alarm: `version` is the one the caller looked at.

    NotFound: absent or not the caller's. Forbidden: patients and readers do not act. PreconditionRequired without a
    version, PreconditionFailed when somebody was faster, Conflict when it is not possible in the present state.
    """
    work, found = await _alert_task(ports, principal, alert_id, origin)
    await _check(ports, principal, version, found)
    changed = act(work, action, by=_name_of(principal), at=ports.clock.now(), note=note, verdict=verdict)
    if isinstance(changed, Refusal):
        raise (Conflict if changed.reason == "wrong-state" else BadRequest)(changed.text)
    request = _request(Interaction.UPDATE, "Task", alert_id, origin, body=decimal_dumps(changed), if_match=version)
    written = await dispatch(ports, principal, request)
    return await _seen(ports, principal, written, origin)


async def look_at(ports: Ports, principal: Principal, alert_id: str, *, origin: Origin = UNKNOWN) -> Alert:
    """One alert. NotFound: absent or not the caller's."""
    _, found = await _alert_task(ports, principal, alert_id, origin)
    return await _seen(ports, principal, found, origin)


async def _alert_task(
    ports: Ports, principal: Principal, alert_id: str, origin: Origin
) -> tuple[dict[str, Any], FhirResponse]:
    absent = NotFound(f"There is no alert {alert_id}.")
    try:
        found = await dispatch(ports, principal, _request(Interaction.READ, "Task", alert_id, origin))
    except NotFound as error:
        absent.recorded = error.recorded
        raise absent from None
    work = decimal_loads(found.body)
    if ids_of(work) is None:
        raise absent
    return work, found


async def _check(ports: Ports, principal: Principal, version: str | None, found: FhirResponse) -> None:
    decision = decide(principal, Ask(Interaction.UPDATE, "Task", circle=await circle(ports, principal)))
    if isinstance(decision, Deny):
        raise Forbidden(decision.reason)
    if version is None:
        raise PreconditionRequired('Send If-Match with the version of the alert you looked at, e.g. If-Match: W/"1".')
    assert found.resource is not None
    if found.resource.version != version:
        raise PreconditionFailed(f"The alert is at version {found.resource.version}, not {version}: look at it again.")


def _name_of(principal: Principal) -> str:
    if principal.practitioner is not None:
        return f"Practitioner/{principal.practitioner}"
    return principal.client or principal.name or principal.kind


def _request(
    interaction: Interaction,
    type_name: str,
    id_: str,
    origin: Origin,
    *,
    body: bytes = b"",
    if_match: str | None = None,
) -> FhirRequest:
    return FhirRequest(
        interaction,
        type_name,
        id_,
        body=body,
        if_match=if_match,
        request_id=origin.request_id,
        address=origin.address,
    )


async def _seen(ports: Ports, principal: Principal, found: FhirResponse, origin: Origin) -> Alert:
    """The alert with its finding, when the caller may see that."""
    work = decimal_loads(found.body)
    resources = [work]
    if await _sees_issues(ports, principal):
        ids = ids_of(work)
        assert ids is not None
        try:
            answer = await dispatch(ports, principal, _request(Interaction.READ, "DetectedIssue", ids.issue, origin))
            resources.append(decimal_loads(answer.body))
        except NotFound:
            pass
    return views(resources, may_act=await _may(ports, principal, Interaction.UPDATE))[0]
