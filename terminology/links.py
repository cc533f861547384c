"""What the properties `parent` and `child` say of the place of a code: https://hl7.org/fhir/R4/codesystem.html#defined-props

linked(code_system, concepts) -> the concepts, each with all that it stands under
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from terminology.concept import Concept, Resource

DEFINED: Final = "http://hl7.org/fhir/concept-properties#"

Links = Mapping[str, Sequence[str]]
"""A code -> those right above it (or right under it), each once."""


def linked(system: Resource, concepts: Sequence[Concept]) -> tuple[Concept, ...]:
    """Nesting counts too; a code may stand under several. Codes that stand under each other have an end."""
    names = {kind: _names(system, kind) for kind in ("parent", "child")}
    pairs = [pair for one in concepts for pair in _pairs(one, names)]
    if not pairs:
        return tuple(concepts)
    pairs = [*((above, one.code) for one in concepts for above in one.parents), *pairs]
    up, down = _grouped((under, above) for above, under in pairs), _grouped(pairs)
    return tuple(
        replace(
            one,
            above=_all_above(one.code, up),
            parents=tuple(up.get(one.code, ())),
            below=tuple(down.get(one.code, ())),
            properties=tuple(own for own in one.properties if own.get("code") not in names or "valueCode" not in own),
        )
        for one in concepts
    )


def _names(system: Resource, kind: str) -> set[str]:
    """What the system calls the property."""
    return {kind, *(own.get("code", "") for own in system.get("property", ()) if own.get("uri") == DEFINED + kind)}


def _pairs(concept: Concept, names: Mapping[str, set[str]]) -> Iterable[tuple[str, str]]:
    """(above, under), as the properties of a concept say it."""
    for own in concept.properties:
        if "valueCode" in own and own.get("code") in names["parent"]:
            yield own["valueCode"], concept.code
        if "valueCode" in own and own.get("code") in names["child"]:
            yield concept.code, own["valueCode"]


def _grouped(pairs: Iterable[tuple[str, str]]) -> Links:
    found: dict[str, dict[str, None]] = {}
    for code, other in pairs:
        found.setdefault(code, {})[other] = None
    return {code: tuple(others) for code, others in found.items()}


def _all_above(code: str, up: Links) -> tuple[str, ...]:
    """The nearest last."""
    found: dict[str, None] = {}
    places = [code]
    for place in places:
        new = [each for each in up.get(place, ()) if each not in found and each != code]
        found.update(dict.fromkeys(new))
        places += new
    return tuple(reversed(found))
