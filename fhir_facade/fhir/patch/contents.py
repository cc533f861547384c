"""What a part of a FHIRPath Patch stands for as an element: a value[x], parts, or a resource.

https://hl7.org/fhir/R4/fhirpatch.html
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fhir_facade.fhir.patch.fhirpath.types import kinds_of
from fhir_facade.fhir.patch.places import WrongContent, aligned, choices, definition_of, members_of, repeats
from fhir_facade.fhir.validation.tables import NESTED

_PART = "Parameters_Parameter"
_ABSTRACT = {"Element", "BackboneElement"}


@dataclass(frozen=True, slots=True)
class Content:
    """The JSON member that an element goes to, its value, and for a primitive what is said beside it."""

    member: str
    value: Any
    beside: dict[str, Any] | None = None


def content_of(definition: str, name: str, part: Mapping[str, Any] | None) -> Content:
    """The element `name` of a definition out of a part. WrongContent: no such element, or another type."""
    if part is None:
        raise WrongContent("the part 'value' is missing.")
    kinds = {member.lstrip("_") for member in part if member.lstrip("_").startswith("value")}
    kinds |= {member for member in ("part", "resource") if member in part}
    if len(kinds) != 1:
        raise WrongContent(f"the part of '{name}' needs exactly one value[x], parts or a resource.")
    kind = kinds.pop()
    member = _member(definition, name, kind.removeprefix("value") if kind.startswith("value") else "")
    wanted = definition_of(definition, member)
    if kind == "part":
        return Content(member, built(wanted, part["part"]))
    return _fitting(Content(member, part.get(kind), part.get("_" + kind)), kind, wanted)


def _member(definition: str, name: str, suffix: str) -> str:
    of_choice = choices(definition, name)
    member = name + suffix if of_choice else name
    if member not in members_of(definition) or member.startswith("_") or member == "resourceType":
        known = of_choice or [one for one in members_of(definition) if one[0] != "_" and one != "resourceType"]
        raise WrongContent(f"{definition} has no element '{member}'; allowed are: {', '.join(sorted(known))}.")
    return member


def _fitting(content: Content, kind: str, wanted: str) -> Content:
    """Any primitive value fits a primitive; what is wrong with it otherwise, the validation says."""
    if not _fits(content, kind, wanted):
        said = {NESTED: "resource"}.get(wanted, f"value of type {wanted}" if "_" not in wanted else "list of parts")
        raise WrongContent(f"'{content.member}' needs a {said}.")
    return content


def _fits(content: Content, kind: str, wanted: str) -> bool:
    value, beside, told = content.value, content.beside, definition_of(_PART, kind)
    if wanted[:1].islower():
        is_there = value is not None or beside is not None
        return (
            is_there and told[:1].islower() and not isinstance(value, dict | list) and isinstance(beside, dict | None)
        )
    if not isinstance(value, dict) or beside is not None:
        return False
    if wanted == NESTED:
        return kind == "resource" and isinstance(value.get("resourceType"), str)
    return (told or kind.removeprefix("value")) in kinds_of(wanted) - _ABSTRACT  # R4 has no valueExtension


def built(definition: str, parts: Any) -> dict[str, Any]:
    """An element out of its parts, e.g. Patient.contact, which has no type of its own."""
    if definition[:1].islower() or definition == NESTED:
        raise WrongContent("only an element with members can be made of parts.")
    if not isinstance(parts, list) or not all(isinstance(part, dict) for part in parts):
        raise WrongContent("parts must be an array of objects.")
    node: dict[str, Any] = {}
    for part in parts:
        put_new(node, definition, content_of(definition, str(part.get("name")), part))
    return node


def put_new(node: dict[str, Any], definition: str, content: Content, *, at: int | None = None) -> None:
    """The element is put in: at an index of the list, or at its end. WrongContent: it is there and does not repeat."""
    member = content.member
    if not repeats(definition, member):
        if member in node or "_" + member in node:
            raise WrongContent(f"'{member}' is there already and does not repeat; use replace.")
        node.update({member: content.value} if content.value is not None else {})
        node.update({"_" + member: content.beside} if content.beside is not None else {})
        return
    lists = aligned(node, member, beside=content.beside)
    for items, item in zip(lists, (content.value, content.beside), strict=False):
        items.insert(len(items) if at is None else at, item)
