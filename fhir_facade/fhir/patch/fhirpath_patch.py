"""FHIRPath Patch: add, insert, delete, replace and move, told as Parameters.

https://hl7.org/fhir/R4/fhirpatch.html
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fhir_facade.errors import BadRequest
from fhir_facade.fhir.patch.paths import Member, Step, parse_path
from fhir_facade.fhir.patch.places import (
    Place,
    children,
    choice_of,
    choices,
    definition_of,
    members_of,
    repeats,
    resolve,
)


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation with its parts by name; `at` is its position, for messages."""

    at: int
    parts: Mapping[str, Mapping[str, Any]]

    def refuse(self, text: str) -> BadRequest:
        return BadRequest(f"Operation {self.at} of the patch: {text}", expression=f"Parameters.parameter[{self.at}]")

    def text(self, name: str) -> str:
        part = self.parts.get(name, {})
        value = next((part[kind] for kind in ("valueString", "valueCode") if kind in part), None)
        if not isinstance(value, str):
            raise self.refuse(f"the part '{name}' with a valueString is missing.")
        return value

    def number(self, name: str) -> int:
        value = self.parts.get(name, {}).get("valueInteger")
        if type(value) is not int or value < 0:
            raise self.refuse(f"the part '{name}' with a valueInteger of 0 or more is missing.")
        return value


def apply(resource: dict[str, Any], change: Any) -> dict[str, Any]:
    """The resource after all operations. BadRequest names the operation that cannot be done."""
    for at, parameter in enumerate(_parameters(change)):
        operation = _operation(at, parameter)
        kind = operation.text("type")
        if kind not in _OPERATIONS:
            raise operation.refuse(f"the type is '{kind}', but must be one of: {', '.join(_OPERATIONS)}.")
        _OPERATIONS[kind](resource, operation, parse_path(operation.text("path"), resource["resourceType"]))
    return resource


def _parameters(change: Any) -> list[Any]:
    if not isinstance(change, dict) or change.get("resourceType") != "Parameters":
        raise BadRequest("A FHIRPath Patch is a Parameters resource with one parameter 'operation' per change.")
    parameters = change.get("parameter", [])
    if not isinstance(parameters, list) or not parameters:
        raise BadRequest("The FHIRPath Patch has no parameter 'operation'.", expression="Parameters.parameter")
    return parameters


def _operation(at: int, parameter: Any) -> Operation:
    parts = parameter.get("part") if isinstance(parameter, dict) and parameter.get("name") == "operation" else None
    if not isinstance(parts, list) or not all(isinstance(part, dict) for part in parts):
        raise Operation(at, {}).refuse("it must be a parameter 'operation' with parts.")
    return Operation(at, {str(part.get("name")): part for part in parts})


def _one(resource: dict[str, Any], operation: Operation, steps: Sequence[Step]) -> Place:
    found = resolve(tuple(steps), resource)
    if len(found) != 1:
        count = "no element" if not found else f"{len(found)} elements"
        raise operation.refuse(f"the path '{operation.text('path')}' finds {count}; it must find exactly one.")
    return found[0]


# --- the five operations ----------------------------------------------------------------------------------------------


def _add(resource: dict[str, Any], operation: Operation, steps: Sequence[Step]) -> None:
    parent = _one(resource, operation, steps)
    if not isinstance(parent.value, dict):
        raise operation.refuse("nothing can be added to a primitive value.")
    name = operation.text("name")
    member, value = _content(parent.definition, name, operation.parts.get("value"), operation)
    if repeats(parent.definition, member):
        _insert_at(parent.value, member, len(parent.value.get(member, ())), value)
    elif children(parent, name):
        raise operation.refuse(f"'{name}' is there already and does not repeat; use replace.")
    else:
        parent.value[member] = value


def _insert(resource: dict[str, Any], operation: Operation, steps: Sequence[Step]) -> None:
    parent, member = _list_place(resource, operation, steps)
    _, value = _content(parent.definition, member, operation.parts.get("value"), operation)
    index = operation.number("index")
    if index > len(parent.value.get(member, ())):
        raise operation.refuse(f"the index {index} is beyond the end of '{member}'.")
    _insert_at(parent.value, member, index, value)


def _delete(resource: dict[str, Any], operation: Operation, steps: Sequence[Step]) -> None:
    found = resolve(tuple(steps), resource)
    if not steps or len(found) > 1:
        raise operation.refuse(f"the path '{operation.text('path')}' must find one element below the resource.")
    for place in found:  # one or, which is no error, none
        _remove(place)


def _replace(resource: dict[str, Any], operation: Operation, steps: Sequence[Step]) -> None:
    if not steps:
        raise operation.refuse("it replaces the whole resource; use PUT for that.")
    place = _one(resource, operation, steps)
    name = choice_of(place.owner_definition, place.member) or place.member
    member, value = _content(place.owner_definition, name, operation.parts.get("value"), operation)
    if place.index is not None:
        place.owner[place.member][place.index] = value
    else:
        if member != place.member:  # another type of the choice
            _remove(place)
        place.owner[member] = value


def _move(resource: dict[str, Any], operation: Operation, steps: Sequence[Step]) -> None:
    parent, member = _list_place(resource, operation, steps)
    source, destination = operation.number("source"), operation.number("destination")
    count = len(parent.value.get(member, ()))
    if source >= count or destination >= count:
        raise operation.refuse(f"'{member}' has {count} items, so it cannot move {source} to {destination}.")
    for items in _aligned(parent.value, member):
        items.insert(destination, items.pop(source))


_OPERATIONS: Mapping[str, Callable[[dict[str, Any], Operation, Sequence[Step]], None]] = {
    "add": _add,
    "insert": _insert,
    "delete": _delete,
    "replace": _replace,
    "move": _move,
}


def _list_place(resource: dict[str, Any], operation: Operation, steps: Sequence[Step]) -> tuple[Place, str]:
    """The parent of a repeating element that the path names as a whole, and the member."""
    last = steps[-1] if steps else None
    if not isinstance(last, Member):
        raise operation.refuse(f"the path '{operation.text('path')}' must end with the name of a repeating element.")
    parent = _one(resource, operation, steps[:-1])
    if last.name not in members_of(parent.definition) or not repeats(parent.definition, last.name):
        raise operation.refuse(f"'{last.name}' is no repeating element of {parent.definition}.")
    return parent, last.name


# --- values -----------------------------------------------------------------------------------------------------------


def _content(definition: str, name: str, part: Mapping[str, Any] | None, operation: Operation) -> tuple[str, Any]:
    """The JSON member and its value that a part stands for, as an element `name` of a definition."""
    if part is None:
        raise operation.refuse("the part 'value' is missing.")
    values = [member for member in part if member.startswith(("value", "_value"))]
    if len(values) + ("part" in part) != 1 or any(member.startswith("_") for member in values):
        raise operation.refuse(f"the part of '{name}' needs exactly one value[x], or parts.")
    suffix = values[0].removeprefix("value") if values else ""
    member = _member(definition, name, suffix, operation)
    if values:
        return member, part[values[0]]
    return member, _built(definition_of(definition, member), part["part"], operation)


def _member(definition: str, name: str, suffix: str, operation: Operation) -> str:
    of_choice = choices(definition, name)
    member = name + suffix if of_choice else name
    if member not in members_of(definition) or member.startswith("_"):
        known = of_choice or [one for one in members_of(definition) if not one.startswith("_")]
        raise operation.refuse(f"{definition} has no element '{member}'; allowed are: {', '.join(sorted(known))}.")
    return member


def _built(definition: str, parts: Any, operation: Operation) -> dict[str, Any]:
    """An element without a type of its own, e.g. Patient.contact, out of its parts."""
    if not isinstance(parts, list) or not all(isinstance(part, dict) for part in parts):
        raise operation.refuse("parts must be an array of objects.")
    built: dict[str, Any] = {}
    for part in parts:
        member, value = _content(definition, str(part.get("name")), part, operation)
        if repeats(definition, member):
            built.setdefault(member, []).append(value)
        else:
            built[member] = value
    return built


# --- arrays of primitives and their companions ------------------------------------------------------------------------


def _aligned(node: dict[str, Any], member: str) -> list[list[Any]]:
    """The array and, when there is one, the array of extensions beside it, both of one length."""
    items = node.setdefault(member, [])
    beside = node.get("_" + member)
    if beside is None:
        return [items]
    beside.extend([None] * (len(items) - len(beside)))
    return [items, beside]


def _insert_at(node: dict[str, Any], member: str, index: int, value: Any) -> None:
    items, *beside = _aligned(node, member)
    items.insert(index, value)
    for extensions in beside:
        extensions.insert(index, None)


def _remove(place: Place) -> None:
    if place.index is None:
        place.owner.pop("_" + place.member, None)
        del place.owner[place.member]
        return
    for items in _aligned(place.owner, place.member):
        del items[place.index]
    if not any(place.owner.get("_" + place.member, ())):
        place.owner.pop("_" + place.member, None)
