"""The extensions of this project, read from their StructureDefinitions: which parts they have, and of which type.

https://hl7.org/fhir/R4/defining-extensions.html; complex extensions with closed parts, each with one value.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Fault = tuple[str, str]
"""(path below the extension, what is wrong and what is right)."""


@dataclass(frozen=True, slots=True)
class Member:
    """One part: the member of JSON that holds its value, and how often it may be there (None: as often as wanted)."""

    value: str
    most: int | None


@dataclass(frozen=True, slots=True)
class ExtensionDefinition:
    url: str
    name: str
    members: Mapping[str, Member]


def extension_definition(definition: Mapping[str, Any]) -> ExtensionDefinition:
    """What a StructureDefinition of an extension says about its parts."""
    elements = {element["id"]: element for element in definition["differential"]["element"]}
    parts = {element["sliceName"]: element for element in elements.values() if "sliceName" in element}
    members = {name: _member(part, elements[f"{part['id']}.value[x]"]) for name, part in parts.items()}
    return ExtensionDefinition(definition["url"], definition["id"], members)


def _member(part: Mapping[str, Any], value: Mapping[str, Any]) -> Member:
    kind = value["type"][0]["code"]
    return Member(f"value{kind[0].upper()}{kind[1:]}", None if part["max"] == "*" else int(part["max"]))


def extension_faults(extension: Mapping[str, Any], definition: ExtensionDefinition) -> Iterator[Fault]:
    """What is wrong with an extension of this url that satisfies the R4 schema already."""
    parts = extension.get("extension", ())
    if not parts:
        yield "", f"needs parts (extension {definition.name})."
    for at, part in enumerate(parts):
        member = definition.members.get(part["url"])
        if member is None:
            wanted = ", ".join(definition.members)
            yield f".extension[{at}].url", f"is no part of the extension {definition.name}: it has {wanted}."
        elif member.value not in part:
            yield f".extension[{at}]", f"needs {member.value} (extension {definition.name})."
    for name, times in Counter(part["url"] for part in parts).items():
        most = definition.members[name].most if name in definition.members else None
        if most is not None and times > most:
            yield ".extension", f"has {name} {times} times, at most {most} (extension {definition.name})."
