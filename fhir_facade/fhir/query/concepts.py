"""`:in`, `:not-in`, `:above` and `:below` of tokens as the codes they stand for.

    named_value_sets(params), named_code_systems(params) -> URLs that are not shipped: who asks has to look them up
    members(name, url, stored) -> the codes of a value set
    relatives(name, modifier, token, stored) -> the codes around a code

Every store then sees plain codes. https://hl7.org/fhir/R4/search.html#modifiers, #token
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Final

from fhir_facade.errors import BadRequest, Issue, TooLarge
from fhir_facade.fhir.query.escape import split, unescape
from fhir_facade.values import TokenValue
from terminology.concept import CannotExpand, Concept
from terminology.concepts import concepts_of, expand
from terminology.known import known

ValueSets = Mapping[str, Sequence[TokenValue]]
"""The codes of value sets that are stored here, by the canonical URL with which a search names them."""
CodeSystems = Mapping[str, Sequence[Concept]]
"""The concepts of code systems that are stored here, by their URL."""


Place = tuple[str, str, str]
"""`above` or `below`, and type and id of the resource that is asked about."""
Trees = Mapping[Place, Sequence[str]]
"""The ids of what stands above or below a resource in the hierarchy of its type, its own among them."""


@dataclass(frozen=True, slots=True)
class StoredCodes:
    """What a search needs to know of the terminology and the hierarchies that are stored here."""

    sets: ValueSets = field(default_factory=dict)
    systems: CodeSystems = field(default_factory=dict)
    trees: Trees = field(default_factory=dict)


NO_CODES: Final = StoredCodes()
MOST_CODES: Final = 2000
"""A store is asked for each of them."""
OF_VALUE_SETS: Final = {"in": None, "not-in": "not"}
"""Modifier -> the one that means the same with the codes of the set in its place."""
OF_TREES: Final = frozenset(("above", "below"))
_SUFFIXES: Final = tuple(f":{modifier}" for modifier in OF_VALUE_SETS)
_OF_TREES_SUFFIXES: Final = tuple(f":{modifier}" for modifier in sorted(OF_TREES))
_IN_FILTER: Final = re.compile(r'\sin\s+"?([^\s()"]+)')
_OF_TREE_IN_FILTER: Final = re.compile(r'\s(?:ss|sb)\s+"?([^\s()"|]+)\|')


def named_value_sets(params: Iterable[tuple[str, str]]) -> frozenset[str]:
    """The canonical URLs after `:in`, `:not-in` and the `in` of `_filter`, but those that ship with the server."""
    asked = {url for name, value in params if name.endswith(_SUFFIXES) for url in split(value, ",")}
    asked |= {url for name, value in params if name == "_filter" for url in _IN_FILTER.findall(value)}
    return frozenset(url for url in map(unescape, asked) if url.partition("|")[0] not in known("ValueSet"))


def named_code_systems(params: Iterable[tuple[str, str]]) -> frozenset[str]:
    """The systems of the tokens after `:above`, `:below` and the `ss`, `sb` of `_filter`, but those that ship with the
    server."""
    asked: set[str] = set()
    for name, value in params:
        if name == "_filter":
            asked.update(_OF_TREE_IN_FILTER.findall(value))
        elif name.endswith(_OF_TREES_SUFFIXES):
            asked.update(_systems_in(value))
    return frozenset(asked.difference(known("CodeSystem")))


def _systems_in(value: str) -> set[str]:
    tokens = [split(part, "|") for part in split(value, ",")]
    return {unescape(token[0]) for token in tokens if len(token) == 2}


def members(name: str, url: str, stored: ValueSets) -> Sequence[TokenValue]:
    """The codes of a value set by its url (of one that ships, a version behind a bar is not looked at). BadRequest:
    neither shipped nor among the stored ones, or
    empty. TooLarge: more codes than a search can hold."""
    found = stored[url] if url in stored else _shipped(name, url)
    if not found:
        raise BadRequest(f"{name}: the value set {url} has no codes, so nothing can be in it")
    if len(found) > MOST_CODES:
        raise TooLarge(f"{name}: the value set {url} has {len(found)} codes, a search takes at most {MOST_CODES}")
    return found


@cache
def _expanded(url: str) -> tuple[TokenValue, ...]:
    concepts = expand(known("ValueSet")[url], lambda kind, named: known(kind).get(named))
    return tuple(TokenValue(one.system, one.code) for one in concepts)


def _shipped(name: str, url: str) -> tuple[TokenValue, ...]:
    plain = url.partition("|")[0]
    if plain not in known("ValueSet"):
        text = f"{name}: the value set {url!r} is not known here: store it, or name one that ValueSet/$expand knows"
        raise BadRequest(text, issues=(Issue("not-found", text),))
    try:
        return _expanded(plain)
    except CannotExpand as error:
        text = f"{name}: the value set {url} cannot be expanded: {error}"
        raise BadRequest(text, issues=(Issue("not-supported", text),)) from error


def relatives(name: str, modifier: str, token: TokenValue, stored: CodeSystems) -> tuple[TokenValue, ...]:
    """The code itself and all above or below it in its code system; without a system, in every one that ships and has
    the code.

    BadRequest: no code system that is known has it, so what lies around it cannot be told. TooLarge: more codes than a
    search can hold.
    """
    code = token.code or ""
    systems = (token.system,) if token.system else _systems().get(code, ())
    found = tuple(
        TokenValue(system, around)
        for system in systems
        for around in _AROUND[modifier](stored.get(system) or _concepts(system), code)
    )
    if not found:
        where = f"the code system {token.system} as it is" if token.system else "no code system"
        has = "has no" if token.system else "has a"
        more = "" if token.system else "; name its system"
        text = f"{name}:{modifier}: {where} known here {has} code {code!r}, so what lies around it cannot be told{more}"
        raise BadRequest(text, issues=(Issue("not-found", text),))
    if len(found) > MOST_CODES:
        text = f"{name}:{modifier}: {len(found)} codes lie {modifier} {code}, a search takes at most {MOST_CODES}"
        raise TooLarge(text)
    return found


@cache
def _systems() -> Mapping[str, tuple[str, ...]]:
    """The code systems that have each code, in the order of their URLs."""
    found: dict[str, tuple[str, ...]] = {}
    for system in sorted(known("CodeSystem")):
        for concept in _concepts(system):
            found[concept.code] = (*found.get(concept.code, ()), system)
    return found


@cache
def _shipped_concepts(system: str) -> tuple[Concept, ...]:
    return concepts_of(known("CodeSystem")[system])


def _concepts(system: str) -> tuple[Concept, ...]:
    """Those of a shipped system; none of other systems."""
    return _shipped_concepts(system) if system in known("CodeSystem") else ()


def _above(concepts: Sequence[Concept], code: str) -> list[str]:
    """The code and what it stands under, upwards; nothing for a code that is not there."""
    return next(([code, *reversed(one.above)] for one in concepts if one.code == code), [])


def _below(concepts: Sequence[Concept], code: str) -> list[str]:
    """The code and all that stands under it; nothing for a code that is not there."""
    return [one.code for one in concepts if code == one.code or code in one.above]


_AROUND: Final = {"above": _above, "below": _below}
