"""The limits of an allowance as search criteria: groups of which one has to hold.

https://hl7.org/fhir/R4/search.html; the check of what leaves repeats them on the resource.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from fhir_facade.access.compartment import TypeRule
from fhir_facade.access.granular import criterion
from fhir_facade.access.guards import GUARD_TYPE, NO_GUARDS
from fhir_facade.access.rights import Everyone, Grant, Reach
from fhir_facade.values import Criterion, Match, MissingValue, PatientId, ReferenceValue, TokenValue

Group = tuple[Criterion, ...]

UNNARROWED: Final[tuple[Group, ...]] = ()
NOBODY: Final[Group] = (Match("_id", "token", (TokenValue(None, "nobody_"),)),)
"""A group that no resource satisfies: `_` is no character of an id. Stands where a reach is empty, so that forgetting
the case cannot open everything."""


def narrowing(rule: TypeRule, ways: Iterable[Grant], *, hide_guards: bool) -> tuple[Group, ...] | None:
    """The groups for a search of the type; empty: no limit; None: the limit cannot be searched, so neither the type."""
    if rule.owner is None and rule.type_class == "personal" and not _open(ways):
        return None
    guards = (NO_GUARDS,) if hide_guards and rule.type == GUARD_TYPE else ()
    groups = dict.fromkeys(group + guards for way in ways for group in _groups(rule, way))
    return UNNARROWED if () in groups else tuple(groups) or (NOBODY,)


def _open(ways: Iterable[Grant]) -> bool:
    return any(isinstance(way.reach, Everyone) for way in ways)


def _groups(rule: TypeRule, way: Grant) -> Iterator[Group]:
    params = tuple(criterion(name, text) for name, text in way.params)
    for owner in _owner_groups(rule, way.reach):
        yield owner + params


def _owner_groups(rule: TypeRule, reach: Reach) -> Iterator[Group]:
    if isinstance(reach, Everyone) or rule.owner is None:
        yield ()
        return
    if reach:
        yield (_owned_by(rule.owner, reach),)
    if rule.type_class == "optional":
        yield (Match(rule.owner, "reference", (MissingValue(True),), modifier="missing"),)


def _owned_by(owner: str, reach: frozenset[PatientId]) -> Match:
    if owner == "_id":
        return Match("_id", "token", tuple(TokenValue(None, patient) for patient in sorted(reach)))
    return Match(owner, "reference", tuple(ReferenceValue("Patient", patient) for patient in sorted(reach)))
