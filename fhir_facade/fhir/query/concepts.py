"""`:in`, `:not-in`, `:above` and `:below` of tokens as the codes they stand for.

    named_value_sets(params) -> canonical URLs that are not shipped: who asks has to look them up
    members(name, url, stored) -> the codes of a value set
    relatives(name, modifier, token) -> the codes around a code

Every store then sees plain codes. https://hl7.org/fhir/R4/search.html#modifiers, #token
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any, Final

from fhir_facade.errors import BadRequest, Issue, TooLarge
from fhir_facade.fhir.query.escape import split, unescape
from fhir_facade.values import TokenValue
from terminology.concept import CannotExpand
from terminology.concepts import expand
from terminology.known import known

Parents = Mapping[str, str | None]
ValueSets = Mapping[str, Sequence[TokenValue]]
"""The codes of value sets that are stored here, by the canonical URL with which a search names them."""
NO_VALUE_SETS: Final[ValueSets] = {}
MOST_CODES: Final = 2000
"""A store is asked for each of them."""
OF_VALUE_SETS: Final = {"in": None, "not-in": "not"}
"""Modifier -> the one that means the same with the codes of the set in its place."""
OF_TREES: Final = frozenset(("above", "below"))
_SUFFIXES: Final = tuple(f":{modifier}" for modifier in OF_VALUE_SETS)
_IN_FILTER: Final = re.compile(r'\sin\s+"?([^\s()"]+)')


def named_value_sets(params: Iterable[tuple[str, str]]) -> frozenset[str]:
    """The canonical URLs after `:in`, `:not-in` and the `in` of `_filter`, but those that ship with the server."""
    asked = {url for name, value in params if name.endswith(_SUFFIXES) for url in split(value, ",")}
    asked |= {url for name, value in params if name == "_filter" for url in _IN_FILTER.findall(value)}
    return frozenset(url for url in map(unescape, asked) if url.partition("|")[0] not in known("ValueSet"))


def members(name: str, url: str, stored: ValueSets = NO_VALUE_SETS) -> Sequence[TokenValue]:
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


def relatives(name: str, modifier: str, token: TokenValue) -> tuple[TokenValue, ...]:
    """The code itself and all above or below it in its code system; without a system, in every one that has the code.

    BadRequest: no code system that is shipped has it, so what lies around it cannot be told.
    """
    code = token.code or ""
    systems = (token.system,) if token.system else _systems().get(code, ())
    found = [(system, around) for system in systems for around in _AROUND[modifier](_parents(system), code)]
    if not found:
        where = f"the code system {token.system} as it is" if token.system else "no code system"
        has = "has no" if token.system else "has a"
        text = f"{name}:{modifier}: {where} known here {has} code {code!r}, so what lies around it cannot be told"
        raise BadRequest(text, issues=(Issue("not-found", text),))
    return tuple(TokenValue(*pair) for pair in found)


@cache
def _systems() -> Mapping[str, tuple[str, ...]]:
    """The code systems that have each code, in the order of their URLs."""
    found: dict[str, tuple[str, ...]] = {}
    for system in sorted(known("CodeSystem")):
        for code in _parents(system):
            found[code] = (*found.get(code, ()), system)
    return found


@cache
def _parents(system: str) -> Parents:
    """Those of a shipped system; empty for other systems."""
    return parents_in(known("CodeSystem").get(system, {}).get("concept", ()))


def parents_in(concepts: Sequence[Mapping[str, Any]]) -> Parents:
    """Every code of nested concepts with the one it stands under, None at the top."""
    return dict(_placed(concepts, None))


def _placed(concepts: Sequence[Mapping[str, Any]], parent: str | None) -> Iterator[tuple[str, str | None]]:
    for concept in concepts:
        yield concept["code"], parent
        yield from _placed(concept.get("concept", ()), concept["code"])


def above(parents: Parents, code: str) -> list[str]:
    """The code and what it stands under, upwards; nothing for a code that is not there."""
    found: list[str] = []
    place: str | None = code if code in parents else None
    while place is not None:
        found.append(place)
        place = parents[place]
    return found


def below(parents: Parents, code: str) -> list[str]:
    """The code and all that stands under it; nothing for a code that is not there."""
    return [each for each in parents if code in above(parents, each)]


_AROUND: Final = {"above": above, "below": below}
