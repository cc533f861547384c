"""What only engines write: guards, which are Basic resources that make racing writers collide and that nobody else
sees, the health score and the definitions of alert rules, which everybody else only reads.

https://hl7.org/fhir/R4/basic.html
"""

from __future__ import annotations

from typing import Any, Final

from fhir_facade.values import JsonObject, Match, TokenValue
from terminology.canonical import ALERT, BASE, HEALTH_SCORE

GUARD_TYPE: Final = "Basic"
GUARD_CODE: Final = "alert-guard"

_SCORE: Final = "le8-composite"

NO_GUARDS: Final = Match("code", "token", (TokenValue(None, GUARD_CODE),), modifier="not")
"""What a search adds so that guards are neither found nor counted."""


def is_guard(resource: JsonObject) -> bool:
    """Whether any coding of a Basic, of whatever system, says that it is a guard."""
    return resource.get("resourceType") == GUARD_TYPE and GUARD_CODE in [code for _, code in _codes(resource)]


def is_computed(resource: JsonObject) -> bool:
    """Whether it says to be the health score, which is computed and never told."""
    return resource.get("resourceType") == "Observation" and (HEALTH_SCORE, _SCORE) in _codes(resource)


def is_definition(resource: JsonObject) -> bool:
    """Whether it is an alert rule of this project, or the code system of them: its own id under our own address."""
    kind, url = resource.get("resourceType"), resource.get("url")
    return url == f"{BASE}/{kind}/{resource.get('id')}" and (kind == "PlanDefinition" or url == ALERT)


def _codes(resource: JsonObject) -> list[tuple[Any, Any]]:
    """System and code of each coding; nothing of what is no list of them."""
    code = resource.get("code")
    codings = code.get("coding") if isinstance(code, dict) else None
    listed = codings if isinstance(codings, list) else []
    return [(one.get("system"), one.get("code")) for one in listed if isinstance(one, dict)]
