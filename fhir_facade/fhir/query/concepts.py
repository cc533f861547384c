"""`:in`, `:not-in`, `:above` and `:below` of tokens as the codes they stand for, out of the terminology that ships.

Every store then sees plain codes. https://hl7.org/fhir/R4/search.html#modifiers, #token
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any, Final

from fhir_facade.errors import UnknownParameter
from fhir_facade.values import TokenValue
from terminology import codes

Pair = tuple[str, str]
Parents = Mapping[str, str | None]
OF_VALUE_SETS: Final = {"in": None, "not-in": "not"}
"""Modifier -> the one that means the same with the codes of the set in its place."""
OF_TREES: Final = frozenset(("above", "below"))


def members(name: str, url: str) -> tuple[TokenValue, ...]:
    """The codes of a value set by its url (a version behind a bar is not looked at). UnknownParameter: not shipped."""
    found = codes.resources("ValueSet").get(url.partition("|")[0])
    if found is None:
        known = ", ".join(sorted(codes.resources("ValueSet")))
        raise UnknownParameter(f"{name}: the value set {url!r} is not known here; known are {known}")
    return tuple(TokenValue(*pair) for include in found["compose"]["include"] for pair in _included(include))


def _included(include: Mapping[str, Any]) -> Iterator[Pair]:
    system = include["system"]
    listed = [concept["code"] for concept in include.get("concept", ())]
    return ((system, code) for code in listed or _parents(system))


def relatives(name: str, modifier: str, token: TokenValue) -> tuple[TokenValue, ...]:
    """The code itself and all above or below it in its code system; without a system, in every one that has the code.

    UnknownParameter: no code system that is shipped has it, so what lies around it cannot be told.
    """
    systems = [token.system] if token.system else sorted(codes.resources("CodeSystem"))
    found = [(system, around) for system in systems for around in _AROUND[modifier](_parents(system), token.code or "")]
    if not found:
        raise UnknownParameter(
            f"{name}:{modifier}: no code system known here has the code {token.code!r}; "
            f"known are {', '.join(sorted(codes.resources('CodeSystem')))}"
        )
    return tuple(TokenValue(*pair) for pair in found)


@cache
def _parents(system: str) -> Parents:
    """Those of a shipped system; empty for other systems."""
    found = codes.resources("CodeSystem").get(system)
    return parents_in(found["concept"]) if found is not None else {}


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
