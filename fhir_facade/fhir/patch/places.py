"""The elements of a resource as places that can be changed, with the definition of each.

https://hl7.org/fhir/R4/json.html (a primitive and what is said about it stand in two members: birthDate, _birthDate)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import zip_longest
from typing import Any

from fhir_facade.fhir.validation.tables import NESTED, asset

_ALSO_CODES = {"", "mimeType", "currency"}
"""A closed list of codes has no definition of its own."""


class WrongContent(ValueError):
    """A part of a patch does not fit its place, or the place is not as it should be; the text says why."""


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """An element of a resource: `owner[member]`, or `owner[member][index]` when it repeats.

    `owner_definition` and `definition` name the definitions of both, e.g. `Patient` and `HumanName`.
    """

    owner: dict[str, Any]
    owner_definition: str
    member: str
    index: int | None
    definition: str

    @property
    def value(self) -> Any:
        """As in JSON; None for a primitive that has extensions only."""
        return self._at(self.member)

    @property
    def node(self) -> dict[str, Any]:
        """What the children of the element are in; for a primitive this is the object beside it."""
        node = self._at("_" + self.member if self.is_primitive else self.member)
        return node if isinstance(node, dict) else {}

    @property
    def is_primitive(self) -> bool:
        return self.definition[:1].islower()

    @property
    def position(self) -> tuple[int, str, int | None]:
        """Equal for the same element only."""
        return id(self.owner), self.member, self.index

    def _at(self, member: str) -> Any:
        value = self.owner.get(member)
        if self.index is None:
            return value
        return value[self.index] if isinstance(value, list) and self.index < len(value) else None

    def opened(self) -> dict[str, Any]:
        """`node` to write into: the object beside a primitive is made when there is none."""
        if self.is_primitive and not self.node:
            self.put(self.value, {})
        return self.node

    def put(self, value: Any, beside: dict[str, Any] | None = None) -> None:
        """Another value, with what is said beside it."""
        if self.index is None:
            for member, content in ((self.member, value), ("_" + self.member, beside)):
                if content is None:
                    self.owner.pop(member, None)
                else:
                    self.owner[member] = content
            return
        for items, content in zip(aligned(self.owner, self.member, beside=beside), (value, beside), strict=False):
            items[self.index] = content

    def remove(self) -> None:
        """The element is gone, with all that is said beside it."""
        if self.index is None:
            self.put(None)
            return
        for items in aligned(self.owner, self.member):
            del items[self.index]


def aligned(node: dict[str, Any], member: str, *, beside: Any = None) -> list[list[Any]]:
    """The array and, where there is one or `beside` needs one, the array beside it, both of one length."""
    values, companions = node.setdefault(member, []), node.get("_" + member)
    if companions is None and beside is not None:
        companions = node.setdefault("_" + member, [])
    if not isinstance(values, list) or not isinstance(companions, list | None):
        raise WrongContent(f"'{member}' is no array, so it has no items.")
    if companions is None:
        return [values]
    longest = max(len(values), len(companions))
    for items in (values, companions):
        items.extend([None] * (longest - len(items)))
    return [values, companions]


def root(resource: dict[str, Any]) -> Place:
    """The resource itself as a place, in an owner of its own."""
    return Place({"resource": resource}, "", "resource", None, resource["resourceType"])


def children(place: Place, name: str) -> list[Place]:
    """The elements of this name below a place, each item of a repeating one; `value` also finds `valueQuantity`."""
    node = place.node
    members = (name, *choices(place.definition, name)) if node and not name.startswith("_") else ()
    return [child for member in members if member != "resourceType" for child in _in(place, node, member)]


def all_children(place: Place) -> list[Place]:
    """The elements below a place, in the order in which they are written."""
    node = place.node
    names = dict.fromkeys(member.removeprefix("_") for member in node if member != "resourceType")
    return [child for name in names for child in _in(place, node, name)]


def _in(place: Place, node: dict[str, Any], member: str) -> Iterator[Place]:
    owner, definition = element_of(place), definition_of(element_of(place), member)
    content, beside = node.get(member), node.get("_" + member)
    if not isinstance(content, list) and not isinstance(beside, list):
        if content is not None or beside is not None:
            yield Place(node, owner, member, None, _actual(definition, content))
        return
    values, companions = (items if isinstance(items, list) else [] for items in (content, beside))
    for index, (value, said) in enumerate(zip_longest(values, companions)):
        if value is not None or said is not None:
            yield Place(node, owner, member, index, _actual(definition, value))


def element_of(place: Place) -> str:
    """The definition of `place.node`."""
    return "Element" if place.is_primitive else place.definition


def _actual(definition: str, value: Any) -> str:
    """A resource inside a resource is what it says it is."""
    if definition != NESTED:
        return definition
    return str(value.get("resourceType")) if isinstance(value, dict) else definition


# --- definitions ------------------------------------------------------------------------------------------------------


def members_of(definition: str) -> Mapping[str, Any]:
    """The schema of each member of a definition; empty for a primitive."""
    members: Mapping[str, Any] = asset()["definitions"].get(definition, {}).get("properties", {})
    return members


@cache
def _choices(definition: str) -> Mapping[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for member in members_of(definition):
        name = choice_of(definition, member)
        if name is not None:
            found[name] = (*found.get(name, ()), member)
    return found


def choices(definition: str, name: str) -> tuple[str, ...]:
    """`value` of Observation: valueQuantity, valueString …; nothing when it is no choice."""
    return _choices(definition).get(name, ())


def choice_of(definition: str, member: str) -> str | None:
    """`value` for valueQuantity of Observation; None when the member is no choice."""
    if definition == "Extension":
        return "value" if member.startswith("value") else None
    choice: str | None = asset()["checks"].get(definition, {}).get(member, {}).get("choice")
    return None if member.startswith("_") else choice


def repeats(definition: str, member: str) -> bool:
    return "items" in members_of(definition).get(member, {})


@cache
def definition_of(definition: str, member: str) -> str:
    """The name of the definition of a member, also of each item of a repeating one; "" for an unknown member."""
    schema = members_of(definition).get(member)
    if schema is None:
        return ""
    name = str(schema.get("items", schema).get("$ref", "")).rpartition("/")[2].removesuffix("?")
    if name == "elementId":
        return "string"
    return "code" if name in _ALSO_CODES else name
