"""A practitioner's patients: those whose generalPractitioner names them, or whose active CareTeam has them now.

https://hl7.org/fhir/R4/patient-definitions.html#Patient.generalPractitioner, https://hl7.org/fhir/R4/careteam.html;
one answer for the picker, alerts, streams and searches.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from fhir_facade.access.owners import Foreign, owners
from fhir_facade.fhir.extract.dates import MAX_US, MIN_US, interval, to_us
from fhir_facade.values import JsonObject, Match, PatientId, ReferenceValue, SearchQuery, TokenValue


def circle_queries(practitioner: str, *, count: int = 1000) -> tuple[SearchQuery, ...]:
    """The searches whose results `circle_of` has to see, all pages of them; periods are judged there, not here."""
    named = (ReferenceValue("Practitioner", practitioner),)
    active = Match("status", "token", (TokenValue(None, "active"),))
    return (
        SearchQuery("Patient", (Match("general-practitioner", "reference", named),), count=count),
        SearchQuery("CareTeam", (Match("participant", "reference", named), active), count=count),
    )


def circle_of(resources: Iterable[JsonObject], practitioner: str, now: datetime) -> frozenset[PatientId]:
    """The patients in the practitioner's care at `now` (aware), judged on the resources themselves.

    Other types and teams about nobody add nothing; a CareTeam without status is not active.
    """
    found: set[PatientId] = set()
    for resource in resources:
        if _cares(resource, f"Practitioner/{practitioner}", now):
            found |= {owner for owner in owners(resource) if not isinstance(owner, Foreign)}
    return frozenset(found)


def _cares(resource: JsonObject, practitioner: str, now: datetime) -> bool:
    match resource.get("resourceType"):
        case "Patient":
            return any(_names(reference, practitioner) for reference in _listed(resource, "generalPractitioner"))
        case "CareTeam":
            return (
                resource.get("status") == "active"
                and _covers(resource, now)
                and _takes_part(resource, practitioner, now)
            )
        case _:
            return False


def _takes_part(team: JsonObject, practitioner: str, now: datetime) -> bool:
    return any(
        _names(participant.get("member"), practitioner) and _covers(participant, now)
        for participant in _listed(team, "participant")
    )


def _names(reference: Any, practitioner: str) -> bool:
    text = reference.get("reference") if isinstance(reference, dict) else None
    return isinstance(text, str) and text.partition("/_history/")[0] == practitioner


def _listed(node: JsonObject, name: str) -> Iterator[dict[str, Any]]:
    items = node.get(name)
    return (item for item in items if isinstance(item, dict)) if isinstance(items, list) else iter(())


def _covers(node: Mapping[str, Any], now: datetime) -> bool:
    """Whether `node.period` covers the moment: open ends always do, an unreadable one never, a date means all of it."""
    period = node.get("period")
    if period is None:
        return True
    if not isinstance(period, dict):
        return False
    start, end = (_microseconds(period.get(name)) for name in ("start", "end"))
    moment = to_us(now)
    return start is not None and end is not None and start[0] <= moment < end[1]


def _microseconds(text: Any) -> tuple[int, int] | None:
    if text is None:
        return (MIN_US, MAX_US)
    return interval(text) if isinstance(text, str) else None
