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
    known = {one.get("id") for one in contained}
    for target, source in found.local:
        if target and target not in known:
            found.add("value", source, f"breaks ref-1: nothing contained has the id '{target}'.")
    if not contained:
        return
    used = {target for target, _ in found.local} | {text[1:] for text in _texts(resource) if text.startswith("#")}
    own = _containers_referring_back(found)
    for index, one in enumerate(contained):
        place: Place = (None, "contained", index)
        _look_at_stamps(one, place, found)
        if one.get("id") not in used and index not in own:
            text = "breaks dom-3: it is not referenced by '#' and its id, and does not refer to '#'."
            found.add("invariant", place, text)


def _look_at_stamps(one: Mapping[str, Any], place: Place, found: Findings) -> None:
    meta = one.get("meta", {})
    for key, name in (("dom-4", "versionId"), ("dom-4", "lastUpdated"), ("dom-5", "security")):
        if name in meta:
            found.add("invariant", place, f"breaks {key}: a contained resource has no meta.{name}.", f".meta.{name}")


def _containers_referring_back(found: Findings) -> set[int | None]:
    return {_outermost(place)[2] for target, place in found.local if not target and place is not None}


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
