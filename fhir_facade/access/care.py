"""Whose records somebody reaches beyond an own one: a practitioner's, a proxy's and an institution's patients.

https://hl7.org/fhir/R4/patient-definitions.html#Patient.generalPractitioner, https://hl7.org/fhir/R4/careteam.html,
https://hl7.org/fhir/R4/practitionerrole.html, https://hl7.org/fhir/R4/relatedperson.html; one answer for the picker,
alerts, streams and searches. What a Consent denies is taken out again: see `denial`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Final

import msgspec

from fhir_facade.access.owners import Foreign, owners
from fhir_facade.access.periods import covers, listed, names
from fhir_facade.values import (
    Criterion,
    JsonObject,
    Match,
    PatientId,
    Principal,
    PrincipalKind,
    ReferenceValue,
    SearchQuery,
    TokenValue,
)


@dataclass(frozen=True, slots=True)
class Carer:
    """Somebody who reaches patients: `itself` is `Practitioner/1`, `RelatedPerson/1` or `Organization/1`.

    `organizations` are those where a practitioner has a role with permission, ids without the type.
    """

    itself: str
    organizations: frozenset[str] = frozenset()

    @property
    def type(self) -> str:
        return self.itself.partition("/")[0]

    @property
    def id(self) -> str:
        return self.itself.partition("/")[2]

    @property
    def references(self) -> frozenset[str]:
        """Everything a record may call them by."""
        return frozenset({self.itself, *(f"Organization/{id_}" for id_ in self.organizations)})


_ITSELF: Final[Mapping[PrincipalKind, Callable[[Principal], tuple[str, str | None]]]] = MappingProxyType(
    {
        "practitioner": lambda principal: ("Practitioner", principal.practitioner),
        "proxy": lambda principal: ("RelatedPerson", principal.related_person),
        "staff": lambda principal: ("Organization", principal.organization),
    }
)


def carer_of(principal: Principal) -> Carer | None:
    """Who asks, as records name them; None for those who reach nobody but themselves."""
    if principal.kind not in _ITSELF:
        return None
    type_, id_ = _ITSELF[principal.kind](principal)
    return Carer(f"{type_}/{id_}") if id_ else None


# --- where somebody works -------------------------------------------------------------------------------------


class _Permissions(msgspec.Struct, forbid_unknown_fields=True):
    source: str
    system: str
    care: frozenset[str]


@cache
def _permissions() -> _Permissions:
    return msgspec.json.decode(files(__package__).joinpath("permissions.json").read_bytes(), type=_Permissions)


def role_queries(carer: Carer, *, count: int = 1000) -> tuple[SearchQuery, ...]:
    """The searches whose results `organizations_of` has to see; none for who has no roles."""
    if carer.type != "Practitioner":
        return ()
    active = Match("active", "token", (TokenValue(None, "true"),))
    return (SearchQuery("PractitionerRole", (_named("practitioner", carer.itself), active), count=count),)


def organizations_of(roles: Iterable[JsonObject], carer: Carer, now: datetime) -> frozenset[str]:
    """The institutions at which the practitioner has an active role at `now` that permits to care."""
    held = (role for role in roles if names(role.get("practitioner"), carer.itself))
    found = (_organization(role) for role in held if role.get("active") is True and covers(role, now) and _cares(role))
    return frozenset(id_ for id_ in found if id_)


def _cares(role: JsonObject) -> bool:
    codings = (coding for concept in listed(role, "code") for coding in listed(concept, "coding"))
    known = _permissions()
    return any(coding.get("system") == known.system and coding.get("code") in known.care for coding in codings)


def _organization(role: JsonObject) -> str:
    reference = role.get("organization")
    text = reference.get("reference") if isinstance(reference, dict) else None
    return text.removeprefix("Organization/") if isinstance(text, str) and text.startswith("Organization/") else ""


# --- whom somebody cares for ----------------------------------------------------------------------------------


def circle_queries(carer: Carer, *, count: int = 1000) -> tuple[SearchQuery, ...]:
    """The searches whose results `circle_of` has to see, all pages of them; periods are judged there, not here."""
    return tuple(SearchQuery(type_, criteria, count=count) for type_, criteria in _asked(carer))


def _asked(carer: Carer) -> list[tuple[str, tuple[Criterion, ...]]]:
    active = Match("status", "token", (TokenValue(None, "active"),))
    if carer.type == "RelatedPerson":
        return [("RelatedPerson", (Match("_id", "token", (TokenValue(None, carer.id),)),))]
    if carer.type == "Organization":
        return [("Patient", (_named("organization", carer.itself),))]
    own = [
        ("Patient", (_named("general-practitioner", carer.itself),)),
        ("CareTeam", (_named("participant", carer.itself), active)),
    ]
    there = tuple(f"Organization/{id_}" for id_ in sorted(carer.organizations))
    return [*own, ("Patient", (_named("organization", *there),))] if there else [*own]


def _named(name: str, *references: str) -> Match:
    values = tuple(ReferenceValue(*reference.split("/")) for reference in references)
    return Match(name, "reference", values)


def circle_of(resources: Iterable[JsonObject], carer: Carer, now: datetime) -> frozenset[PatientId]:
    """The patients whom the carer reaches at `now` (aware), judged on the resources themselves.

    Other types and teams about nobody add nothing; a CareTeam without status is not active.
    """
    found: set[PatientId] = set()
    for resource in resources:
        if _reaches(resource, carer, now):
            found |= {owner for owner in owners(resource) if not isinstance(owner, Foreign)}
    return frozenset(found)


_RELATIONS: Final = frozenset({"CareTeam", "Consent", "RelatedPerson"})
_RELATED_BY: Final = ("generalPractitioner", "managingOrganization")


def changes_care(before: JsonObject | None, after: JsonObject | None) -> bool:
    """Whether a write may change who reaches a patient. `before` None: created; `after` None: deleted."""
    old, new = before or {}, after or {}
    type_name = new.get("resourceType", old.get("resourceType"))
    if type_name == "Patient":
        return any(old.get(name) != new.get(name) for name in _RELATED_BY)
    return type_name in _RELATIONS


def _reaches(resource: JsonObject, carer: Carer, now: datetime) -> bool:
    match resource.get("resourceType"), carer.type:
        case "RelatedPerson", "RelatedPerson":
            return resource.get("id") == carer.id and resource.get("active") is not False and covers(resource, now)
        case "Patient", "Practitioner":
            return _treats(resource, carer) or _manages(resource, carer)
        case "Patient", "Organization":
            return names(resource.get("managingOrganization"), carer.itself)
        case "CareTeam", "Practitioner":
            active = resource.get("status") == "active" and covers(resource, now)
            return active and _takes_part(resource, carer, now)
        case _:
            return False


def _treats(patient: JsonObject, carer: Carer) -> bool:
    return any(names(reference, carer.itself) for reference in listed(patient, "generalPractitioner"))


def _manages(patient: JsonObject, carer: Carer) -> bool:
    return any(names(patient.get("managingOrganization"), f"Organization/{id_}") for id_ in carer.organizations)


def _takes_part(team: JsonObject, carer: Carer, now: datetime) -> bool:
    return any(
        names(participant.get("member"), carer.itself) and covers(participant, now)
        for participant in listed(team, "participant")
    )
