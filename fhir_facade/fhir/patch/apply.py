"""A patch applied to the bytes of a resource; numbers that it does not touch keep their digits.

https://hl7.org/fhir/R4/http.html#patch
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from fhir_facade.errors import BadRequest, UnsupportedFormat
from fhir_facade.fhir.document import decimal_dumps, decimal_loads, parse_json
from fhir_facade.fhir.patch import fhirpath_patch, json_patch, merge_patch

PATCH_FORMATS = ("application/json-patch+json", "application/fhir+json", "application/merge-patch+json")
"""What the CapabilityStatement announces; application/json is taken too, and means what the body looks like."""


def apply_patch(current: bytes, patch: bytes, content_type: str) -> bytes:
    """The resource as it is after the patch; whether it is valid is not judged here.

    UnsupportedFormat: another content type. BadRequest: the patch cannot be read or does not fit the resource, or it
    changes resourceType or id. InvalidResource: a `test` of a JSON Patch failed. Arrays and objects that the patch
    leaves empty are left out.
    """
    parse_json(patch)
    change = decimal_loads(patch)
    apply = _applier(content_type, change)
    before = decimal_loads(current)
    kind, identity = before["resourceType"], before.get("id")
    after = apply(before, change)
    if after.get("resourceType") != kind:
        raise BadRequest("A patch cannot change the resourceType.", expression="resourceType")
    if after.get("id") != identity:
        raise BadRequest("A patch cannot change the id.", expression="id")
    return decimal_dumps(without_empty(after))


Applier = Callable[[dict[str, Any], Any], dict[str, Any]]

_APPLIERS: Mapping[str, Applier] = {
    "application/json-patch+json": json_patch.apply,
    "application/fhir+json": fhirpath_patch.apply,
    "application/merge-patch+json": merge_patch.apply,
}


def _applier(content_type: str, change: Any) -> Applier:
    essence = content_type.partition(";")[0].strip().lower()
    if essence == "application/json":  # says nothing about the kind, so the body decides
        return _looks_like(change)
    if essence not in _APPLIERS:
        known = ", ".join(PATCH_FORMATS)
        raise UnsupportedFormat(f"A patch of content type '{essence}' is not supported; send one of: {known}.")
    return _APPLIERS[essence]


def _looks_like(change: Any) -> Applier:
    if isinstance(change, list):
        return json_patch.apply
    if isinstance(change, dict) and change.get("resourceType") == "Parameters":
        return fhirpath_patch.apply
    return merge_patch.apply


def without_empty(value: Any) -> Any:
    """The value without members and items that are empty arrays or objects, which FHIR does not allow."""
    if isinstance(value, dict):
        kept = {name: without_empty(item) for name, item in value.items()}
        return {name: item for name, item in kept.items() if item not in ([], {})}
    if isinstance(value, list):
        return [item for item in map(without_empty, value) if item not in ([], {})]
    return value
