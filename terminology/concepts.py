"""The concepts of a code system, and what a value set makes of them: https://hl7.org/fhir/R4/valueset.html#compositions

concepts_of(code_system) -> (Concept, …)               all of them, parents before children
needs(value_set) -> {("CodeSystem", url), …}           what an expansion has to look into, one step deep
expand(value_set, find) -> (Concept, …)                CannotExpand says what is missing
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from terminology.concept import CannotExpand, Concept, Resource
from terminology.filters import passing
from terminology.links import linked

Find = Callable[[str, str], Resource | None]
"""(kind, url) -> the resource, when it is known."""

MAX_DEPTH: Final = 10
MOST_STEPS: Final = 200_000  # some tenths of a second
STEPS_OF_FILTER: Final = 20


def concepts_of(system: Resource) -> tuple[Concept, ...]:
    """All concepts of a CodeSystem; parents before the children that are nested in them. One whose code is not told,
    but only why, is none."""
    found = tuple(_below(system, system.get("concept", ()), ()))
    return linked(system, found) if any(one.properties for one in found) else found


def _below(system: Resource, concepts: Iterable[Resource], above: tuple[str, ...]) -> Iterator[Concept]:
    for one in concepts:
        inner = one.get("concept", ())
        if "code" not in one:
            yield from _below(system, inner, above)
            continue
        yield Concept(
            system.get("url", ""),
            one["code"],
            one.get("display"),
            one.get("definition"),
            above,
            tuple(child["code"] for child in inner if "code" in child),
            tuple(one.get("property", ())),
            tuple(one.get("designation", ())),
            system.get("version"),
            above[-1:],
        )
        yield from _below(system, inner, (*above, one["code"]))


def needs(value_set: Resource) -> set[tuple[str, str]]:
    """(kind, url) of what the compositions name."""
    found: set[tuple[str, str]] = set()
    for part in _parts(value_set, "include", "exclude"):
        found |= {("ValueSet", url.partition("|")[0]) for url in _sets_of(part)}
        if "system" in part:
            found.add(("CodeSystem", part["system"]))
    return found


def _sets_of(part: Resource) -> list[str]:
    return [url for url in part.get("valueSet", ()) if url is not None]


def _parts(value_set: Resource, *names: str) -> list[Resource]:
    compose = value_set.get("compose", {})
    return [part for name in names for part in compose.get(name, ())]


def expand(value_set: Resource, find: Find) -> tuple[Concept, ...]:
    """The concepts of a value set, each once, in the order of its compositions. One without a composition is what its
    own expansion says."""
    return _expanded(value_set, _Work(find), 0)


@dataclass(slots=True)
class _Work:
    """One expansion: what it has looked up already, and how much more may be done for it."""

    find: Find
    left: int = MOST_STEPS
    systems: dict[str, tuple[Concept, ...]] = field(default_factory=dict)
    sets: dict[str, tuple[Concept, ...]] = field(default_factory=dict)

    def spend(self, steps: int) -> None:
        self.left -= steps
        if self.left < 0:
            raise CannotExpand(f"it takes more than {MOST_STEPS} looks at a code")

    def concepts(self, url: str, system: Resource) -> tuple[Concept, ...]:
        if url not in self.systems:
            self.systems[url] = concepts_of(system)
        self.spend(len(self.systems[url]) + 1)
        return self.systems[url]


def _expanded(value_set: Resource, work: _Work, depth: int) -> tuple[Concept, ...]:
    if depth > MAX_DEPTH:
        raise CannotExpand(f"the value sets of {value_set.get('url')} include each other")
    if "compose" not in value_set:
        return tuple(_contained(value_set.get("expansion", {}).get("contains", ())))
    excluded = {one.key for part in _parts(value_set, "exclude") for one in _of_part(part, work, depth)}
    found = {one.key: one for part in _parts(value_set, "include") for one in _of_part(part, work, depth)}
    return tuple(one for key, one in found.items() if key not in excluded)


def _contained(contains: Iterable[Resource]) -> Iterator[Concept]:
    for one in contains:
        if "code" in one and not one.get("abstract"):
            designations = tuple(one.get("designation", ()))
            yield Concept(one.get("system", ""), one["code"], one.get("display"), designations=designations)
        yield from _contained(one.get("contains", ()))


def _of_part(part: Resource, work: _Work, depth: int) -> Sequence[Concept]:
    """What a system part says, as far as all of the value sets of the part have it too."""
    sets = [_included(url, work, depth) for url in _sets_of(part)]
    own: Sequence[Concept] = _of_system(part, work) if "system" in part else sets.pop(0) if sets else []
    for other in sets:
        keys = {one.key for one in other}
        own = [one for one in own if one.key in keys]
    return own


def _included(url: str, work: _Work, depth: int) -> Sequence[Concept]:
    plain = url.partition("|")[0]
    if plain not in work.sets:
        found = work.find("ValueSet", plain)
        if found is None:
            raise CannotExpand(f"the value set {url} is not known here")
        work.sets[plain] = _expanded(found, work, depth + 1)
    work.spend(len(work.sets[plain]) + 1)
    return work.sets[plain]


def _of_system(part: Resource, work: _Work) -> Sequence[Concept]:
    url = part["system"]
    system = work.find("CodeSystem", url)
    if "concept" in part:
        known = {} if system is None else {one.code: one for one in work.concepts(url, system)}
        work.spend(len(part["concept"]))
        return [_listed(url, one, known) for one in part["concept"] if "code" in one]
    if system is None or system.get("content") not in ("complete", "fragment"):
        raise CannotExpand(f"the codes of {url} are not known here")
    every = work.concepts(url, system)
    found: Sequence[Concept] = every
    for rule in part.get("filter", ()):
        work.spend(len(found) + STEPS_OF_FILTER)
        passes = passing(rule, every, url)
        found = [one for one in found if passes(one)]
    return found


def _listed(system: str, one: Resource, known: Mapping[str, Concept]) -> Concept:
    """A concept as the value set words it, else as its system does."""
    own = known.get(one["code"], Concept(system, one["code"]))
    if "display" not in one and "designation" not in one:
        return own
    display, designations = one.get("display", own.display), tuple(one.get("designation", own.designations))
    return replace(own, display=display, designations=designations)


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
