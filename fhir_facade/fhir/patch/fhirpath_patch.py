"""FHIRPath Patch: add, insert, delete, replace and move, told as Parameters.

https://hl7.org/fhir/R4/fhirpatch.html
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from fhir_facade.errors import BadRequest, Issue, TooLarge
from fhir_facade.fhir.patch import fhirpath
from fhir_facade.fhir.patch.contents import content_of, put_new
from fhir_facade.fhir.patch.places import (
    Place,
    WrongContent,
    aligned,
    children,
    choice_of,
    element_of,
    members_of,
    repeats,
    root,
)

MAX_OPERATIONS = 1000


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation with its parts by name; `at` is its position, for messages."""

    at: int
    parts: Mapping[str, Mapping[str, Any]]

    @property
    def expression(self) -> str:
        return f"Parameters.parameter[{self.at}]"

    def refuse(self, text: str) -> BadRequest:
        return BadRequest(f"Operation {self.at} of the patch: {text}", expression=self.expression)

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


@dataclass(frozen=True, slots=True)
class Step:
    """An operation, what its path says, and what it is done to."""

    operation: Operation
    path: fhirpath.Expression
    focus: fhirpath.Focus

    def places(self, path: fhirpath.Expression | None = None) -> list[Place]:
        """Each element that the path finds, once."""
        found = fhirpath.evaluate(path or self.path, self.focus)
        if not all(isinstance(item, Place) for item in found):
            raise self.operation.refuse(f"{self.named} gives a value, not an element of the resource.")
        return [*{place.position: place for place in found}.values()]

    def place(self, path: fhirpath.Expression | None = None) -> Place:
        """The only element that the path finds."""
        found = self.places(path)
        if len(found) != 1:
            count = "no element" if not found else f"{len(found)} elements"
            raise self.operation.refuse(f"{self.named} finds {count}; it must find exactly one.")
        return found[0]

    @property
    def named(self) -> str:
        return f"the path '{self.operation.text('path')}'"


def apply(resource: dict[str, Any], change: Any, now: datetime) -> dict[str, Any]:
    """The resource after all operations; `now` is what now() and today() say in a path.

    BadRequest names the operation that cannot be done, TooLarge that there are too many.
    """
    budget = fhirpath.Budget()
    for at, parameter in enumerate(_parameters(change)):
        operation = _operation(at, parameter)
        try:
            _apply_one(resource, operation, now, budget)
        except fhirpath.NotTaken as error:
            code = "too-costly" if isinstance(error, fhirpath.TooCostly) else "invalid"
            text = f"Operation {at} of the patch: the path '{operation.text('path')}' cannot be taken: {error}."
            raise BadRequest(text, issues=[Issue(code, text, operation.expression)]) from error
        except WrongContent as error:
            raise operation.refuse(str(error)) from error
    return resource


def _apply_one(resource: dict[str, Any], operation: Operation, now: datetime, budget: fhirpath.Budget) -> None:
    kind = operation.text("type")
    if kind not in _OPERATIONS:
        raise operation.refuse(f"the type is '{kind}', but must be one of: {', '.join(_OPERATIONS)}.")
    path = fhirpath.parse(operation.text("path"))
    top = root(resource)
    _OPERATIONS[kind](Step(operation, path, fhirpath.Focus(top, now, budget, (top,))))


def _parameters(change: Any) -> list[Any]:
    if not isinstance(change, dict) or change.get("resourceType") != "Parameters":
        raise BadRequest("A FHIRPath Patch is a Parameters resource with one parameter 'operation' per change.")
    parameters = change.get("parameter", [])
    if not isinstance(parameters, list):
        raise BadRequest("The parameters of a FHIRPath Patch are an array.", expression="Parameters.parameter")
    if len(parameters) > MAX_OPERATIONS:
        raise TooLarge(f"A patch may have {MAX_OPERATIONS} operations, not {len(parameters)}.")
    return parameters


def _operation(at: int, parameter: Any) -> Operation:
    parts = parameter.get("part") if isinstance(parameter, dict) and parameter.get("name") == "operation" else None
    if not isinstance(parts, list) or not all(isinstance(part, dict) for part in parts):
        raise Operation(at, {}).refuse("it must be a parameter 'operation' with parts.")
    named = {str(part.get("name")): part for part in parts}
    if len(named) < len(parts):
        raise Operation(at, {}).refuse("it has two parts of one name.")
    return Operation(at, named)


# --- the five operations ----------------------------------------------------------------------------------------------


def _add(step: Step) -> None:
    parent, name = step.place(), step.operation.text("name")
    definition = element_of(parent)
    content = content_of(definition, name, step.operation.parts.get("value"))
    if not repeats(definition, content.member) and children(parent, choice_of(definition, content.member) or name):
        raise step.operation.refuse(f"'{name}' is there already and does not repeat; use replace.")
    put_new(parent.opened(), definition, content)


def _insert(step: Step) -> None:
    parent, member = _list_place(step)
    index, count = step.operation.number("index"), len(children(parent, member))
    if index > count:
        raise step.operation.refuse(f"the index {index} is beyond the end of '{member}', which has {count} items.")
    content = content_of(element_of(parent), member, step.operation.parts.get("value"))
    put_new(parent.opened(), element_of(parent), content, at=index)


def _delete(step: Step) -> None:
    found = step.places()
    if len(found) > 1 or any(place.member == "resource" and not place.owner_definition for place in found):
        raise step.operation.refuse(f"{step.named} must find one element below the resource.")
    for place in found:  # one or, which is no error, none
        place.remove()


def _replace(step: Step) -> None:
    place = step.place()
    if not place.owner_definition:
        raise step.operation.refuse("it replaces the whole resource; use PUT for that.")
    name = choice_of(place.owner_definition, place.member) or place.member
    content = content_of(place.owner_definition, name, step.operation.parts.get("value"))
    if content.member == place.member:
        place.put(content.value, content.beside)
    else:  # another type of the choice
        place.remove()
        put_new(place.owner, place.owner_definition, content)


def _move(step: Step) -> None:
    parent, member = _list_place(step)
    source, destination = step.operation.number("source"), step.operation.number("destination")
    count = len(children(parent, member))
    if source >= count or destination >= count:
        text = f"'{member}' has {count} items, so it cannot move {source} to {destination}."
        raise step.operation.refuse(text)
    for items in aligned(parent.node, member):
        items.insert(destination, items.pop(source))


_OPERATIONS: Mapping[str, Callable[[Step], None]] = {
    "add": _add,
    "insert": _insert,
    "delete": _delete,
    "replace": _replace,
    "move": _move,
}


def _list_place(step: Step) -> tuple[Place, str]:
    """The parent of a repeating element that the path names as a whole, and the member."""
    path = step.path
    last = path.steps[-1] if isinstance(path, fhirpath.Path) else None
    if not isinstance(path, fhirpath.Path) or not isinstance(last, fhirpath.Member):
        raise step.operation.refuse(f"{step.named} must end with the name of a repeating element.")
    parent = step.place(fhirpath.Path(path.source, path.steps[:-1]))
    definition = element_of(parent)
    if last.name not in members_of(definition) or not repeats(definition, last.name):
        raise step.operation.refuse(f"'{last.name}' is no repeating element of {definition}.")
    return parent, last.name
