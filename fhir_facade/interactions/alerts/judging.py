"""What written readings mean for the alerts of their patients, judged on the guards and on what is stored now.

A calm reading, one that neither opens, continues nor ends an alert, asks the store for nothing where no alert ever was
and writes nothing: when an alert is about to open, the readings that the guard did not hear of are looked up.
https://prometheus.io/docs/prometheus/latest/configuration/alerting_rules/
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import Final

from fhir_facade.fhir.document import equal_values, parse
from fhir_facade.interactions.alerts.concerns import Concern
from fhir_facade.interactions.alerts.marks import possible
from fhir_facade.interactions.alerts.stored import currents, recent_readings, zones_of
from fhir_facade.ports import Ports
from fhir_facade.rules.alerts import (
    GuardState,
    Nothing,
    Reading,
    Rule,
    Transition,
    evaluate,
    guard_id,
    guard_state,
    reading,
)
from fhir_facade.rules.observations import effective
from fhir_facade.values import Ref, StoredResource

ONE_DAY: Final = timedelta(days=1)
TIMES: Final = ("effectiveDateTime", "effectiveInstant", "effectivePeriod")


@dataclass(frozen=True, slots=True)
class Guard:
    """What is remembered of one rule and patient, and the version it was read in; None: nothing yet."""

    ref: Ref
    version: str | None = None
    state: GuardState = field(default_factory=GuardState)


@dataclass(frozen=True, slots=True)
class Judged:
    """What the readings of one concern mean."""

    concern: Concern
    guard: Guard
    transition: Transition

    @property
    def rule(self) -> Rule:
        return self.concern.rule

    @property
    def patient(self) -> str:
        return self.concern.patient

    @property
    def deleted(self) -> list[str]:
        """The Observations whose deletion is a part of it."""
        return [id_ for id_, written in self.concern.written.items() if written.deleted]


@dataclass(frozen=True, slots=True)
class _Case:
    """A concern with its guard; `fresh` are the readings just written, `known` those of the store, by Observation."""

    concern: Concern
    guard: Guard
    fresh: Mapping[str, Reading]
    known: Mapping[str, Reading]

    @property
    def rule(self) -> Rule:
        return self.concern.rule

    def transition(self, now: datetime) -> Transition:
        readings = {**self.known, **self.fresh}
        return evaluate(self.rule, readings.values(), self.guard.state, now, now, frozenset(self.fresh))


async def guards_of(ports: Ports, keys: Iterable[tuple[str, str]]) -> dict[tuple[str, str], Guard]:
    """The guards of (rule, patient)."""
    refs = {key: Ref("Basic", guard_id(*key)) for key in keys}
    stored = await currents(ports, refs.values())
    found = {}
    for key, ref in refs.items():
        at = stored.get(ref)
        found[key] = Guard(ref) if at is None else Guard(ref, at.version, guard_state(parse(at.body)))
    return found


async def _possible_guards(ports: Ports, keys: Collection[tuple[str, str]]) -> dict[tuple[str, str], Guard]:
    """As `guards_of`; the store is asked only for those that may be there."""
    refs = {key: Ref("Basic", guard_id(*key)) for key in keys}
    there = await possible(ports, [ref.id for ref in refs.values()])
    stored = await guards_of(ports, [key for key, ref in refs.items() if ref.id in there])
    return {key: stored.get(key) or Guard(ref) for key, ref in refs.items()}


async def without_effect(ports: Ports, concerns: Sequence[Concern]) -> bool:
    """Whether all are old readings of patients who never had the alert: they open none, and no one that opens just now
    rests on them, so that nobody has to queue. Without the value, for which most of the time would go."""
    return are_old(concerns, ports.clock.now()) and not await possible(ports, guard_ids(concerns))


def guard_ids(concerns: Iterable[Concern]) -> list[str]:
    return [guard_id(each.rule.id, each.patient) for each in concerns]


def are_old(concerns: Iterable[Concern], now: datetime) -> bool:
    """Whether none of the readings can open an alert."""
    return all(_is_old(each, now) for each in concerns)


def _is_old(concern: Concern, now: datetime) -> bool:
    """Too old to matter wherever the person's civil day begins; what does not say when never matters."""
    oldest = now - concern.rule.staleness - concern.rule.lookback - ONE_DAY
    for written in concern.written.values():
        span = effective(written.resource, UTC)
        if not written.body or (span is not None and span[1] >= oldest):
            return False
    return True


async def judge(ports: Ports, concerns: Sequence[Concern]) -> list[Judged]:
    """The concerns that change something, with what they change."""
    now = ports.clock.now()
    guards = await _possible_guards(ports, {(each.rule.id, each.patient) for each in concerns})
    zones = await zones_of(ports, {each.patient for each in concerns if _by_the_day(each)})
    cases = [_case(each, guards[each.rule.id, each.patient], zones.get(each.patient)) for each in concerns]
    cases = await _looking_back(ports, [case for case in cases if _matters(case, now)], now)
    eventful = [case for case in cases if not _calm(case, case.transition(now))]
    final = await _second_look(ports, eventful, now) if eventful else []
    return [
        Judged(case.concern, case.guard, transition)
        for case in final
        if not _calm(case, transition := case.transition(now))
    ]


def _by_the_day(concern: Concern) -> bool:
    """Whether some of its times are civil days, which begin when the person's own day does."""
    return any("T" not in str([each.resource.get(name) for name in TIMES]) for each in concern.written.values())


def _case(concern: Concern, guard: Guard, zone: str | None) -> _Case:
    read = [reading(concern.rule, each.resource, zone) for each in concern.written.values()]
    fresh = {each.observation_id: each for each in read if isinstance(each, Reading)}
    return _Case(concern, guard, fresh, {})


def _matters(case: _Case, now: datetime) -> bool:
    """Old readings open nothing, so that a back-fill asks for no more than its guards."""
    if case.guard.state.open:
        return bool(case.fresh)
    oldest = now - case.rule.staleness - case.rule.lookback
    return any(each.counts and each.end >= oldest for each in case.fresh.values())


def _calm(case: _Case, transition: Transition) -> bool:
    """Whether nothing has to be remembered. Of a closed guard the time of the newest reading needs not be: it is
    looked up when it counts."""
    before, after = case.guard.state, transition.state
    if not isinstance(transition, Nothing):
        return False
    return after == before or (not before.open and replace(after, last_effective=before.last_effective) == before)


async def _looking_back(ports: Ports, cases: Sequence[_Case], now: datetime) -> list[_Case]:
    """The cases, those whose rule looks back with what the store holds."""
    asking = [case for case in cases if case.rule.lookback]
    others = [case for case in cases if not case.rule.lookback]
    return [*others, *await _with_known(ports, asking, now)]


async def _second_look(ports: Ports, cases: Sequence[_Case], now: datetime) -> list[_Case]:
    """Before anything is written: what is stored already is no news, and other readings may say more."""
    news = await _without_repeats(ports, cases)
    asking = [case for case in news if not case.rule.lookback and _needs_others(case)]
    others = [case for case in news if case.rule.lookback or not _needs_others(case)]
    return [*others, *await _with_known(ports, asking, now)]


def _needs_others(case: _Case) -> bool:
    return not case.guard.state.open or case.guard.state.evidence in case.fresh


async def _without_repeats(ports: Ports, cases: Sequence[_Case]) -> list[_Case]:
    """An Observation written again as it is stored says nothing; it may count among the known."""
    refs = chain.from_iterable((Ref("Observation", id_) for id_ in case.fresh) for case in cases)
    stored = await currents(ports, list(refs))
    found = []
    for case in cases:
        repeats = {id_ for id_ in case.fresh if _repeated(case, id_, stored)}
        fresh = {id_: each for id_, each in case.fresh.items() if id_ not in repeats}
        known = {**case.known, **{id_: each for id_, each in case.fresh.items() if id_ in repeats}}
        found += [replace(case, fresh=fresh, known=known)] if fresh else []
    return found


def _repeated(case: _Case, id_: str, stored: Mapping[Ref, StoredResource]) -> bool:
    body, at = case.concern.written[id_].body, stored.get(Ref("Observation", id_))
    return bool(body) and at is not None and equal_values(body, at.body)


async def _with_known(ports: Ports, cases: Sequence[_Case], now: datetime) -> list[_Case]:
    by_rule: defaultdict[Rule, list[_Case]] = defaultdict(list)
    for case in cases:
        by_rule[case.rule].append(case)
    found = []
    for rule, some in by_rule.items():
        since = {case.concern.patient: _since(case, now) for case in some}
        recent = await recent_readings(ports, rule, since)
        for case in some:
            known = {each.observation_id: each for each in recent.get(case.concern.patient, ())}
            found.append(replace(case, known={**known, **case.known}))
    return found


def _since(case: _Case, now: datetime) -> datetime:
    """From when on readings can matter: nothing stale opens an alert, and an open one rests on what came since."""
    state, rule = case.guard.state, case.rule
    begin = max(min(each.start for each in case.fresh.values()), now - rule.staleness)
    if state.open and state.opened_at is not None and state.evidence in case.fresh:
        begin = min(begin, state.opened_at)
    return begin - rule.lookback
