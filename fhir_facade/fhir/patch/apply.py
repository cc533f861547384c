"""A patch applied to the bytes of a resource; numbers that it does not touch keep their digits.

https://hl7.org/fhir/R4/http.html#patch
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from itertools import zip_longest
from typing import Any

from fhir_facade.errors import BadRequest, UnsupportedFormat
from fhir_facade.fhir.document import MAX_DEPTH, decimal_dumps, decimal_loads, parse_json
from fhir_facade.fhir.media_types import FHIR_JSON
from fhir_facade.fhir.patch import json_patch, merge_patch

JSON_PATCH, MERGE_PATCH = "application/json-patch+json", "application/merge-patch+json"
PATCH_FORMATS = (JSON_PATCH, FHIR_JSON, MERGE_PATCH)
"""What the CapabilityStatement announces; application/json is taken too, and means what the body looks like."""


def apply_patch(current: bytes, patch: bytes, content_type: str, now: datetime) -> bytes:
    """The resource as it is after the patch at a time; whether it is valid is not judged here.

    UnsupportedFormat: another content type. BadRequest: the patch cannot be read or does not fit the resource, or it
    changes resourceType or id. InvalidResource: a `test` of a JSON Patch failed. Arrays and objects that the patch
    leaves empty are left out.
    """
    parse_json(patch)
    change = decimal_loads(patch)
    apply = _applier(content_type, change)
    before = decimal_loads(current)
    kind, identity = before["resourceType"], before.get("id")
    try:
        after = without_empty(apply(before, change, now))
        patched = decimal_dumps(after)
    except RecursionError as error:  # each part of the patch may be as deep as a resource
        raise BadRequest(f"What comes out of the patch is nested deeper than {MAX_DEPTH} levels.") from error
    if after.get("resourceType") != kind:
        raise BadRequest("A patch cannot change the resourceType.", expression="resourceType")
    if after.get("id") != identity:
        raise BadRequest("A patch cannot change the id.", expression="id")
    return patched


Applier = Callable[[dict[str, Any], Any, datetime], dict[str, Any]]


def _fhirpath_patch(resource: dict[str, Any], change: Any, now: datetime) -> dict[str, Any]:
    from fhir_facade.fhir.patch import fhirpath_patch  # a language of its own: read when the first one comes

    return fhirpath_patch.apply(resource, change, now)


_APPLIERS: Mapping[str, Applier] = {
    JSON_PATCH: lambda resource, change, _: json_patch.apply(resource, change),
    FHIR_JSON: _fhirpath_patch,
    MERGE_PATCH: lambda resource, change, _: merge_patch.apply(resource, change),
}


def _applier(content_type: str, change: Any) -> Applier:
    essence = content_type.partition(";")[0].strip().lower()
    if essence == "application/json":  # says nothing about the kind, so the body decides
        essence = _looks_like(change)
    if essence not in _APPLIERS:
        known = ", ".join(PATCH_FORMATS)
        raise UnsupportedFormat(f"A patch of content type '{essence}' is not supported; send one of: {known}.")
    return _APPLIERS[essence]


def _looks_like(change: Any) -> str:
    if isinstance(change, list):
        return JSON_PATCH
    of_fhir = isinstance(change, dict) and change.get("resourceType") == "Parameters"
    return FHIR_JSON if of_fhir else MERGE_PATCH


def without_empty(value: Any) -> Any:
    """The value without members and items that are empty arrays or objects, which FHIR does not allow."""
    if isinstance(value, dict):
        return _object(value)
    if isinstance(value, list):
        return [item for item in map(without_empty, value) if not _is_empty(item)]
    return value


def _object(node: dict[str, Any]) -> dict[str, Any]:
    kept = {name: _beside(item) if _is_beside(name, item) else without_empty(item) for name, item in node.items()}
    for name in [name for name, item in kept.items() if _is_beside(name, item)]:
        _close_gaps(kept, name)
    return {name: item for name, item in kept.items() if not _is_empty(item)}


def _is_empty(value: Any) -> bool:
    return isinstance(value, dict | list) and not value


def _is_beside(name: str, item: Any) -> bool:
    """An array of what is said about the primitives of another, item by item."""
    return name.startswith("_") and isinstance(item, list)


def _beside(items: list[Any]) -> list[Any]:
    """Each stays at its place, so what is empty becomes null."""
    found = [None if _is_empty(item) else item for item in map(without_empty, items)]
    return [] if all(item is None for item in found) else found


def _close_gaps(node: dict[str, Any], name: str) -> None:
    """An item that has neither a value nor anything said about it is none."""
    values = node.get(name[1:])
    rows = [*zip_longest(values if isinstance(values, list) else [], node[name])]
    left = [row for row in rows if row != (None, None)]
    if len(left) == len(rows):
        return
    node[name] = _beside([said for _, said in left])
    if isinstance(values, list):
        node[name[1:]] = [value for value, _ in left]
