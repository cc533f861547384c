"""What a patient forbids: an active Consent that denies wins over every relationship, over emergency access too.

https://hl7.org/fhir/R4/consent.html: a rule and, inside it, exceptions that turn it round. Whoever is in doubt is denied:
a denial counts for all of the record also where it is limited to a part of it, and an exception from it counts only where
it is limited to a person and a time.
"""  # noqa: E501  one sentence

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final, Literal

from fhir_facade.access.care import Carer
from fhir_facade.access.owners import Foreign, owners
from fhir_facade.access.periods import covers, listed, names
from fhir_facade.values import JsonObject, Match, PatientId, ReferenceValue, SearchQuery, TokenValue

PATIENTS_AT_ONCE: Final = 200
_SCOPE: Final = "patient-privacy"
_PLAIN: Final = frozenset({"id", "type", "period", "actor", "provision"})
"""What an exception may say and still let somebody in."""

Verdict = Literal["deny", "permit"]


def denial_queries(patients: Iterable[PatientId], *, count: int = 1000) -> tuple[SearchQuery, ...]:
    """The searches whose results `denied` has to see, all pages of them."""
    ordered = sorted(patients)
    chunks = [ordered[at : at + PATIENTS_AT_ONCE] for at in range(0, len(ordered), PATIENTS_AT_ONCE)]
    active = Match("status", "token", (TokenValue(None, "active"),))
    scope = Match("scope", "token", (TokenValue(None, _SCOPE),))
    return tuple(SearchQuery("Consent", (_of(chunk), active, scope), count=count) for chunk in chunks)


def _of(patients: Sequence[PatientId]) -> Match:
    return Match("patient", "reference", tuple(ReferenceValue("Patient", each) for each in patients))


def denied(consents: Iterable[JsonObject], carer: Carer, now: datetime) -> frozenset[PatientId]:
    """The patients who forbid this carer at `now` to see their record."""
    found: set[PatientId] = set()
    for consent in consents:
        if _denies(consent, carer, now):
            found |= {owner for owner in owners(consent) if not isinstance(owner, Foreign)}
    return frozenset(found)


def _denies(consent: JsonObject, carer: Carer, now: datetime) -> bool:
    about_privacy = any(coding.get("code") == _SCOPE for coding in listed(_object(consent.get("scope")), "coding"))
    if consent.get("resourceType") != "Consent" or consent.get("status") != "active" or not about_privacy:
        return False
    return _verdict(_object(consent.get("provision")), carer, now) == "deny"


def _verdict(rule: JsonObject, carer: Carer, now: datetime) -> Verdict | None:
    """What a rule with its exceptions says of the carer; None: nothing. Among exceptions a denial wins."""
    denying = rule.get("type") == "deny"
    if not covers(rule, now, unreadable=denying) or not _meant(rule, carer):
        return None
    exceptions = {_verdict(each, carer, now) for each in listed(rule, "provision")}
    if "deny" in exceptions:
        return "deny"
    if denying:
        return "permit" if "permit" in exceptions else "deny"
    return "permit" if rule.get("type") == "permit" and rule.keys() <= _PLAIN else None


def _meant(rule: JsonObject, carer: Carer) -> bool:
    """Whether the rule is for this carer: one of its actors, or everybody where it names none."""
    actors = list(listed(rule, "actor"))
    return not actors or any(names(actor.get("reference"), each) for actor in actors for each in carer.references)


def _object(value: Any) -> JsonObject:
    return value if isinstance(value, dict) else {}
