"""Everything that a case has left behind, as one value: two are equal when nobody could tell them apart.

What differs from case to case (ids, moments) is named alike in all.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fhir_facade.errors import Gone, NotFound
from fhir_facade.fhir.query import parse_query
from fhir_facade.ports import Ports
from fhir_facade.rows.accounts import Account
from fhir_facade.rows.alerts import GuardMark
from fhir_facade.rows.audit import AuditLine
from fhir_facade.rows.events import Event
from fhir_facade.rows.intents import Intent, IntentKey
from fhir_facade.rules.alerts import Ids, guard_id
from fhir_facade.values import HistoryQuery, Ref, StoredResource
from tests.crash.bundles import CASE, STATE, TYPES, VERY_HIGH, Story
from tests.crash.lives import Case

ALERT_TYPES = ("DetectedIssue", "Task", "Flag")
WRITES = ("create", "update", "patch", "delete", "admin")
OF_THE_CLOCK = frozenset(
    ("meta", "effectiveDateTime", "identifiedPeriod", "period", "authoredOn", "lastModified", "occurrencePeriod")
)


@dataclass(frozen=True, slots=True)
class Sight:
    """`resources`: what a read says of each that was ever given an id, with all its versions. `alerts`: findings, tasks and banners with their
    states. `audit`: the writes that are said to have happened."""

    resources: Mapping[str, Any]
    alerts: tuple[str, ...]
    audit: tuple[str, ...]
    events: tuple[str, ...]
    evidence: tuple[str, ...]
    accounts: tuple[str, ...]

    def about(self, name: str) -> tuple[tuple[str, ...], ...]:
        """The part of it in which a name occurs."""
        texts = (map(str, self.resources.items()), self.alerts, self.audit, self.events, self.evidence)
        return tuple(tuple(text for text in some if name in text) for some in texts)


async def sight(ports: Ports, case: Case, story: Story, like: Sight | None = None) -> Sight:
    """What is there now. Fails when a search does not find exactly what reads find, or an intent is left.

    Ids are given in the same order each time, so a sight of another case, `like`, says where to look.
    """
    assert await _rows(ports, Intent) == await _rows(ports, IntentKey) == []
    names = _names(case, story)
    refs = _refs(case, story) if like is None else [_ref(case, name) for name in like.resources]
    found = await asyncio.gather(*(_read(ports, ref) for ref in refs))
    live = {ref: stored for ref, stored in zip(refs, found, strict=True) if stored is not None}
    versions = await asyncio.gather(*(_versions(ports, ref) for ref in refs))
    await _searched(ports, case, live)
    return Sight(
        resources={
            names(str(ref)): (names(timeless(live[ref])) if ref in live else None, told)
            for ref, told in zip(refs, versions, strict=True)
        },
        alerts=tuple(sorted([names(timeless(each)) for each in await _alerts(ports, story.patients(case))])),
        audit=_own(names, case, await _rows(ports, AuditLine), _audited),
        events=_own(names, case, await _rows(ports, Event), lambda row: f"{row.topic} {row.kind} {row.patient}"),
        evidence=_own(names, case, await _rows(ports, GuardMark), lambda row: row.id if "/" in row.id else ""),
        accounts=_own(
            names, case, await _rows(ports, Account), lambda row: f"{row.username} {row.role} {_person(row)}"
        ),
    )


def _ref(case: Case, name: str) -> Ref:
    return Ref(*name.replace("CASE", case.prefix).split("/"))


def _person(row: Account) -> str | None:
    return row.patient_id or row.practitioner_id or row.related_person_id


def _audited(line: AuditLine) -> str:
    if line.action not in WRITES or line.outcome != "success" or line.detail == "found instead of created":
        return ""
    return f"{line.actor} {line.action} {line.entity} of {line.patient} {line.user} {line.detail}"


def _own(names: Any, case: Case, rows: Iterable[Any], told: Any) -> tuple[str, ...]:
    texts = (names(told(row)) for row in rows)
    return tuple(sorted(text for text in texts if "CASE" in text))


def _refs(case: Case, story: Story) -> list[Ref]:
    """Everything that may be there: what was stored, what entries name, and each id that was given away."""
    named = [Ref(each["resourceType"], each["id"]) for each in story.stored(case)]
    asked = [Ref(*url.split("/")) for entry in story.entries(case) if "/" in (url := _url(entry)) and "?" not in url]
    given = [Ref(type_, id_) for id_ in case.ids.given for type_ in TYPES]
    return list(dict.fromkeys([*named, *asked, *given]))


def _url(entry: Mapping[str, Any]) -> str:
    return str(entry["request"]["url"])


async def _read(ports: Ports, ref: Ref) -> StoredResource | None:
    try:
        return await ports.store.read(ref)
    except (NotFound, Gone):
        return None


async def _versions(ports: Ports, ref: Ref) -> list[str]:
    """None of what never was."""
    try:
        page = await ports.store.history(HistoryQuery(ref.type, ref.id, count=50))
    except NotFound:
        return []
    return [f"{each.version} {'deleted' if each.deleted else 'stored'}" for each in page.entries]


async def _searched(ports: Ports, case: Case, live: Mapping[Ref, StoredResource]) -> None:
    """By its case each is found, by the name of the state it is in too, and by no other state."""
    for type_ in TYPES:
        there = {ref: stored for ref, stored in live.items() if ref.type == type_}
        assert await _find(ports, type_, [f"{CASE}|{case.prefix}"]) == there.keys()
        now = [_state(stored) for stored in there.values()]
        past = [name for state in now for name in _states(state.rpartition(".")[0]) if name not in now]
        for states, found in ((now, there.keys()), (past, set())):
            assert not states or await _find(ports, type_, [f"{STATE}|{state}" for state in states]) == found


def _state(stored: StoredResource) -> str:
    identifiers = json.loads(stored.body)["identifier"]
    return next(str(each["value"]) for each in identifiers if each["system"] == STATE)


def _states(name: str) -> tuple[str, str]:
    return f"{name}.before", f"{name}.after"


async def _find(ports: Ports, type_: str, identifiers: Iterable[str]) -> set[Ref]:
    return {each.ref for each in await _all(ports, type_, ("identifier", ",".join(identifiers)))}


async def _all(ports: Ports, type_: str, *params: tuple[str, str]) -> list[StoredResource]:
    query = parse_query(type_, (*params, ("_count", "100")), now=ports.clock.now()).query
    page = await ports.store.search(query)
    assert page.cursor is None
    return list(page.entries)


async def _alerts(ports: Ports, patients: Sequence[str]) -> list[StoredResource]:
    asked = ("patient", ",".join(patients))
    found = [await _all(ports, kind, asked) for kind in ALERT_TYPES if patients]
    return [each for some in found for each in some]


async def _rows(ports: Ports, row: type[Any]) -> list[Any]:
    return await ports.state.read(lambda tx: tx.find(row))


def timeless(stored: StoredResource) -> str:
    """A resource without the moments at which it was written."""
    return json.dumps(_without_moments(json.loads(stored.body, parse_float=str)), sort_keys=True)


def _without_moments(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_moments(member) for name, member in value.items() if name not in OF_THE_CLOCK}
    return [_without_moments(member) for member in value] if isinstance(value, list) else value


def _names(case: Case, story: Story) -> Any:
    """A function that writes CASE for what belongs to the case."""
    hidden: dict[str, str] = {}
    for who in story.patients(case):
        ids = Ids.of(VERY_HIGH, who, 1)
        known = {"guard": guard_id(VERY_HIGH, who), "issue": ids.issue, "task": ids.task, "flag": ids.flag}
        hidden |= {id_: f"{kind} of {who}" for kind, id_ in known.items()}

    def named(text: str) -> str:
        for id_, name in hidden.items():
            text = text.replace(id_, name)
        return text.replace(case.prefix, "CASE")

    return named
