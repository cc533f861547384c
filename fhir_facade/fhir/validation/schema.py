"""The official JSON schema, compiled per resource type on first use, and its errors in words.

https://hl7.org/fhir/R4/json.html#schema
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from itertools import islice
from typing import Any

import jsonschema_rs
import msgspec

from fhir_facade.errors import Issue
from fhir_facade.fhir.validation.primitives import FORMATS
from fhir_facade.fhir.validation.tables import asset

MAX_ISSUES = 50
"""Of each severity in one resource: what is wrong everywhere takes as long to tell as to read otherwise."""
_REF = "#/definitions/"
_COMPANIONS = ("Element", "Element?")
_SHOWN_CODES = 40
_SHOWN_LENGTH = 60


@cache
def validator(kind: str) -> Any:
    """The compiled validator of a resource type: 4 ms and about 1 MB once, then 3 µs per resource."""
    definitions = asset()["definitions"]
    needed = {name: definitions[name] for name in sorted(_reached(kind, definitions))}
    return jsonschema_rs.Draft4Validator({"$ref": _REF + kind, "definitions": needed})


def _reached(kind: str, definitions: Mapping[str, Any]) -> set[str]:
    reached: set[str] = set()
    todo = [kind]
    while todo:
        name = todo.pop()
        if name not in reached:
            reached.add(name)
            todo.extend(_references(definitions[name]))
    return reached


def _references(schema: Any) -> Iterator[str]:
    if isinstance(schema, dict):
        if "$ref" in schema:
            yield schema["$ref"].removeprefix(_REF)
        for value in schema.values():
            yield from _references(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from _references(value)


def schema_issues(resource: Any, kind: str, path: str) -> list[Issue]:
    """What the schema finds, in words; `path` is how the resource itself is called in the issues. None when it only
    finds ids beside values."""
    errors = (error for error in validator(kind).iter_errors(resource) if not _is_beside_value(error, resource))
    return list(islice((issue for error in errors for issue in _issues(error, path)), MAX_ISSUES))


def _is_beside_value(error: Any, resource: Any) -> bool:
    """Whether `_name` has an id and no extension, which is enough where `name` has a value (ele-1)."""
    if error.kind.name != "required" or _definition(error) not in _COMPANIONS or not error.instance:
        return False
    *steps, last = error.instance_path
    *steps, name, at = (*steps, last, None) if isinstance(last, str) else (*steps, last)
    node = resource
    for step in steps:
        node = node[step]
    value = node.get(name.removeprefix("_"))
    if at is None:
        return value is not None
    return isinstance(value, list) and at < len(value) and value[at] is not None


def _issues(error: Any, root: str) -> Iterable[Issue]:
    path = root + "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in error.instance_path)
    explain = _EXPLAINED[error.kind.name]
    return explain(error, path)


def _definition(error: Any) -> str:
    return str(error.schema_path[1])


def _unknown(error: Any, path: str) -> Iterator[Issue]:
    members = asset()["definitions"][_definition(error)]["properties"]
    allowed = sorted(name for name in members if not name.startswith("_"))
    for name in error.kind.unexpected:
        if (_definition(error), name.removeprefix("_")) == ("SimpleQuantity", "comparator"):
            yield Issue("invariant", f"{path}.{name} breaks sqty-1: this quantity has no comparator.", f"{path}.{name}")
            continue
        shown = name if len(name) <= _SHOWN_LENGTH else name[: _SHOWN_LENGTH - 1] + "…"
        close = difflib.get_close_matches(shown, members, n=1)
        hint = f"did you mean '{close[0]}'?" if close else f"allowed are: {', '.join(allowed)}."
        yield Issue("structure", f"{path} has no element '{shown}' in FHIR R4; {hint}", f"{path}.{shown}")


def _required(error: Any, path: str) -> Iterator[Issue]:
    if "dependencies" in error.schema_path:
        yield Issue("invariant", f"{path} breaks qty-3: a code needs a system.", path)
    elif _definition(error) in _COMPANIONS:
        text = "has nothing but an id, and there is no value beside it; leave the element out (ele-1)"
        yield from [Issue("structure", f"{path} {text}.", path)] if error.instance else []
    else:
        name = error.kind.property
        yield Issue("required", f"{path}.{name} is required and missing.", f"{path}.{name}")


def _none_of(error: Any, path: str) -> Iterator[Issue]:
    """Elements that may also be there as `_name` only: one way of several must be taken."""
    definition = asset()["definitions"][_definition(error)]
    ways = definition["allOf"][error.schema_path[3]]["anyOf"]
    names = [way["required"][0] for way in ways if not way["required"][0].startswith("_")]
    if len(names) == 1:
        yield Issue("required", f"{path}.{names[0]} is required and missing.", f"{path}.{names[0]}")
    else:
        yield Issue("required", f"{path} needs one of: {', '.join(names)}.", path)


def _extension(_: Any, path: str) -> Iterator[Issue]:
    text = "breaks ext-1: an extension has either one value[x] or extensions of its own, never both or neither."
    yield Issue("invariant", f"{path} {text}", path)


def _type(error: Any, path: str) -> Iterator[Issue]:
    wanted = error.kind.types[0]
    if wanted == "object":
        text = "must be a JSON object"
    elif wanted == "array":
        text = "may repeat in FHIR, so it must be an array: put it into [ ]"
    else:
        text = "must be " + FORMATS[_definition(error).removesuffix("?")]
    yield Issue("structure", f"{path} {text}.", path)


def _format(error: Any, path: str) -> Iterator[Issue]:
    wanted = FORMATS[_definition(error).removesuffix("?")]
    yield Issue("value", f"{path} is {_shown(error.instance)}, but must be {wanted}.", path)


def _enum(error: Any, path: str) -> Iterator[Issue]:
    codes = [code for code in error.kind.options if code is not None]
    more = f" … ({len(codes)} codes)" if len(codes) > _SHOWN_CODES else ""
    listed = ", ".join(codes[:_SHOWN_CODES]) + more
    yield Issue("code-invalid", f"{path} is {_shown(error.instance)}, but must be one of: {listed}.", path)


def _empty(error: Any, path: str) -> Iterator[Issue]:
    what = "has nothing but an id" if error.instance else "is empty"
    yield Issue("structure", f"{path} {what}; leave the element out (ele-1).", path)


def _shown(value: Any) -> str:
    text = msgspec.json.encode(value).decode()
    return text if len(text) <= _SHOWN_LENGTH else text[: _SHOWN_LENGTH - 1] + "…"


_EXPLAINED: Mapping[str, Callable[[Any, str], Iterable[Issue]]] = {
    "additionalProperties": _unknown,
    "anyOf": _none_of,
    "enum": _enum,
    "maximum": _format,
    "minimum": _format,
    "minItems": _empty,
    "minProperties": _empty,
    "oneOf": _extension,
    "pattern": _format,
    "required": _required,
    "type": _type,
}
