"""What is remembered of an alert between readings, and what a reading may change about it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from fhir_facade.rules.alerts.reading import Reading


@dataclass(frozen=True, slots=True)
class GuardState:
    """What is remembered between readings of one rule and patient.

    `episode` counts alerts from 1; 0: there never was one. `opened_at` and `ended_at` bound the last episode in
    effective time. `evidence` is the id of the Observation that last showed the condition.
    """

    episode: int = 0
    open: bool = False
    pending_since: datetime | None = None
    last_effective: datetime | None = None
    opened_at: datetime | None = None
    ended_at: datetime | None = None
    evidence: str | None = None


@dataclass(frozen=True, slots=True)
class Nothing:
    """No alert changes. `state` may: store it when it differs from the one read."""

    state: GuardState
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Raise:
    """A new episode. `evidence` are the readings that show it; `cleared_at` is set when it was over already."""

    state: GuardState
    evidence: tuple[Reading, ...]
    observed: Decimal
    since: datetime
    cleared_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Update:
    """The open episode goes on, with more evidence. `observed` is None when a newer value is known."""

    state: GuardState
    evidence: tuple[Reading, ...]
    observed: Decimal | None


@dataclass(frozen=True, slots=True)
class Clear:
    """The open episode ended at `at` (effective time); `observed` is None when its evidence was withdrawn."""

    state: GuardState
    at: datetime
    observed: Decimal | None


Transition = Nothing | Raise | Update | Clear


def closed(state: GuardState, at: datetime) -> GuardState:
    """The state after a person closed the alert: what was known belongs to the episode, a later reading opens anew.

    `at` counts only when no reading is known.
    """
    return replace(state, open=False, pending_since=None, ended_at=state.last_effective or at)
