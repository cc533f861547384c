"""Parts of a resource: `_summary` and `_elements`, marked as incomplete, with the digits of every number kept.

https://hl7.org/fhir/R4/search.html#summary, https://hl7.org/fhir/R4/search.html#elements
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

import msgspec

from fhir_facade.fhir.definitions import Element, children
from fhir_facade.fhir.document import decimal_dumps, decimal_loads, members_of

Mode = Literal["true", "text", "data", "count", "false"]

SUBSETTED: Mapping[str, str] = {
    "system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue",
    "code": "SUBSETTED",
    "display": "Resource encoded in summary mode",
}
_ALWAYS = frozenset(("resourceType", "id", "meta", "implicitRules"))


def summarise(body: bytes, mode: Mode) -> bytes:
    """The resource as `_summary` asks for it.

    true: elements marked as summary, with those that are mandatory or modify the meaning, at every depth; text: the
    narrative and what is mandatory; data: all but the narrative. count and false leave a single resource as it is.
    """
    if mode == "true":
        resource = decimal_loads(body)
        return _marked(_summary(resource, resource["resourceType"]) | {"meta": resource.get("meta", {})})
    if mode == "text":
        return _kept(body, ("text",))
    if mode == "data":
        return _marked({name: raw for name, raw in members_of(body).items() if name != "text"})
    return body


def elements(body: bytes, names: Iterable[str]) -> bytes:
    """The resource with these elements of its top level only, and those that are mandatory or modify the meaning.

    `value` means every choice of value[x]; a name that the type does not have means nothing.
    """
    return _kept(body, names)


def _type_of(body: bytes) -> str:
    return msgspec.json.decode(members_of(body)["resourceType"], type=str)


def _kept(body: bytes, names: Iterable[str]) -> bytes:
    members = members_of(body)
    defined = children(_type_of(body))
    needed = {*names, *(name for name, element in defined.items() if element.min > 0 or element.modifier)}
    return _marked({member: raw for member, raw in members.items() if _is_one_of(member, needed, defined)})


def _is_one_of(member: str, names: set[str], defined: Mapping[str, Element]) -> bool:
    found = _element(member, defined)
    return member in _ALWAYS or (found is not None and found[0] in names)


def _element(member: str, defined: Mapping[str, Element]) -> tuple[str, Element] | None:
    """The element behind a JSON member: itself, its companion `_name`, or the choice `value` of `valueQuantity`."""
    name = member.removeprefix("_")
    if name in defined:
        return name, defined[name]
    return next(
        ((stem, element) for stem, element in defined.items() if element.choice and name.startswith(stem)),
        None,
    )


def _summary(node: Mapping[str, Any], path: str) -> dict[str, Any]:
    defined = children(path)
    kept: dict[str, Any] = {}
    for member, value in node.items():
        found = _element(member, defined)
        if member == "resourceType":
            kept[member] = value
        elif found is not None and (found[1].summary or found[1].modifier or found[1].min > 0):
            kept[member] = _inner(value, _content(member, found))
    return kept


def _content(member: str, found: tuple[str, Element]) -> str:
    """Where the parts of an element are defined; of a choice it is the type that the member names."""
    stem, element = found
    return member[len(stem) :] if element.choice else element.content


def _inner(value: Any, path: str) -> Any:
    if isinstance(value, list):
        return [_inner(item, path) for item in value]
    if not isinstance(value, dict) or not children(path):
        return value
    return _summary(value, path) or value


def _marked(members: dict[str, Any]) -> bytes:
    """The members with the tag that says that something is missing, in their usual order."""
    meta = members.pop("meta", None)
    made = decimal_loads(bytes(meta)) if isinstance(meta, msgspec.Raw) else dict(meta or {})
    tags = [tag for tag in made.get("tag", ()) if tag.get("code") != SUBSETTED["code"]]
    made["tag"] = [*tags, SUBSETTED]
    first = {name: members.pop(name) for name in ("resourceType", "id") if name in members}
    return decimal_dumps({**first, "meta": made, **members})
