"""Which alert rules and which alerts a write concerns: in memory only, because almost no write concerns any.

https://hl7.org/fhir/R4/observation.html, https://hl7.org/fhir/R4/task.html
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from fhir_facade.fhir.references import parse_reference
from fhir_facade.rules.alerts import Ids, Rule, business_status, is_open, rules_for
from fhir_facade.values import JsonObject, Ref
from terminology.canonical import identifier_system

WATCHED: Final = frozenset({"Observation", "Task"})
"""The types of which a write may concern an alert."""

LONGEST: Final = 9
"""Digits of the number of an episode."""
_ALERT: Final = identifier_system("alert")
_WITHDRAWN: Final = {"status": "entered-in-error"}


@dataclass(frozen=True, slots=True)
class Changed:
    """A write of a watched type. `after` None: deleted; `before` None: not there, or not known; `fresh`: cannot have
    been there."""

    ref: Ref
    before: JsonObject | None
    after: JsonObject | None
    body: bytes = b""
    fresh: bool = False


@dataclass(frozen=True, slots=True)
class Written:
    """An Observation as it is to be stored; `body` is empty when it was withdrawn from the rule by this write."""

    resource: JsonObject
    body: bytes = b""
    deleted: bool = False


@dataclass(frozen=True, slots=True)
class Concern:
    """One rule of one patient, and what was written of that, by the id of the Observation."""

    rule: Rule
    patient: str
    written: Mapping[str, Written]


@dataclass(frozen=True, slots=True)
class Handled:
    """The Task of an alert that somebody changed. `closed`: nobody has to deal with the alert any more."""

    rule: str
    patient: str
    episode: int
    state: str
    closed: bool

    @property
    def ids(self) -> Ids:
        return Ids.of(self.rule, self.patient, self.episode)


def concerns_of(changes: Iterable[Changed]) -> list[Concern]:
    """Every rule and patient once. An Observation that stopped being one of the rule or the patient is withdrawn."""
    rules: dict[tuple[str, str], Rule] = {}
    found: dict[tuple[str, str], dict[str, Written]] = {}
    for change in changes:
        if change.ref.type != "Observation":
            continue
        now, earlier = _watchers(change.after), _watchers(change.before)
        rules |= earlier | now
        for key in now:
            found.setdefault(key, {})[change.ref.id] = Written(change.after or {}, change.body)
        for key in earlier.keys() - now.keys():
            withdrawn = Written({**(change.before or {}), **_WITHDRAWN}, deleted=change.after is None)
            found.setdefault(key, {})[change.ref.id] = withdrawn
    return [Concern(rules[key], key[0], written) for key, written in found.items()]


def _watchers(observation: JsonObject | None) -> dict[tuple[str, str], Rule]:
    watching = rules_for(observation) if observation else ()
    patient = subject_of(observation) if observation and watching else None
    return {} if patient is None else {(patient, rule.id): rule for rule in watching}


def subject_of(observation: JsonObject) -> str | None:
    """The id of the patient of our own that an Observation is about."""
    return _patient(observation.get("subject"))


def _patient(reference: object) -> str | None:
    text = reference.get("reference") if isinstance(reference, Mapping) else None
    if not isinstance(text, str):
        return None
    target = parse_reference(text)
    return target.id if target.kind == "relative" and target.type == "Patient" else None


def handled_of(changes: Iterable[Changed]) -> list[Handled]:
    """The alerts whose Task moved to another state."""
    tasks = [change for change in changes if change.ref.type == "Task" and change.after is not None]
    found = (_handled(change.ref, change.before, change.after or {}) for change in tasks)
    return [handled for handled in found if handled is not None]


def _handled(ref: Ref, before: JsonObject | None, after: JsonObject) -> Handled | None:
    key = alert_key(after)
    state = business_status(after)
    if key is None or state is None or (before is not None and business_status(before) == state):
        return None
    rule, patient, episode = key
    handled = Handled(rule, patient, episode, state, not is_open(after))
    genuine = handled.ids.task == ref.id and _patient(after.get("for")) == patient
    return handled if genuine else None


def alert_key(resource: JsonObject) -> tuple[str, str, int] | None:
    """Rule, patient and episode of a resource of an alert, as its identifier says."""
    for identifier in resource.get("identifier", ()):
        if identifier.get("system") == _ALERT:
            rule, _, rest = str(identifier.get("value")).partition("|")
            patient, _, episode = rest.rpartition("|")
            return (rule, patient, int(episode)) if episode.isdecimal() and len(episode) <= LONGEST else None
    return None
