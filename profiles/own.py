"""The profiles of this project, read from their StructureDefinitions: what must be there, which code, which value set.

https://hl7.org/fhir/R4/profiling.html; of a differential count `min`, `patternCodeableConcept`, required bindings to
value sets that the project ships, and slices that are extensions of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import msgspec

from profiles.extensions import ExtensionDefinition, extension_definition, extension_faults
from terminology.codes import in_value_set

Fault = tuple[str, str, str]
"""(path below the resource, what is wrong and what is right, severity)."""
Found = tuple[str, Any]
"""(path, element)."""


@dataclass(frozen=True, slots=True)
class Demand:
    """What one element of a differential asks for; `path` without the type."""

    path: tuple[str, ...]
    required: bool
    coding: Mapping[str, str] | None
    value_set: str | None
    extension: str | None = None


@dataclass(frozen=True, slots=True)
class Profile:
    url: str
    type: str
    name: str
    demands: tuple[Demand, ...]


@cache
def definitions() -> Mapping[str, Mapping[str, Any]]:
    """The StructureDefinitions by their url, to be served."""
    folder = files("profiles") / "StructureDefinition"
    loaded = [msgspec.json.decode(path.read_bytes()) for path in folder.iterdir() if path.name.endswith(".json")]
    return {one["url"]: one for one in loaded}


@cache
def own_profiles() -> Mapping[str, Profile]:
    """The profiles by their url."""
    return {url: _profile(one) for url, one in definitions().items() if one["kind"] == "resource"}


@cache
def own_extensions() -> Mapping[str, ExtensionDefinition]:
    """The extensions by their url."""
    return {url: extension_definition(one) for url, one in definitions().items() if one["type"] == "Extension"}


def _profile(definition: Mapping[str, Any]) -> Profile:
    elements = definition["differential"]["element"][1:]
    demands = tuple(_demand(element) for element in elements)
    return Profile(definition["url"], definition["type"], definition["id"], demands)


def _demand(element: Mapping[str, Any]) -> Demand:
    pattern, binding = element.get("patternCodeableConcept"), element.get("binding")
    return Demand(
        path=tuple(element["path"].split(".")[1:]),
        required=element.get("min", 0) > 0,
        coding=None if pattern is None else pattern["coding"][0],
        value_set=None if binding is None else binding["valueSet"],
        extension=next((url for kind in element.get("type", ()) for url in kind.get("profile", ())), None),
    )


def check(resource: Mapping[str, Any], profile: Profile) -> list[Fault]:
    """What the profile finds wrong with a resource of its type that satisfies the R4 schema already."""
    return [fault for demand in profile.demands for fault in _faults(resource, demand, profile.name)]


def _faults(resource: Mapping[str, Any], demand: Demand, name: str) -> Iterator[Fault]:
    *above, last = demand.path
    for path, parent in _reached([("", resource)], above):
        found = list(_children(path, parent, last))
        if demand.required and not found:
            yield f"{path}.{last}".lstrip("."), f"is required (profile {name}).", "error"
        elif found and not all(_coded(one, demand) for _, one in found):
            yield found[0][0], f"needs {_wanted(demand)} (profile {name}).", "error"
        if demand.extension is not None:
            yield from _of_extensions(found, own_extensions()[demand.extension])


def _of_extensions(found: Iterable[Found], definition: ExtensionDefinition) -> Iterator[Fault]:
    of_it = [(path, one) for path, one in found if one["url"] == definition.url]
    for path, one in of_it:
        yield from ((f"{path}{below}", text, "error") for below, text in extension_faults(one, definition))
    if len(of_it) > 1:
        yield of_it[1][0], f"is there once already (extension {definition.name}).", "error"


def _reached(start: list[Found], path: Sequence[str]) -> list[Found]:
    for step in path:
        start = [child for place, node in start for child in _children(place, node, step)]
    return start


def _children(path: str, node: Mapping[str, Any], name: str) -> Iterator[Found]:
    stem = name.removesuffix("[x]")
    for member in [member for member in node if member == name or (stem != name and member.startswith(stem))]:
        value = node[member]
        place = f"{path}.{member}".lstrip(".")
        if isinstance(value, list):
            yield from ((f"{place}[{at}]", item) for at, item in enumerate(value))
        else:
            yield place, value


def _coded(concept: Any, demand: Demand) -> bool:
    if demand.coding is None and demand.value_set is None:
        return True
    return any(_fits(coding, demand) for coding in concept.get("coding", ()))


def _fits(coding: Mapping[str, Any], demand: Demand) -> bool:
    if demand.coding is not None:
        return all(coding.get(name) == demand.coding[name] for name in ("system", "code"))
    return in_value_set(demand.value_set or "", coding.get("system", ""), coding.get("code", ""))


def _wanted(demand: Demand) -> str:
    if demand.coding is not None:
        return f"the coding '{demand.coding['code']}' of {demand.coding['system']}"
    return f"a coding of the value set {demand.value_set}"
