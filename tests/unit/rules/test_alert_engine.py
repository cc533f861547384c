from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_facade.rules.alerts import (
    Clear,
    GuardState,
    Nothing,
    Raise,
    Reading,
    Rule,
    Transition,
    Update,
    closed,
    describe,
    evaluate,
    rules,
)

NOW = datetime(2026, 8, 10, 12, tzinfo=UTC)
HIGH = next(rule for rule in rules() if rule.id == "resting-heart-rate-high")  # > 100, clears at 95
MEAN = replace(HIGH, aggregation="mean", window=timedelta(hours=6), min_samples=3)
LASTING = replace(HIGH, duration=timedelta(minutes=30))


def at(minutes_ago: float, value: float | None, name: str | None = None) -> Reading:
    when = NOW - timedelta(minutes=minutes_ago)
    found = None if value is None else Decimal(str(value))
    return Reading(name or f"r{minutes_ago}", when, when, found, "final" if value is not None else "entered-in-error")


def play(rule: Rule, *steps: Iterable[Reading], state: GuardState | None = None) -> tuple[list[Transition], GuardState]:
    """Feed batches one after the other, with all readings so far for rules that look back."""
    seen: dict[str, Reading] = {}
    transitions: list[Transition] = []
    current = state or GuardState()
    for step in steps:
        batch = list(step)
        seen |= {reading.observation_id: reading for reading in batch}
        given_readings = list(seen.values()) if rule.lookback else batch
        fresh = frozenset(reading.observation_id for reading in batch)
        transition = evaluate(rule, given_readings, current, NOW, NOW, fresh)
        transitions.append(transition)
        current = transition.state
    return transitions, current


def kinds(transitions: list[Transition]) -> list[str]:
    return [type(transition).__name__ for transition in transitions]


def test_no_reading_changes_nothing() -> None:
    assert evaluate(HIGH, [], GuardState(), NOW, NOW) == Nothing(GuardState(), "no reading that counts")


def test_a_withdrawn_reading_opens_nothing() -> None:
    assert kinds(play(HIGH, [at(5, None)])[0]) == ["Nothing"]


def test_a_reading_of_the_future_is_left_out_but_a_clock_a_little_ahead_is_now() -> None:
    assert kinds(play(HIGH, [at(-60, 120)])[0]) == ["Nothing"]
    (raised,), state = play(HIGH, [at(-5, 120)])
    assert isinstance(raised, Raise)
    assert raised.since == NOW
    assert state.last_effective == NOW


def test_a_reading_within_the_limit_changes_nothing_but_the_time_known() -> None:
    (transition,), state = play(HIGH, [at(5, 100)])
    assert transition == Nothing(replace(GuardState(), last_effective=NOW - timedelta(minutes=5)))
    assert not state.open


def test_a_reading_beyond_the_limit_raises_an_alert_with_its_evidence() -> None:
    reading = at(5, 112)
    (raised,), state = play(HIGH, [reading])
    assert isinstance(raised, Raise)
    assert raised.evidence == (reading,)
    assert raised.observed == 112
    assert raised.cleared_at is None
    assert (state.episode, state.open, state.evidence) == (1, True, "r5")


@pytest.mark.parametrize(
    ("minutes", "expected"), [(24 * 60, "Raise"), (24 * 60 + 1, "Nothing"), (90 * 24 * 60, "Nothing")]
)
def test_a_back_filled_reading_older_than_the_staleness_raises_none(minutes: int, expected: str) -> None:
    assert kinds(play(HIGH, [at(minutes, 130)])[0]) == [expected]


def test_the_first_sync_of_ninety_days_raises_only_for_what_is_recent() -> None:
    (raised,), state = play(HIGH, [at(day * 24 * 60 + 1, 130) for day in range(90)])
    assert isinstance(raised, Raise)
    assert raised.evidence[-1].observation_id == "r1"
    assert state.episode == 1


def test_a_second_reading_beyond_the_limit_updates_the_open_alert() -> None:
    transitions, state = play(HIGH, [at(9, 112)], [at(8, 115)])
    assert kinds(transitions) == ["Raise", "Update"]
    assert (state.episode, state.evidence) == (1, "r8")


def test_between_limit_and_clear_value_an_open_alert_stays_as_it_is() -> None:
    transitions, state = play(HIGH, [at(9, 112)], [at(8, 98)])
    assert kinds(transitions) == ["Raise", "Nothing"]
    assert state.open


def test_at_the_clear_value_the_alert_ends_and_the_next_one_is_a_new_episode() -> None:
    transitions, state = play(HIGH, [at(9, 112)], [at(8, 95)], [at(7, 130)])
    assert kinds(transitions) == ["Raise", "Clear", "Raise"]
    assert isinstance(transitions[1], Clear)
    assert transitions[1].observed == 95
    assert transitions[1].at == NOW - timedelta(minutes=8)
    assert state.episode == 2


def test_a_batch_in_any_order_is_judged_by_effective_time() -> None:
    (transition,), state = play(HIGH, [at(7, 90), at(9, 112), at(8, 80)])
    assert isinstance(transition, Raise)
    assert transition.cleared_at == NOW - timedelta(minutes=8)
    assert not state.open


def test_a_good_value_before_a_bad_one_in_one_batch_is_the_same_open_alert() -> None:
    transitions, state = play(HIGH, [at(9, 112)], [at(8, 90), at(7, 130)])
    assert kinds(transitions) == ["Raise", "Update"]
    assert state.episode == 1


def test_a_late_bad_reading_with_newer_good_ones_opens_an_alert_that_is_over() -> None:
    transitions, state = play(HIGH, [at(5, 80)], [at(60, 130)])
    assert isinstance(transitions[1], Raise)
    assert transitions[1].cleared_at == NOW - timedelta(minutes=5)
    assert (state.open, state.episode) == (False, 1)
    assert state.last_effective == NOW - timedelta(minutes=5)


def test_late_readings_that_show_a_whole_episode_say_when_it_ended() -> None:
    transitions, _ = play(HIGH, [at(5, 80)], [at(60, 130), at(50, 85)])
    assert isinstance(transitions[1], Raise)
    assert transitions[1].cleared_at == NOW - timedelta(minutes=50)


def test_a_late_bad_reading_older_than_the_staleness_opens_nothing() -> None:
    assert kinds(play(HIGH, [at(5, 80)], [at(25 * 60, 130)])[0]) == ["Nothing", "Nothing"]


def test_a_late_reading_of_the_last_episode_opens_no_second_alert() -> None:
    transitions, state = play(HIGH, [at(60, 130)], [at(30, 80)], [at(45, 125)])
    assert kinds(transitions) == ["Raise", "Clear", "Nothing"]
    assert state.episode == 1


def test_a_late_good_reading_does_not_end_an_open_alert_and_a_late_bad_one_adds_to_it() -> None:
    transitions, state = play(HIGH, [at(5, 130)], [at(60, 80)], [at(50, 120)])
    assert kinds(transitions) == ["Raise", "Nothing", "Update"]
    assert state.open
    assert state.evidence == "r5"


def test_a_batch_of_late_and_new_readings_lets_the_new_ones_decide() -> None:
    transitions, state = play(HIGH, [at(30, 80)], [at(60, 130), at(5, 140)])
    assert kinds(transitions) == ["Nothing", "Raise"]
    assert state.open


def test_an_alert_ends_when_its_evidence_is_withdrawn() -> None:
    transitions, state = play(HIGH, [at(5, 130, "a")], [at(5, None, "a")])
    assert kinds(transitions) == ["Raise", "Clear"]
    assert isinstance(transitions[1], Clear)
    assert transitions[1].observed is None
    assert (state.open, state.evidence) == (False, None)


def test_an_alert_ends_when_its_evidence_is_corrected() -> None:
    transitions, _ = play(HIGH, [at(9, 130, "a")], [at(5, 98)], [at(9, 98, "a")])
    assert kinds(transitions) == ["Raise", "Nothing", "Clear"]


def test_evidence_corrected_to_another_bad_value_keeps_the_alert() -> None:
    assert kinds(play(HIGH, [at(9, 130, "a")], [at(9, 120, "a")])[0]) == ["Raise", "Update"]


def test_an_alert_rests_on_what_still_shows_it_when_its_evidence_is_withdrawn() -> None:
    _, opened = play(HIGH, [at(9, 130, "a")], [at(8, 132, "b")])
    transition = evaluate(HIGH, [at(9, 130, "a"), at(8, None, "b")], opened, NOW, NOW, frozenset({"b"}))
    assert (kinds([transition]), transition.state.evidence) == (["Nothing"], "a")
    assert kinds([evaluate(HIGH, [at(9, None, "a")], transition.state, NOW, NOW)]) == ["Clear"]


def test_an_alert_goes_on_when_another_reading_than_its_evidence_is_withdrawn() -> None:
    transitions, state = play(HIGH, [at(9, 130, "a")], [at(8, 132, "b")], [at(9, None, "a")])
    assert kinds(transitions) == ["Raise", "Update", "Nothing"]
    assert state.open


def test_after_a_person_closed_the_alert_the_next_bad_reading_is_a_new_one() -> None:
    _, state = play(HIGH, [at(9, 130)])
    done = closed(state, NOW)
    assert (done.open, done.ended_at) == (False, NOW - timedelta(minutes=9))
    transitions, after = play(HIGH, [at(5, 130)], state=done)
    assert kinds(transitions) == ["Raise"]
    assert after.episode == 2


def test_closing_what_has_no_reading_takes_the_time_given() -> None:
    assert closed(GuardState(episode=1, open=True), NOW).ended_at == NOW


def test_a_day_still_running_ends_now() -> None:
    day = Reading("d", NOW - timedelta(hours=12), NOW + timedelta(hours=12), Decimal(120), "final")
    (raised,), state = play(HIGH, [day])
    assert isinstance(raised, Raise)
    assert state.last_effective == NOW
    assert raised.since == NOW - timedelta(hours=12)


def test_the_mean_needs_enough_samples() -> None:
    assert kinds(play(MEAN, [at(30, 120)], [at(20, 120)], [at(10, 105)])[0]) == ["Nothing", "Nothing", "Raise"]


def test_the_mean_is_of_the_window_only() -> None:
    transitions, _ = play(MEAN, [at(7 * 60, 40)], [at(30, 102), at(20, 103), at(10, 104)])
    assert isinstance(transitions[1], Raise)
    assert transitions[1].observed == 103
    assert len(transitions[1].evidence) == 3


def test_a_late_reading_re_evaluates_the_windows_it_belongs_to() -> None:
    transitions, state = play(MEAN, [at(30, 101)], [at(10, 103)], [at(20, 110)])
    assert kinds(transitions) == ["Nothing", "Nothing", "Raise"]
    assert state.open
    transitions, state = play(MEAN, [at(25, 70)], state=state)
    assert not isinstance(transitions[0], Raise)


def test_a_late_reading_can_end_an_alert_on_a_mean() -> None:
    transitions, state = play(MEAN, [at(30, 101), at(20, 102), at(10, 103)], [at(15, 60)])
    assert kinds(transitions) == ["Raise", "Clear"]
    assert not state.open


def test_an_outlier_withdrawn_ends_an_alert_on_a_mean() -> None:
    batch = [at(40, 98), at(30, 96), at(20, 190, "x"), at(10, 99)]
    transitions, _ = play(MEAN, batch, [at(20, None, "x")])
    assert kinds(transitions) == ["Raise", "Clear"]
    assert isinstance(transitions[1], Clear)
    assert transitions[1].observed is not None


def test_an_alert_on_a_mean_goes_on_when_the_rest_still_shows_it() -> None:
    batch = [at(40, 120), at(30, 120), at(20, 190, "x"), at(10, 120)]
    transitions, state = play(MEAN, batch, [at(20, None, "x")])
    assert kinds(transitions) == ["Raise", "Nothing"]
    assert state.open


def test_a_late_reading_after_a_closed_episode_does_not_open_it_again_by_old_windows() -> None:
    _, state = play(MEAN, [at(30, 120), at(20, 120), at(10, 120)])
    known = [at(30, 120), at(20, 120), at(10, 120), at(25, 121, "late")]
    transition = evaluate(MEAN, known, closed(state, NOW), NOW, NOW, frozenset({"late"}))
    assert isinstance(transition, Nothing)


@pytest.mark.parametrize(
    ("aggregation", "values", "observed"),
    [
        ("min", [120, 101, 110], 101),
        ("max", [90, 101, 80], 101),
        ("delta", [10, 40, 120], 110),
        ("last", [1, 2, 101], 101),
    ],
)
def test_other_aggregations(aggregation: Any, values: list[int], observed: int) -> None:
    rule = replace(MEAN, aggregation=aggregation)
    transitions, _ = play(rule, [at(30 - 10 * index, value) for index, value in enumerate(values)])
    assert isinstance(transitions[0], Raise)
    assert transitions[0].observed == observed


def test_counting_readings() -> None:
    rule = replace(MEAN, aggregation="count", threshold=Decimal(2), clear=None, unit="{count}", min_samples=1)
    assert kinds(play(rule, [at(30, 1)], [at(20, 1)], [at(10, 1)])[0]) == ["Nothing", "Nothing", "Raise"]


def test_for_holds_back_until_the_condition_has_lasted() -> None:
    transitions, state = play(LASTING, [at(50, 110)], [at(40, 110)], [at(20, 110)], [at(19, 110)])
    assert kinds(transitions) == ["Nothing", "Nothing", "Raise", "Update"]
    assert state.opened_at == NOW - timedelta(minutes=50)


def test_a_good_value_starts_the_wait_anew() -> None:
    transitions, _ = play(LASTING, [at(50, 110)], [at(40, 99)], [at(20, 110)], [at(0, 110)])
    assert kinds(transitions) == ["Nothing"] * 4


def test_a_late_good_value_starts_the_wait_anew_too() -> None:
    transitions, _ = play(LASTING, [at(50, 110)], [at(30, 110)], [at(40, 90)], [at(10, 110)])
    assert kinds(transitions) == ["Nothing"] * 4


def test_the_wait_is_remembered_beyond_the_readings_at_hand() -> None:
    state = GuardState(pending_since=NOW - timedelta(minutes=40), last_effective=NOW - timedelta(minutes=40))
    transition = evaluate(LASTING, [at(0, 110)], state, NOW, NOW)
    assert isinstance(transition, Raise)


def test_the_wait_does_not_count_readings_of_an_alert_a_person_closed() -> None:
    _, state = play(LASTING, [at(50, 110)], [at(15, 110)])
    readings = [at(50, 110), at(15, 110), at(5, 110)]
    transition = evaluate(LASTING, readings, closed(state, NOW), NOW, NOW, frozenset({"r5"}))
    assert isinstance(transition, Nothing)
    assert transition.state.pending_since == NOW - timedelta(minutes=5)


def test_a_rule_for_low_values_clears_upwards() -> None:
    low = next(rule for rule in rules() if rule.id == "oxygen-saturation-low")
    transitions, _ = play(low, [at(9, 91)], [at(8, 92)], [at(7, 94)])
    assert kinds(transitions) == ["Raise", "Nothing", "Clear"]


def test_the_finding_is_told_in_one_line() -> None:
    assert describe(HIGH, Decimal("112.333")) == "Resting heart rate high: 112.33 /min (> 100 /min)"


VALUES = st.lists(st.sampled_from([60, 95, 98, 100, 101, 130]), min_size=1, max_size=12)


@given(VALUES)
def test_in_order_readings_one_by_one_never_open_two_alerts_at_once(values: list[int]) -> None:
    transitions, _ = play(HIGH, *[[at(100 - index, value)] for index, value in enumerate(values)])
    open_now = False
    for transition in transitions:
        if isinstance(transition, Raise):
            assert not open_now
            open_now = True
        elif isinstance(transition, Clear):
            assert open_now
            open_now = False
        elif isinstance(transition, Update):
            assert open_now


@given(VALUES, st.randoms(use_true_random=False))
def test_any_order_of_arrival_finds_that_something_happened(values: list[int], random: Any) -> None:
    readings = [[at(100 - index, value)] for index, value in enumerate(values)]
    shuffled = readings.copy()
    random.shuffle(shuffled)
    _, in_order = play(HIGH, *readings)
    _, as_arrived = play(HIGH, *shuffled)
    assert (in_order.episode > 0) == (as_arrived.episode > 0)
    assert in_order.last_effective == as_arrived.last_effective


@given(VALUES)
def test_the_same_readings_again_open_no_new_alert(values: list[int]) -> None:
    batches = [[at(100 - index, value)] for index, value in enumerate(values)]
    _, state = play(HIGH, *batches)
    transitions, again = play(HIGH, batches[-1], state=state)
    assert again.episode == state.episode
    assert not isinstance(transitions[0], Raise)
