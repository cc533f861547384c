"""Guard resources of the engines: Basic resources that only make racing writers collide; nobody else sees them.

https://hl7.org/fhir/R4/basic.html
"""

from __future__ import annotations

from typing import Any, Final

from fhir_facade.values import JsonObject, Match, TokenValue

GUARD_TYPE: Final = "Basic"
GUARD_CODE: Final = "alert-guard"

NO_GUARDS: Final = Match("code", "token", (TokenValue(None, GUARD_CODE),), modifier="not")
"""What a search adds so that guards are neither found nor counted."""


def is_guard(resource: JsonObject) -> bool:
    """Whether any coding of a Basic, of whatever system, says that it is a guard."""
    if resource.get("resourceType") != GUARD_TYPE:
        return False
    code = resource.get("code")
    codings = code.get("coding") if isinstance(code, dict) else None
    return any(_says_guard(coding) for coding in codings) if isinstance(codings, list) else False


def _says_guard(coding: Any) -> bool:
    return isinstance(coding, dict) and coding.get("code") == GUARD_CODE
