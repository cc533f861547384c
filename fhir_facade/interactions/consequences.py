"""What follows from a write and is committed with it: alerts raised, updated, cleared and closed, and their events.

https://hl7.org/fhir/R4/detectedissue.html, docs/alerts.md
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from typing import Final
from zlib import crc32

from fhir_facade.access.check import Deny
from fhir_facade.access.policy import Ask, decide
from fhir_facade.errors import Conflict, Forbidden
from fhir_facade.fhir.document import decimal_dumps, parse
from fhir_facade.interactions.alerts.concerns import (
    WATCHED,
    Changed,
    Concern,
    Handled,
    alert_key,
    concerns_of,
    handled_of,
)
from fhir_facade.interactions.alerts.following import Plan, Put, plan_of
from fhir_facade.interactions.alerts.judging import Judged, are_old, guard_ids, guards_of, judge, without_effect
from fhir_facade.interactions.alerts.marks import evidence_marks, mark, marked, marks_of
from fhir_facade.interactions.alerts.stored import currents
from fhir_facade.interactions.audit import audit_line
from fhir_facade.ports import Ports
from fhir_facade.rows import Append, RowChange
from fhir_facade.rules.alerts import Raise, Update
from fhir_facade.values import Absent, FhirRequest, Interaction, Principal, Ref, Write

__all__ = ["ENGINE", "WATCHED", "Changed", "Concerned", "Consequences", "concerned", "consequences", "moved"]

ENGINE: Final = Principal("engine", name="alert-engine")
"""Who writes alerts."""

LOCKS: Final = 1024
"""Patients share so many locks: PostgreSQL has room for some thousands, and an import may be about more people."""


@dataclass(frozen=True, slots=True)
class Concerned:
    """The alert rules and the alerts that a write concerns. `locks` are held while it is judged and committed, so that
    racers queue instead of colliding."""

    concerns: tuple[Concern, ...]
    handled: tuple[Handled, ...]

    @property
    def locks(self) -> tuple[str, ...]:
        patients = {each.patient for each in self.concerns} | {each.patient for each in self.handled}
        return tuple({f"alerts|{crc32(patient.encode()) % LOCKS}" for patient in patients})


@dataclass(frozen=True, slots=True)
class Consequences:
    """`seen` are the resources, with the versions read (None: not there), on which the decision rests."""

    writes: tuple[Write, ...] = ()
    rows: tuple[RowChange, ...] = ()
    seen: Mapping[Ref, str | None] | None = None
    events: bool = False


async def concerned(ports: Ports, changes: Sequence[Changed]) -> Concerned | None:
    """None for almost every write: nothing follows, whatever others write at the same time. Only a deletion, the Task
    of an alert, or an Observation on which an alert rests makes this ask the store what it was."""
    if not changes:
        return None
    concerns = concerns_of(changes)
    unknown = [each for each in changes if each.before is None and not each.fresh]
    refs = {each.ref for each in unknown if _depends_on_before(each)}
    observed = {each.ref for each in unknown if each.ref.type == "Observation"} - refs
    old = are_old(concerns, ports.clock.now())
    guards, evidence = await marked(ports, guard_ids(concerns) if old else (), observed)
    idle = old and not guards
    if refs or evidence:
        changes = await _with_before(ports, changes, refs | evidence)
        concerns = concerns_of(changes)
        idle = await without_effect(ports, concerns)
    handled = handled_of(changes)
    return None if idle and not handled else Concerned(tuple(concerns), tuple(handled))


async def _with_before(ports: Ports, changes: Sequence[Changed], refs: Set[Ref]) -> Sequence[Changed]:
    before = {ref: parse(stored.body) for ref, stored in (await currents(ports, refs)).items()}
    return [replace(each, before=before[each.ref]) if each.ref in before else each for each in changes]


def _depends_on_before(change: Changed) -> bool:
    if change.after is None:
        return change.ref.type == "Observation"
    return change.ref.type == "Task" and alert_key(change.after) is not None


async def consequences(ports: Ports, request: FhirRequest, concern: Concerned, own: frozenset[Ref]) -> Consequences:
    """Judge the concerned rules now. `own` is what the caller writes itself: it is left as the caller wants it.

    Conflict when an Observation is to be deleted on which an open alert rests.
    """
    judged = await judge(ports, concern.concerns)
    _refuse_deletion(judged)
    guards = await guards_of(ports, {(each.rule, each.patient) for each in concern.handled})
    plan = await plan_of(ports, judged, concern.handled, guards)
    puts = {ref: put for ref, put in plan.puts.items() if ref not in own}
    lines = [_audited(ports, request, ref, put) for ref, put in puts.items()]
    await mark(ports, marks_of(ref for ref, version in plan.seen.items() if version is None))
    return Consequences(
        writes=tuple(_write(ref, put) for ref, put in puts.items()),
        rows=(*lines, *evidence_marks(ports, _rested_on(judged)), *(Append(event) for event in plan.events)),
        seen=_seen(plan, own),
        events=bool(plan.events),
    )


def _rested_on(judged: Iterable[Judged]) -> set[str]:
    """The ids of the Observations that show what is raised now, or goes on."""
    shown = [each.transition.evidence for each in judged if isinstance(each.transition, Raise | Update)]
    return {reading.observation_id for some in shown for reading in some}


def _refuse_deletion(judged: Iterable[Judged]) -> None:
    """The record of why somebody was alarmed stays readable."""
    for each in judged:
        for id_ in each.deleted:
            raise Conflict(
                f"Observation/{id_} cannot be deleted while an alert rests on it: "
                "set its status to entered-in-error, which ends the alert"
            )


def _seen(plan: Plan, own: frozenset[Ref]) -> Mapping[Ref, str | None]:
    return {ref: version for ref, version in plan.seen.items() if ref not in own}


def _write(ref: Ref, put: Put) -> Write:
    body = decimal_dumps(put.resource)
    return Write("put", ref, body, parse(body), put.precondition)


def _audited(ports: Ports, request: FhirRequest, ref: Ref, put: Put) -> RowChange:
    """The engine has no back door either: the table of rights has to allow the write, and the audit knows of it."""
    fresh = put.precondition is None or isinstance(put.precondition, Absent)
    asked = Interaction.CREATE if fresh else Interaction.UPDATE
    decision = decide(ENGINE, Ask(asked, ref.type))
    if isinstance(decision, Deny):
        raise Forbidden(f"the alert engine may not {asked.value} {ref.type}: {decision.reason}")
    of = FhirRequest(asked, ref.type, ref.id, request_id=request.request_id, address=request.address)
    return Append(audit_line(ports, ENGINE, of, patient=put.patient))


async def moved(ports: Ports, following: Consequences) -> bool:
    """Whether something on which the decision rests is no more as it was seen. A guard that was not known of is now."""
    seen = following.seen or {}
    stored = await currents(ports, list(seen))
    await mark(ports, marks_of(ref for ref in stored if seen[ref] is None))
    return any((stored[ref].version if ref in stored else None) != version for ref, version in seen.items())
