"""JSON Patch on decoded values. https://www.rfc-editor.org/rfc/rfc6902, https://hl7.org/fhir/R4/http.html#patch"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jsonpatch
from jsonpatch import JsonPatchConflict, JsonPatchException, JsonPatchTestFailed, JsonPointerException

from fhir_facade.errors import BadRequest, InvalidResource, TooLarge
from fhir_facade.fhir.document import decimal_dumps

MAX_OPERATIONS = 1000
MAX_COPIED_BYTES = 1024 * 1024

_NEEDS: Mapping[str, tuple[str, ...]] = {
    "add": ("path", "value"),
    "replace": ("path", "value"),
    "test": ("path", "value"),
    "remove": ("path",),
    "move": ("path", "from"),
    "copy": ("path", "from"),
}


def apply(resource: dict[str, Any], change: Any) -> dict[str, Any]:
    """The resource after all operations, or none of them.

    BadRequest names the operation that cannot be done; InvalidResource the `test` that failed; TooLarge when copies
    of copies grow without measure.
    """
    copied = 0
    for index, operation in enumerate(_operations(change)):
        if operation["op"] in ("copy", "move"):
            _require_something(resource, index, operation["from"])
        if operation["op"] == "copy":
            copied += _copied_bytes(resource, operation["from"])
            if copied > MAX_COPIED_BYTES:
                raise TooLarge(f"Operation {index} of the patch: all copies together exceed {MAX_COPIED_BYTES} bytes.")
        _apply_one(resource, index, operation)
    return resource


def _require_something(resource: dict[str, Any], index: int, source: str) -> None:
    """The place behind the end of a list, `-`, is one to add to: nothing stands there."""
    if source.endswith("/-") and isinstance(_at(resource, source.removesuffix("/-")), list):
        raise BadRequest(f"Operation {index} of the patch takes from {source}, the end of a list: nothing is there.")


def _at(resource: dict[str, Any], place: str) -> Any:
    """None where nothing is."""
    try:
        return jsonpatch.JsonPointer(place).resolve(resource)
    except (JsonPointerException, TypeError):
        return None


def _copied_bytes(resource: dict[str, Any], source: str) -> int:
    """Of what is copied alone: to measure the whole resource each time takes the time of a thousand answers."""
    return len(decimal_dumps(_at(resource, source)))  # what is not there is refused later


def _operations(change: Any) -> list[dict[str, Any]]:
    if not isinstance(change, list):
        raise BadRequest("A JSON Patch is an array of operations.")
    if len(change) > MAX_OPERATIONS:
        raise TooLarge(f"A JSON Patch may have {MAX_OPERATIONS} operations, this one has {len(change)}.")
    for index, operation in enumerate(change):
        _require_complete(index, operation)
    return change


def _require_complete(index: int, operation: Any) -> None:
    name = operation.get("op") if isinstance(operation, dict) else None
    if not isinstance(name, str) or name not in _NEEDS:
        raise BadRequest(f"Operation {index} of the patch needs an 'op' out of: {', '.join(_NEEDS)}.")
    for member in _NEEDS[name]:
        if member not in operation:
            raise BadRequest(f"Operation {index} of the patch, '{name}', needs '{member}'.")
    for member in ("path", "from"):
        _require_pointer(index, member, operation.get(member, "/"))
    if name != "test" and operation["path"] == "":
        raise BadRequest(f"Operation {index} of the patch changes the whole resource; use PUT for that.")


def _require_pointer(index: int, member: str, pointer: Any) -> None:
    if not isinstance(pointer, str) or (pointer and not pointer.startswith("/")):
        raise BadRequest(f"The '{member}' of operation {index} of the patch must be a JSON Pointer like /name/0/given.")


def _apply_one(resource: dict[str, Any], index: int, operation: dict[str, Any]) -> None:
    try:
        jsonpatch.JsonPatch([operation]).apply(resource, in_place=True)
    except JsonPatchTestFailed as error:
        raise InvalidResource(f"Operation {index} of the patch, a test of {operation['path']}, failed.") from error
    except (JsonPatchConflict, JsonPatchException, JsonPointerException, TypeError) as error:
        place = f"Operation {index} of the patch, '{operation['op']}' at {operation['path']}"
        raise BadRequest(f"{place}, does not fit the resource: there is no such place.") from error
