"""The limits of an allowance as search criteria: groups of which one has to hold.

https://hl7.org/fhir/R4/search.html; the check of what leaves repeats them on the resource.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache, lru_cache
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


def searchable(rule: TypeRule, ways: Iterable[Grant]) -> bool:
    """Whether a search of the type can say the limit at all."""
    return rule.owner is not None or rule.type_class != "personal" or _open(ways)


def narrowing(rule: TypeRule, ways: Iterable[Grant], *, hide_guards: bool) -> tuple[Group, ...]:
    """The groups for a search of a `searchable` type; empty: no limit."""
    guards = (NO_GUARDS,) if hide_guards and rule.type == GUARD_TYPE else ()
    groups = [group + guards for way in ways for group in _groups(rule, way)]
    if () in groups:
        return UNNARROWED
    # A group of hundreds of patients is only hashed where there is another one that it could equal.
    return tuple(dict.fromkeys(groups) if len(groups) > 1 else groups) or (NOBODY,)


def _open(ways: Iterable[Grant]) -> bool:
    return any(isinstance(way.reach, Everyone) for way in ways)


def _groups(rule: TypeRule, way: Grant) -> list[Group]:
    params = tuple([criterion(name, text) for name, text in way.params])
    return [owner + params for owner in _owner_groups(rule, way.reach)]


def _owner_groups(rule: TypeRule, reach: Reach) -> list[Group]:
    if isinstance(reach, Everyone) or rule.owner is None:
        return [()]
    groups = [_owned_by(rule.owner, reach)] if reach else []
    return [*groups, _unowned(rule.owner)] if rule.type_class == "optional" else groups


@cache
def _unowned(owner: str) -> Group:
    return (Match(owner, "reference", (MissingValue(True),), modifier="missing"),)


@lru_cache(maxsize=1024)
def _owned_by(owner: str, reach: frozenset[PatientId]) -> Group:
    """One group for all types with this parameter: a practitioner's may name hundreds of patients."""
    if owner == "_id":
        return (Match("_id", "token", tuple([TokenValue(None, patient) for patient in sorted(reach)])),)
    return (Match(owner, "reference", tuple([ReferenceValue("Patient", patient) for patient in sorted(reach)])),)
