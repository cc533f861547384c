"""May this principal do that, and for whose records? A table of rows, closed by default.

https://hl7.org/fhir/R4/security.html, https://hl7.org/fhir/smart-app-launch/scopes-and-launch-context.html
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Final

import msgspec

from fhir_facade.access.cardinality import single_owner
from fhir_facade.access.check import Check, Deny
from fhir_facade.access.compartment import type_rules
from fhir_facade.access.guards import NO_GUARDS
from fhir_facade.access.narrow import UNNARROWED, Group, narrowing, searchable
from fhir_facade.access.rights import EVERYONE, Grant, Rights, grants, operations, rights_of
from fhir_facade.values import Interaction, PatientId, Principal

_LETTERS: Final[Mapping[Interaction, str]] = MappingProxyType(
    {
        Interaction.CREATE: "c",
        Interaction.READ: "r",
        Interaction.VREAD: "r",
        Interaction.HISTORY_INSTANCE: "r",
        Interaction.UPDATE: "u",
        Interaction.PATCH: "u",
        Interaction.DELETE: "d",
        Interaction.SEARCH_TYPE: "s",
        Interaction.SEARCH_SYSTEM: "s",
        Interaction.HISTORY_TYPE: "s",
        Interaction.HISTORY_SYSTEM: "s",
    }
)
_OF_THE_WHOLE: Final = frozenset({Interaction.SEARCH_SYSTEM, Interaction.HISTORY_SYSTEM})
_ENVELOPES: Final = frozenset({Interaction.BATCH, Interaction.TRANSACTION})
_WHOLE_TYPE: Final = (UNNARROWED, ((NO_GUARDS,),))
"""Limits that do not depend on who asks; each version that leaves is checked too."""
_VERBS: Final = {"c": "create", "r": "read", "u": "update", "d": "delete", "s": "search"}


class Ask(msgspec.Struct, frozen=True):
    """What somebody wants to do. `type` None: the whole server. `circle`: the patients in the care of a practitioner, a
    proxy or an institution.

    An empty circle reaches nobody. `operation` is a name without `$`.
    """

    interaction: Interaction
    type: str | None = None
    id: str | None = None
    operation: str | None = None
    circle: frozenset[PatientId] = frozenset()


class Allow(msgspec.Struct, frozen=True):
    """Yes, within limits: a search has to satisfy one group of `narrow` (empty: no limit), and everything that leaves
    or is written has to pass `check`, whatever the store answered.

    `exact`: a match that fails the check is a defect of the store or of the narrowing. Otherwise a search cannot say
    all of the limit (several owners, patients named in shared records), and such a match is left out.
    """

    check: Check
    exact: bool = False

    @property
    def narrow(self) -> tuple[Group, ...]:
        """Written when a search asks for it: what is read by its id needs the check alone."""
        return _narrow(self.check)


def decide(principal: Principal, ask: Ask) -> Allow | Deny:
    """The decision; the same for a record that is foreign and one that is absent, because it looks at no record.

    Batches and transactions are let in: each entry asks for itself, and so does each type of a search or a history of
    several.
    """
    rights = rights_of(principal, ask.circle)
    if ask.interaction is Interaction.OPERATION and rights.kind != "anonymous":
        return _operation(rights, ask.type, ask.operation or "")
    return _decide(rights, ask.interaction, ask.type)


@lru_cache(maxsize=2048)
def _decide(rights: Rights, interaction: Interaction, type_name: str | None) -> Allow | Deny:
    """Remembered by names of R4 only, never by what a caller made up."""
    if interaction is Interaction.CAPABILITIES:
        return Allow(Check(rights, type_name, ""))
    if rights.kind == "anonymous":
        return Deny("unauthenticated", "Sign in: this needs an access token.")
    if interaction in _ENVELOPES:
        return Allow(Check(rights, None, ""))
    if interaction in _OF_THE_WHOLE:
        return _some_types(rights)
    return _typed(rights, type_name or "", _LETTERS[interaction])


def is_whole(allow: Allow) -> bool:
    """Whether what is allowed is everything of the type, or on the whole server; guards aside, which each version that
    leaves is looked at for."""
    if allow.check.type is not None:
        return allow.narrow in _WHOLE_TYPE
    return isinstance(_whole_server(allow.check.rights), Allow)


def _typed(rights: Rights, type_name: str, letter: str) -> Allow | Deny:
    rule = type_rules().get(type_name)
    if rule is None:
        return Deny("forbidden", f"{type_name} is not a resource type of FHIR R4.")
    ways = grants(rights, type_name, letter)
    if not ways:
        return _missing(type_name, letter)
    if rule.type_class not in ("shared", "optional") and _needs_patient(rights, ways):
        return Deny("forbidden", "The token has no patient in context: launch with one, or ask for launch/patient.")
    if letter == "s" and not searchable(rule, ways):
        return Deny("forbidden", f"{type_name} cannot be searched here: read it by its id.")
    exact = rule.type_class in ("person", "personal") and single_owner(type_name)
    return Allow(Check(rights, type_name, letter), exact)


@lru_cache(maxsize=1024)
def _narrow(check: Check) -> tuple[Group, ...]:
    if check.type is None or not check.letter:
        return UNNARROWED
    ways = grants(check.rights, check.type, check.letter)
    return narrowing(type_rules()[check.type], ways, hide_guards=check.rights.engine is None)


def _needs_patient(rights: Rights, ways: tuple[Grant, ...]) -> bool:
    return rights.kind in ("patient", "backend") and rights.patient is None and not any(way.reach for way in ways)


@lru_cache(maxsize=1024)
def _missing(type_name: str, letter: str) -> Deny:
    verb = _VERBS[letter]
    return Deny(
        "forbidden",
        f"Not allowed: {verb} {type_name}. The token needs a scope like {type_name}.{letter}, "
        f"and the signed-in user the right to {verb} it.",
    )


def _operation(rights: Rights, type_name: str | None, name: str) -> Allow | Deny:
    rule = operations().get(name)
    if rule is not None and type_name is None and rule.system:
        return _whole_server(rights)
    if rule is None or type_name is None or not rule.types & {"*", type_name}:
        return Deny("forbidden", f"The operation ${name} is not open on {type_name or 'the whole server'}.")
    answers = [_typed(rights, type_name, letter) for letter in rule.letters]
    return next((answer for answer in answers if isinstance(answer, Deny)), answers[-1])


def _some_types(rights: Rights) -> Allow | Deny:
    """A search or history of several types is let in when one of them may be searched: each asks for itself."""
    if any(grants(rights, rule.type, "s") for rule in type_rules().values()):
        return Allow(Check(rights, None, "s"))
    return Deny("forbidden", "Not allowed: search. The token needs a scope like Observation.s.")


@lru_cache(maxsize=1024)
def _whole_server(rights: Rights) -> Allow | Deny:
    stored = [rule.type for rule in type_rules().values() if rule.type_class != "transient"]
    if all(any(way == Grant(EVERYONE) for way in grants(rights, name, "s")) for name in stored):
        return Allow(Check(rights, None, "s"))
    return Deny("forbidden", "The token does not reach the whole server: ask for one type.")
