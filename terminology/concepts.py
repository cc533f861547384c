"""The concepts of a code system, and what a value set makes of them: https://hl7.org/fhir/R4/valueset.html#compositions

concepts_of(code_system) -> (Concept, …)               all of them, parents before children
needs(value_set) -> {("CodeSystem", url), …}           what an expansion has to look into, one step deep
expand(value_set, find) -> (Concept, …)                CannotExpand says what is missing
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

Resource = Mapping[str, Any]
Find = Callable[[str, str], Resource | None]
"""(kind, url) -> the resource, when it is known."""

MAX_DEPTH: Final = 10


class CannotExpand(ValueError):
    """A part of the value set is not known here, or asks for what is not built."""


@dataclass(frozen=True, slots=True)
class Concept:
    """One code of a system. `above` are the codes it stands under, from the top."""

    system: str
    code: str
    display: str | None = None
    definition: str | None = None
    above: tuple[str, ...] = ()
    below: tuple[str, ...] = ()
    properties: tuple[Resource, ...] = ()
    designations: tuple[Resource, ...] = ()
    version: str | None = None

    @property
    def key(self) -> tuple[str, str]:
        return self.system, self.code

    @property
    def inactive(self) -> bool:
        says = {one["code"]: one for one in self.properties}
        status = says.get("status", {}).get("valueCode")
        return says.get("inactive", {}).get("valueBoolean") is True or status in ("inactive", "retired", "deprecated")

    @property
    def abstract(self) -> bool:
        return any(one["code"] in ("notSelectable", "abstract") and one.get("valueBoolean") for one in self.properties)


def concepts_of(system: Resource) -> tuple[Concept, ...]:
    """All concepts of a CodeSystem, parents before children."""
    return tuple(_below(system, system.get("concept", ()), ()))


def _below(system: Resource, concepts: Iterable[Resource], above: tuple[str, ...]) -> Iterator[Concept]:
    for one in concepts:
        inner = one.get("concept", ())
        yield Concept(
            system.get("url", ""),
            one["code"],
            one.get("display"),
            one.get("definition"),
            above,
            tuple(child["code"] for child in inner),
            tuple(one.get("property", ())),
            tuple(one.get("designation", ())),
            system.get("version"),
        )
        yield from _below(system, inner, (*above, one["code"]))


def needs(value_set: Resource) -> set[tuple[str, str]]:
    """(kind, url) of what the compositions name."""
    found: set[tuple[str, str]] = set()
    for part in _parts(value_set, "include", "exclude"):
        found |= {("ValueSet", url.partition("|")[0]) for url in part.get("valueSet", ())}
        if "system" in part:
            found.add(("CodeSystem", part["system"]))
    return found


def _parts(value_set: Resource, *names: str) -> list[Resource]:
    compose = value_set.get("compose", {})
    return [part for name in names for part in compose.get(name, ())]


def expand(value_set: Resource, find: Find, depth: int = 0) -> tuple[Concept, ...]:
    """The concepts of a value set, each once, in the order of its compositions. One without a composition is what its
    own expansion says."""
    if depth > MAX_DEPTH:
        raise CannotExpand(f"the value sets of {value_set.get('url')} include each other")
    if "compose" not in value_set:
        return tuple(_contained(value_set.get("expansion", {}).get("contains", ())))
    excluded = {one.key for part in _parts(value_set, "exclude") for one in _of_part(part, find, depth)}
    found = {one.key: one for part in _parts(value_set, "include") for one in _of_part(part, find, depth)}
    return tuple(one for key, one in found.items() if key not in excluded)


def _contained(contains: Iterable[Resource]) -> Iterator[Concept]:
    for one in contains:
        if "code" in one and not one.get("abstract"):
            designations = tuple(one.get("designation", ()))
            yield Concept(one.get("system", ""), one["code"], one.get("display"), designations=designations)
        yield from _contained(one.get("contains", ()))


def _of_part(part: Resource, find: Find, depth: int) -> list[Concept]:
    """What a system part says, as far as all of the value sets of the part have it too."""
    sets = [_included(url, find, depth) for url in part.get("valueSet", ())]
    own = _of_system(part, find) if "system" in part else sets.pop(0) if sets else []
    for other in sets:
        keys = {one.key for one in other}
        own = [one for one in own if one.key in keys]
    return own


def _included(url: str, find: Find, depth: int) -> list[Concept]:
    found = find("ValueSet", url.partition("|")[0])
    if found is None:
        raise CannotExpand(f"the value set {url} is not known here")
    return list(expand(found, find, depth + 1))


def _of_system(part: Resource, find: Find) -> list[Concept]:
    system = find("CodeSystem", part["system"])
    if "concept" in part:
        known = {} if system is None else {one.code: one for one in concepts_of(system)}
        return [_listed(part["system"], one, known) for one in part["concept"]]
    if system is None or system.get("content") not in ("complete", "fragment"):
        raise CannotExpand(f"the codes of {part['system']} are not known here")
    found = list(concepts_of(system))
    for rule in part.get("filter", ()):
        found = [one for one in found if _passes(one, rule, system)]
    return found


def _listed(system: str, one: Resource, known: Mapping[str, Concept]) -> Concept:
    """A concept as the value set words it, else as its system does."""
    own = known.get(one["code"], Concept(system, one["code"]))
    if "display" not in one and "designation" not in one:
        return own
    display, designations = one.get("display", own.display), tuple(one.get("designation", own.designations))
    return Concept(
        *(system, own.code, display, own.definition, own.above, own.below, own.properties, designations, own.version)
    )


# --- filters ----------------------------------------------------------------------------------------------------------


def _passes(concept: Concept, rule: Resource, system: Resource) -> bool:
    """https://hl7.org/fhir/R4/valueset-filter-operator.html"""
    operator = _OPERATORS.get(rule["op"])
    if operator is None:
        raise CannotExpand(
            f"the filter {rule['op']} of {system.get('url')} is not built here: {', '.join(_OPERATORS)} are"
        )
    return operator(concept, rule["property"], rule["value"])


def _values(concept: Concept, name: str) -> set[str]:
    if name in ("code", "concept"):
        return {concept.code}
    if name == "display":
        return {concept.display or ""}
    if name == "parent":
        return set(concept.above[-1:])
    return {_said(one) for one in concept.properties if one["code"] == name}


def _said(one: Resource) -> str:
    value: Any = next((value for name, value in one.items() if name.startswith("value")), "")
    if isinstance(value, Mapping):
        return str(value.get("code", ""))
    return str(value).lower() if isinstance(value, bool) else str(value)


def _listed_values(text: str) -> set[str]:
    return {part.strip() for part in text.split(",")}


_OPERATORS: Final[Mapping[str, Callable[[Concept, str, str], bool]]] = {
    "=": lambda concept, name, value: value in _values(concept, name),
    "is-a": lambda concept, _, value: value in (concept.code, *concept.above),
    "descendent-of": lambda concept, _, value: value in concept.above,
    "is-not-a": lambda concept, _, value: value not in (concept.code, *concept.above),
    "in": lambda concept, name, value: bool(_values(concept, name) & _listed_values(value)),
    "not-in": lambda concept, name, value: not _values(concept, name) & _listed_values(value),
    "exists": lambda concept, name, value: bool(_values(concept, name)) is (value == "true"),
}


def matches_text(concept: Concept, text: str) -> bool:
    """Whether every word stands in the display, or the text begins the code; case does not count."""
    words = text.casefold().split()
    shown = _texts(concept)
    return concept.code.casefold().startswith(text.casefold()) or all(
        any(word in one for one in shown) for word in words
    )


def _texts(concept: Concept) -> Sequence[str]:
    return [
        text.casefold() for text in (concept.display or "", *(one.get("value", "") for one in concept.designations))
    ]
