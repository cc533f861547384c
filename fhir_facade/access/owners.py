"""Whom a resource is about, and which patients it names anywhere.

Ownership follows the elements of `compartment.json`; being named as performer, author or recipient is not ownership.
https://hl7.org/fhir/R4/references.html
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, TypedDict

import msgspec

from fhir_facade.access.compartment import type_rules
from fhir_facade.fhir.references import ID_FORM
from fhir_facade.values import JsonObject, PatientId

_LOCAL: Final = re.compile(rf"(?P<type>[A-Z][A-Za-z]+)/(?P<id>{ID_FORM})(?:/_history/{ID_FORM})?")
LONGEST_KEPT: Final = 200
"""Texts of others that are remembered: longer ones would fill the memory."""
_PATIENT_INSIDE: Final = re.compile(r"(?:^|/)Patient(?:[/?]|$)")


@dataclass(frozen=True, slots=True)
class Foreign:
    """A reference that is, or may be, to a patient this server cannot name: absolute, conditional, contained,
    identifier-only or unresolved. It is never inside a set of allowed patients."""

    text: str


PatientReference = PatientId | Foreign
_UNTOLD: Final = Foreign("owner that cannot be told")


def owners(resource: JsonObject) -> frozenset[PatientReference]:
    """The patients the resource is about; empty when it is about nobody the server can tell.

    A Patient is about itself. Types that name several owners give all of them.
    """
    rule = type_rules().get(_type_of(resource))
    if rule is None:
        return frozenset()
    if rule.type_class == "person":
        return frozenset({_own_id(resource)})
    found = [
        _patient_of(value) for path in rule.paths if path[0] in resource for value in _at(resource[path[0]], path[1:])
    ]
    if rule.type_class == "optional":  # nobody named makes it everybody's, so somebody who cannot be told is somebody
        found = [_UNTOLD if owner is None else owner for owner in found]
    return frozenset(filter(None, found))


def stored_owners(type_name: str, body: bytes) -> frozenset[PatientReference]:
    """`owners` of a stored resource, decoding only the members that can name one: a fraction of its cost."""
    members, only = _owning_members(type_name)
    found = members(body)
    named = None if only is None else found.get(only)
    if not isinstance(named, dict):
        return owners(found)
    owner = _patient_of(named)
    return frozenset() if owner is None else frozenset((owner,))


@lru_cache(maxsize=256)
def _owning_members(type_name: str) -> tuple[Callable[[bytes], JsonObject], str | None]:
    """What decodes them, and the only one where a Reference in it says it all: so it is of most types."""
    rule = type_rules().get(type_name)
    paths = () if rule is None else rule.paths
    names = {"resourceType", "id", *(path[0] for path in paths)}
    decode = msgspec.json.Decoder(TypedDict("Owning", dict.fromkeys(names, Any), total=False)).decode  # type: ignore[operator]
    plain = rule is not None and rule.type_class == "personal" and len(paths) == 1 and len(paths[0]) == 1
    return decode, paths[0][0] if plain else None


def patient_references(resource: JsonObject) -> frozenset[PatientReference]:
    """Every patient named at any depth: contained resources, extensions and identifier-only references included.

    A contained Patient, and a reference whose target cannot be told, is `Foreign`.
    """
    return frozenset(_walk(resource, top=True)) | (owners(resource) & {_UNTOLD})


def names_strangers(resource: JsonObject) -> bool:
    """Whether a record of a type that may be about nobody names a patient it is not about, or one who cannot be told:
    who may see it hangs on that alone, which no search can say."""
    rule = type_rules().get(_type_of(resource))
    if rule is None or rule.type_class not in ("shared", "optional"):
        return False
    own = owners(resource)
    return not patient_references(resource) <= own or any(isinstance(owner, Foreign) for owner in own)


def _own_id(resource: JsonObject) -> PatientReference:
    own = resource.get("id")
    return PatientId(own) if isinstance(own, str) and own else Foreign("Patient without id")


def _type_of(resource: JsonObject) -> str:
    name = resource.get("resourceType")
    return name if isinstance(name, str) else ""


def _at(node: Any, path: tuple[str, ...]) -> list[Any]:
    if isinstance(node, list):
        return [found for item in node for found in _at(item, path)]
    if not path:
        return [node]
    return _at(node[path[0]], path[1:]) if isinstance(node, dict) and path[0] in node else []


def _walk(node: Any, *, top: bool = False) -> Iterator[PatientReference]:
    if isinstance(node, list):
        for item in node:
            yield from _walk(item)
    elif isinstance(node, dict):
        if not top and node.get("resourceType") == "Patient":
            yield Foreign("contained Patient")
        found = _patient_of(node)
        if found is not None:
            yield found
        for value in node.values():
            if isinstance(value, dict | list):
                yield from _walk(value)


def _patient_of(node: Any) -> PatientReference | None:
    """The patient that a Reference names; None when it names something else, or `node` is no Reference."""
    if not isinstance(node, dict):
        return None
    text = node.get("reference")
    said = node.get("type")
    if isinstance(text, str):
        kind = said if said in (None, "Patient") else "another"
        return _kept_named(text, kind) if len(text) <= LONGEST_KEPT else _named(text, kind)
    return Foreign("identifier-only Patient") if said == "Patient" and "identifier" in node else None


def _named(text: str, said: str | None) -> PatientReference | None:
    local = _LOCAL.fullmatch(text)
    if local is not None:
        return PatientId(local["id"]) if local["type"] == "Patient" else _contradiction(said)
    if text.startswith("#"):
        return _contradiction(said)
    unknown = text.startswith("urn:") and said is None
    return Foreign(text) if unknown or said == "Patient" or _PATIENT_INSIDE.search(text) else None


_kept_named: Final = lru_cache(maxsize=4096)(_named)


def _contradiction(said: str | None) -> PatientReference | None:
    return Foreign("reference that only says to be a Patient") if said == "Patient" else None
