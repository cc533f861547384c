"""Finding the elements that a path leads to, with the definition of each.

https://hl7.org/fhir/R4/fhirpatch.html
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from fhir_facade.fhir.patch.paths import At, Member, OfType, Step, Truth, Where
from fhir_facade.fhir.validation.tables import asset


@dataclass(frozen=True, slots=True)
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
        value = self.owner[self.member]
        return value if self.index is None else value[self.index]


def root(resource: dict[str, Any]) -> Place:
    """The resource itself as a place, in an owner of its own."""
    return Place({"resource": resource}, "", "resource", None, resource["resourceType"])


def resolve(steps: tuple[Step, ...], resource: dict[str, Any]) -> list[Place]:
    """All places that the steps lead to."""
    places = [root(resource)]
    for step in steps:
        places = _taken(step, places)
    return places


def _taken(step: Step, places: list[Place]) -> list[Place]:
    if isinstance(step, Member):
        return [child for place in places for child in children(place, step.name)]
    if isinstance(step, At):
        return places[step.index :][:1] if step.index >= 0 else places[-1:]
    if isinstance(step, OfType):
        return [place for place in places if _is_of_type(place, step.name)]
    return [place for place in places if _satisfies(place, step)]


def _is_of_type(place: Place, name: str) -> bool:
    suffix = name[0].upper() + name[1:]
    return place.definition.lower() == name.lower() or place.member.endswith(suffix)


def _satisfies(place: Place, where: Where) -> bool:
    return all(any(found == wanted for found in _values(place, names)) for names, wanted in where.equal)


def _values(place: Place, names: tuple[Member, ...]) -> Iterator[Any]:
    places = [place]
    for step in names:
        places = _taken(step, places)
    for found in places:
        value = found.value
        yield Truth(value) if isinstance(value, bool) else value  # true equals no number here


def children(place: Place, name: str) -> list[Place]:
    """The elements of this name below a place, each item of a repeating one; `value` also finds `valueQuantity`."""
    node = place.value
    if not isinstance(node, dict):
        return []
    member = name if name in node else next((one for one in choices(place.definition, name) if one in node), None)
    if member is None:
        return []
    definition = definition_of(place.definition, member)
    content = node[member]
    if isinstance(content, list):
        return [
            Place(node, place.definition, member, index, _actual(definition, item))
            for index, item in enumerate(content)
        ]
    return [Place(node, place.definition, member, None, _actual(definition, content))]


def members_of(definition: str) -> Mapping[str, Any]:
    """The schema of each member of a definition; empty for a primitive."""
    members: Mapping[str, Any] = asset()["definitions"].get(definition, {}).get("properties", {})
    return members


def choices(definition: str, name: str) -> list[str]:
    """`value` of Observation: valueQuantity, valueString …; nothing when it is no choice."""
    return [member for member in members_of(definition) if choice_of(definition, member) == name]


def choice_of(definition: str, member: str) -> str | None:
    """`value` for valueQuantity of Observation; None when the member is no choice."""
    if definition == "Extension":
        return "value" if member.startswith("value") else None
    choice: str | None = asset()["checks"].get(definition, {}).get(member, {}).get("choice")
    return None if member.startswith("_") else choice


def repeats(definition: str, member: str) -> bool:
    return "items" in members_of(definition)[member]


def definition_of(definition: str, member: str) -> str:
    """The name of the definition of a member, also of each item of a repeating one."""
    schema = members_of(definition).get(member, {})
    return str(schema.get("items", schema).get("$ref", "")).rpartition("/")[2].removesuffix("?")


def _actual(definition: str, value: Any) -> str:
    """A resource inside a resource is what it says it is."""
    return str(value.get("resourceType")) if definition == "ResourceList" else definition
