"""Resources inside resources: what may be contained, and that local references lead somewhere.

https://hl7.org/fhir/R4/references.html#contained (dom-2 to dom-5, ref-1)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fhir_facade.fhir.validation.walk import Findings, Place


def look_at_contained(resource: Mapping[str, Any], found: Findings) -> None:
    """Check ids, stamps and local references, once everything in the resource has been walked through."""
    contained: Sequence[Mapping[str, Any]] = resource.get("contained", ())
    _look_at_references({one.get("id", ""): one["resourceType"] for one in contained}, found)
    if not contained:
        return
    _look_at_ids(contained, found)
    used = {one.id for one in found.local} | {text[1:] for text in _texts(resource) if text.startswith("#")}
    own = _containers_referring_back(found)
    for index, one in enumerate(contained):
        place: Place = (None, "contained", index)
        _look_at_stamps(one, place, found)
        if one.get("id") not in used and index not in own:
            text = "breaks dom-3: it is not referenced by '#' and its id, and does not refer to '#'."
            found.add("invariant", place, text)


def _look_at_references(known: Mapping[str, str], found: Findings) -> None:
    for one in found.local:
        kind = known.get(one.id)
        if one.id and kind is None:
            found.add("value", one.place, f"breaks ref-1: nothing contained has the id '{one.id}'.")
        elif one.id and one.targets and kind not in one.targets:
            found.add("value", one.place, f"is to {kind}, but may only be to: {', '.join(sorted(one.targets))}.")


def _look_at_ids(contained: Sequence[Mapping[str, Any]], found: Findings) -> None:
    """https://hl7.org/fhir/R4/references.html#contained: a contained resource is known by its id alone."""
    seen: set[str] = set()
    for index, one in enumerate(contained):
        if "id" not in one:
            found.add("required", (None, "contained", index), "needs an id: it is referred to by it.", ".id")
        elif one["id"] in seen:
            found.add("duplicate", (None, "contained", index), f"has the id '{one['id']}' of another one.", ".id")
        seen.add(one.get("id", ""))


def _look_at_stamps(one: Mapping[str, Any], place: Place, found: Findings) -> None:
    meta = one.get("meta", {})
    for key, name in (("dom-4", "versionId"), ("dom-4", "lastUpdated"), ("dom-5", "security")):
        if name in meta:
            found.add("invariant", place, f"breaks {key}: a contained resource has no meta.{name}.", f".meta.{name}")


def _containers_referring_back(found: Findings) -> set[int | None]:
    return {_outermost(one.place)[2] for one in found.local if not one.id and one.place is not None}


def _outermost(place: tuple[Any, str, int | None]) -> tuple[Any, str, int | None]:
    while place[0] is not None:
        place = place[0]
    return place


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)
