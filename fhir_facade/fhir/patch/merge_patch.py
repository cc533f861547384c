"""JSON Merge Patch: members replace members, null removes. https://www.rfc-editor.org/rfc/rfc7396"""

from __future__ import annotations

from typing import Any

from fhir_facade.errors import BadRequest


def apply(resource: dict[str, Any], change: Any) -> dict[str, Any]:
    """The resource after the merge; BadRequest when the patch is no object."""
    if not isinstance(change, dict):
        raise BadRequest("A merge patch is a JSON object with the members to change; null removes a member.")
    return _merged(resource, change)


def _merged(target: Any, change: dict[str, Any]) -> dict[str, Any]:
    merged = dict(target) if isinstance(target, dict) else {}
    for name, value in change.items():
        if value is None:
            merged.pop(name, None)
        elif isinstance(value, dict):
            merged[name] = _merged(merged.get(name), value)
        else:
            merged[name] = value
    return merged
