"""SMART scopes as one typed set: parsed whole, intersected by meaning, written back in the dialect they came in.

https://hl7.org/fhir/smart-app-launch/scopes-and-launch-context.html; drives consent, tokens, enforcement and refresh.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final, cast
from urllib.parse import quote, unquote

from fhir_facade.access.compartment import type_rules
from fhir_facade.access.granular import is_granular
from fhir_facade.values import Scope

LETTERS: Final = "cruds"
"""create; read, vread and history of one instance; update and patch; delete; search and history of a type."""

NAMED_SCOPES: Final = frozenset(
    {
        "launch",
        "launch/patient",
        "launch/encounter",
        "openid",
        "fhirUser",
        "profile",
        "offline_access",
        "online_access",
    }
)

_V1: Final = {"read": frozenset("rs"), "write": frozenset("cud"), "*": frozenset(LETTERS)}
_V1_NAMES: Final = {letters: name for name, letters in _V1.items()}
_GRAMMAR: Final = re.compile(
    r"(?P<context>patient|user|system)/(?P<type>\*|[A-Z][A-Za-z]+)"
    r"\.(?:(?P<v1>read|write|\*)|(?P<v2>(?=[cruds])c?r?u?d?s?)(?:\?(?P<params>[^?#\s\"\\]+))?)"
)
_BAD_ESCAPE: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")
_PLAIN: Final = "!$'()*,/:;@|~="
"""Characters a parameter value keeps unescaped, so that common codings come back as they were written."""


@dataclass(frozen=True, slots=True)
class ScopeSet:
    """What a scope string means. `launch` holds the scopes that are not about FHIR data (launch context, openid, …).

    `v1` are those of `fhir` that were written in the v1 dialect; `refused` the words that were not understood and
    grant nothing. Order is the order of the text.
    """

    fhir: tuple[Scope, ...] = ()
    launch: frozenset[str] = frozenset()
    v1: frozenset[Scope] = frozenset()
    refused: tuple[str, ...] = ()


def parse_scopes(text: str) -> ScopeSet:
    """Read a space-separated scope string. Never raises: what is unknown or malformed is in `refused`."""
    fhir: dict[Scope, None] = {}
    v1: set[Scope] = set()
    launch: set[str] = set()
    refused: dict[str, None] = {}
    for word in text.split():
        if word in NAMED_SCOPES:
            launch.add(word)
        elif (match := _GRAMMAR.fullmatch(word)) is None or (scope := _scope(match)) is None:
            refused[word] = None
        else:
            fhir[scope] = None
            if match["v1"]:
                v1.add(scope)
    return ScopeSet(tuple(fhir), frozenset(launch), frozenset(v1), tuple(refused))


def serialise(scopes: ScopeSet) -> str:
    """The scope string of a set: launch and identity scopes first, then FHIR scopes, each in its own dialect.

    A v1 scope whose letters no longer have a v1 word is written in v2.
    """
    words = sorted(scopes.launch)
    words += [write_scope(scope, v1=scope in scopes.v1) for scope in scopes.fhir]
    return " ".join(words)


def write_scope(scope: Scope, *, v1: bool = False) -> str:
    """One scope as text; `v1` asks for `read`, `write` or `*` where the letters have that word."""
    head = f"{scope.context}/{scope.type}."
    if v1 and not scope.params and scope.letters in _V1_NAMES:
        return head + _V1_NAMES[scope.letters]
    letters = "".join(letter for letter in LETTERS if letter in scope.letters)
    query = "&".join(f"{name}={quote(value, safe=_PLAIN)}" for name, value in scope.params)
    return f"{head}{letters}?{query}" if query else head + letters


def intersect(requested: ScopeSet, allowed: ScopeSet) -> ScopeSet:
    """What both sets grant, in the order and dialect of `requested`.

    Letters meet, `*` yields the narrower type, granular parameters of both sides hold together. A requested scope may
    become several; one that another already covers is left out.
    """
    fhir: dict[Scope, None] = {}
    v1: set[Scope] = set()
    for wanted in requested.fhir:
        for scope in _meets(wanted, allowed.fhir):
            fhir[scope] = None
            if wanted in requested.v1:
                v1.add(scope)
    return ScopeSet(tuple(fhir), requested.launch & allowed.launch, frozenset(v1), requested.refused)


def covers(granted: ScopeSet, asked: ScopeSet) -> bool:
    """Whether everything `asked` grants is granted already: the test a refresh for fewer scopes has to pass."""
    if not asked.launch <= granted.launch:
        return False
    return all(_covered(scope, granted.fhir) for scope in asked.fhir)


def _scope(match: re.Match[str]) -> Scope | None:
    if not _known_type(match["type"]):
        return None
    params = _params(match["type"], match["params"])
    if params is None:
        return None
    letters = _V1[match["v1"]] if match["v1"] else frozenset(match["v2"])
    return Scope(cast("Any", match["context"]), match["type"], letters, params)


def _known_type(name: str) -> bool:
    return name == "*" or name in type_rules()


def _params(type_name: str, text: str | None) -> tuple[tuple[str, str], ...] | None:
    if text is None:
        return ()
    if _BAD_ESCAPE.search(text):
        return None
    pairs: dict[tuple[str, str], None] = {}
    for part in text.split("&"):
        name, _, value = part.partition("=")
        plain = unquote(value, errors="replace")
        if not plain.isprintable() or "\ufffd" in plain or not is_granular(type_name, name, plain):
            return None
        pairs[name, plain] = None
    return tuple(pairs)


def _meets(wanted: Scope, allowed: Iterable[Scope]) -> list[Scope]:
    met: dict[tuple[str, frozenset[str], frozenset[tuple[str, str]]], Scope] = {}
    for other in allowed:
        if (scope := _meet(wanted, other)) is not None:
            met.setdefault((scope.type, scope.letters, frozenset(scope.params)), scope)
    return [scope for scope in met.values() if not any(_wider(other, scope) for other in met.values())]


def _meet(one: Scope, other: Scope) -> Scope | None:
    letters = one.letters & other.letters
    if one.context != other.context or not letters or not _types_meet(one.type, other.type):
        return None
    narrower = other.type if one.type == "*" else one.type
    params = tuple(dict.fromkeys(one.params + other.params))
    return Scope(one.context, narrower, letters, params)


def _types_meet(one: str, other: str) -> bool:
    return "*" in (one, other) or one == other


def _wider(wide: Scope, narrow: Scope) -> bool:
    return wide is not narrow and _spans(wide, narrow) and narrow.letters <= wide.letters


def _spans(wide: Scope, narrow: Scope) -> bool:
    return wide.context == narrow.context and wide.type in ("*", narrow.type) and set(wide.params) <= set(narrow.params)


def _covered(asked: Scope, granted: Iterable[Scope]) -> bool:
    letters: frozenset[str] = frozenset()
    for scope in granted:
        if _spans(scope, asked):
            letters |= scope.letters
    return asked.letters <= letters
