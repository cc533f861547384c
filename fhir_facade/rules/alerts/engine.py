"""When an alert opens, goes on and ends: https://prometheus.io/docs/prometheus/latest/configuration/alerting_rules/

    evaluate(rule, readings, state, now, arrived_at, fresh=None) -> Nothing | Raise | Update | Clear

Order is by effective time, whatever the order of arrival. Every transition carries the next `GuardState`; store it in
the transaction of the reading, conditional on the version it was read from: that makes one open alert per patient and
rule. Semantics:

* the condition is evaluated at the time of each fresh reading, and of every later one whose window it changes;
* `for`: it must hold from its first such time on, for that long; a gap is no interruption, a good value is;
* hysteresis: an open alert ends when the value passes `clear`;
* a time longer before arrival than the rule's staleness opens nothing;
* a late reading within the last episode belongs to it; one outside opens an alert that is over already
  (`Raise.cleared_at` is set) when newer good values are known, because someone should know that it happened;
* withdrawn readings (entered-in-error) take no part; an alert whose last evidence is withdrawn or corrected ends.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from operator import itemgetter
from types import MappingProxyType

from fhir_facade.rules.alerts.reading import Reading
from fhir_facade.rules.alerts.rules import Rule
from fhir_facade.rules.alerts.transitions import Clear, GuardState, Nothing, Raise, Transition, Update

_CLOCKS_DIFFER_BY = timedelta(minutes=10)  # a reading this far ahead of our clock is of now, not of the future


def _delta(values: Sequence[Decimal]) -> Decimal:
    return values[-1] - values[0]


def _mean(values: Sequence[Decimal]) -> Decimal:
    return sum(values, Decimal(0)) / len(values)


_AGGREGATE: Mapping[str, Callable[[Sequence[Decimal]], Decimal]] = MappingProxyType(
    {
        "last": itemgetter(-1),
        "mean": _mean,
        "min": min,
        "max": max,
        "count": lambda values: Decimal(len(values)),
        "delta": _delta,
    }
)


@dataclass(frozen=True, slots=True)
class _Point:
    """The rule's value at the time of one reading, and the readings it comes from."""

    at: datetime
    observed: Decimal
    samples: tuple[Reading, ...]
    stale: bool


@dataclass(frozen=True, slots=True)
class _Episode:
    """A stretch of time in which the condition held; `ended` is the first good point after it."""

    since: datetime
    shown: _Point
    ended: _Point | None = None


def _ordered(readings: Iterable[Reading], now: datetime) -> list[Reading]:
    """Usable readings by time; a day still running ends now, what begins later is left out."""
    unique = {reading.observation_id: reading for reading in readings}
    usable = [
        replace(reading, end=min(reading.end, now), start=min(reading.start, now))
        for reading in unique.values()
        if reading.counts and reading.start <= now + _CLOCKS_DIFFER_BY
    ]
    return sorted(usable, key=lambda reading: (reading.end, reading.observation_id))


def _points(rule: Rule, ordered: Sequence[Reading], arrived_at: datetime) -> list[_Point]:
    """The rule's value at each reading; none where its window holds too few."""
    found = []
    ends = [reading.end for reading in ordered]
    for index, reading in enumerate(ordered):
        first = bisect_right(ends, reading.end - rule.window, hi=index)
        samples = tuple(ordered[first : index + 1])
        values = [sample.value for sample in samples if sample.value is not None]
        if len(values) >= rule.min_samples:
            stale = arrived_at - reading.end > rule.staleness
            found.append(_Point(reading.end, _AGGREGATE[rule.aggregation](values), samples, stale))
    return found


def _pending(rule: Rule, pending: datetime | None, point: _Point) -> datetime | None:
    """Since when the condition holds, after one more point; None when it does not."""
    return (pending or point.samples[-1].start) if rule.violated_by(point.observed) else None


def _episode(rule: Rule, points: Iterable[_Point], pending: datetime | None) -> tuple[_Episode | None, datetime | None]:
    """The last episode that begins at one of the points, and since when the condition has been pending."""
    found: _Episode | None = None
    for point in points:
        if found is not None and found.ended is None:
            found = _went_on(rule, found, point)
            continue
        pending = _pending(rule, pending, point)
        if pending is not None and point.at - pending >= rule.duration and not point.stale:
            found, pending = _Episode(pending, point), None
    return found, pending


def _went_on(rule: Rule, episode: _Episode, point: _Point) -> _Episode:
    if rule.cleared_by(point.observed):
        return replace(episode, ended=point)
    return replace(episode, shown=point) if rule.violated_by(point.observed) else episode


def _within_last_episode(state: GuardState, at: datetime) -> bool:
    if state.opened_at is None or at < state.opened_at:
        return False
    return state.ended_at is None or at < state.ended_at


def _last_of(points: Sequence[_Point]) -> str:
    return points[-1].samples[-1].observation_id


def _while_open(rule: Rule, points: Sequence[_Point], state: GuardState) -> Transition:
    """The alert is open and these points are news. A good value followed by a bad one is still the same alert."""
    good = [point for point in points if rule.cleared_by(point.observed)]
    bad = [point for point in points if rule.violated_by(point.observed)]
    if good and (not bad or bad[-1].at < good[-1].at):
        ended = replace(state, open=False, pending_since=None, ended_at=good[-1].at)
        return Clear(ended, good[-1].at, good[-1].observed)
    if not bad:
        return Nothing(state)
    return Update(replace(state, evidence=_last_of(bad)), bad[-1].samples, bad[-1].observed)


def _opened(state: GuardState, episode: _Episode, ended_at: datetime | None) -> Raise:
    after = replace(
        state,
        episode=state.episode + 1,
        open=ended_at is None,
        pending_since=None,
        opened_at=episode.since,
        ended_at=ended_at,
        evidence=episode.shown.samples[-1].observation_id,
    )
    return Raise(after, episode.shown.samples, episode.shown.observed, episode.since, ended_at)


def _while_closed(rule: Rule, points: Sequence[_Point], state: GuardState, pending: datetime | None) -> Transition:
    episode, pending = _episode(rule, points, pending)
    if episode is None:
        return Nothing(replace(state, pending_since=pending))
    return _opened(state, episode, None if episode.ended is None else episode.ended.at)


def _looking_back(rule: Rule, past: Sequence[_Point], state: GuardState, known: datetime) -> Transition:
    """Late points, older than `known`, the time the state speaks of."""
    unknown = [point for point in past if not _within_last_episode(state, point.at)]
    episode, _ = _episode(rule, unknown, None)
    bad = [point for point in past if rule.violated_by(point.observed)]
    if state.open:
        return Update(state, bad[-1].samples, None) if bad else Nothing(state)
    if episode is None:
        return Nothing(state)
    return _opened(state, episode, known if episode.ended is None else episode.ended.at)


def _lost(rule: Rule, reading: Reading, state: GuardState) -> bool:
    """Whether an open alert may rest on this reading no more: withdrawn, or corrected to a value within the limit."""
    if reading.value is None:
        return reading.observation_id == state.evidence or bool(rule.lookback)
    corrected = reading.observation_id == state.evidence and not rule.violated_by(reading.value)
    return corrected and not rule.lookback


def _lost_evidence(rule: Rule, given: Iterable[Reading], state: GuardState) -> bool:
    return state.open and any(_lost(rule, reading, state) for reading in given)


def _without_evidence(rule: Rule, points: Sequence[_Point], state: GuardState, now: datetime) -> Clear:
    at = state.last_effective or now
    after = replace(state, open=False, pending_since=None, ended_at=at, evidence=None)
    return Clear(after, at, points[-1].observed if points else None)


def evaluate(
    rule: Rule,
    readings: Iterable[Reading],
    state: GuardState,
    now: datetime,
    arrived_at: datetime,
    fresh: frozenset[str] | None = None,
) -> Transition:
    """What readings mean for the alert of one rule and patient.

    `readings`: for a rule with a lookback all recent ones, else those just written are enough. `fresh` are the ids of
    those just written (None: all). `now` and `arrived_at` are aware; readings that begin after `now` are left out.
    """
    given = list(readings)
    ordered = _ordered(given, now)
    points = _points(rule, ordered, arrived_at)
    if _lost_evidence(rule, given, state):
        shown = [point for point in points if rule.violated_by(point.observed)]
        if not shown:
            return _without_evidence(rule, points, state, now)
        state = replace(state, evidence=_last_of(shown))
    begin = min((found.end for found in ordered if fresh is None or found.observation_id in fresh), default=None)
    if begin is None:
        return Nothing(state, "no reading that counts")
    known = state.last_effective
    after = replace(state, last_effective=max(ordered[-1].end, known or ordered[-1].end))
    news = [point for point in points if point.at >= begin and _is_news(point, state, fresh)]
    current = [point for point in news if known is None or point.at >= known]
    found = _at_present(rule, points, current, after)
    if isinstance(found, Nothing) and known is not None and len(current) < len(news):
        past = [point for point in news if point.at < known]
        return _better(_looking_back(rule, past, found.state, known), found)
    return found


def _is_news(point: _Point, state: GuardState, fresh: frozenset[str] | None) -> bool:
    """A time of an episode that is over says nothing new, unless it was just written."""
    over = not state.open and state.ended_at is not None and point.at <= state.ended_at
    return not over or fresh is None or point.samples[-1].observation_id in fresh


def _better(late: Transition, present: Nothing) -> Transition:
    return present if isinstance(late, Nothing) else late


def _at_present(rule: Rule, points: Sequence[_Point], current: Sequence[_Point], state: GuardState) -> Transition:
    if not current:
        return Nothing(state)
    if state.open:
        return _while_open(rule, current, state)
    pending = state.pending_since
    if points and (pending is None or points[0].samples[-1].start < pending):
        pending = None
    for point in points:
        if point.at < current[0].at and (state.ended_at is None or point.at > state.ended_at):
            pending = _pending(rule, pending, point)
    return _while_closed(rule, current, state, pending)
