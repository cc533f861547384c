"""SMART scopes in plain words, for the consent page.

https://hl7.org/fhir/smart-app-launch/STU2.2/best-practices.html
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from fhir_facade.access.scopes import ScopeSet, write_scope
from fhir_facade.api.pages.texts import Text
from fhir_facade.values import Scope

OFFLINE: Final = "offline_access"
IDENTITY: Final = frozenset({"openid", "fhirUser"})
_VERBS: Final = (("see", "rs"), ("add", "c"), ("change", "u"), ("delete", "d"))


@dataclass(frozen=True, slots=True)
class Permission:
    """One line that can be unticked: `scope` is what the form sends, `text` what the person reads."""

    scope: str
    text: str


def permissions(scopes: ScopeSet, t: Text) -> list[Permission]:
    """What can be unticked: every scope on data, and access while the person is away."""
    lines = [Permission(write_scope(scope, v1=scope in scopes.v1), _sentence(scope, t)) for scope in scopes.fhir]
    if OFFLINE in scopes.launch:
        lines.append(Permission(OFFLINE, t("consent.offline")))
    return lines


def facts(scopes: ScopeSet, t: Text) -> list[str]:
    """What goes along without a choice."""
    known = []
    if IDENTITY & scopes.launch:
        known.append(t("consent.fact.identity"))
    if "launch/patient" in scopes.launch:
        known.append(t("consent.fact.patient"))
    return known


def _sentence(scope: Scope, t: Text) -> str:
    what = _what(scope, t)
    if scope.params:
        limits = ", ".join(t("consent.limit", name=name, value=value) for name, value in scope.params)
        what = t("consent.limited", what=what, limits=limits)
    return t("consent.verbs", verbs=_verbs(scope, t), what=what)


def _what(scope: Scope, t: Text) -> str:
    try:
        name = t(f"type.{scope.type}")
    except KeyError:
        name = t("type.other", type=scope.type)
    return t("consent.of_user" if scope.context == "user" else "consent.of_patient", what=name)


def _verbs(scope: Scope, t: Text) -> str:
    first, *more = [verb for verb, letters in _VERBS if scope.letters & set(letters)]
    head = t("verb.see") if first == "see" else t(f"verb.alone.{first}")
    return ", ".join([head, *(t(f"verb.{verb}") for verb in more)])
