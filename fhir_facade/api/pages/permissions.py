"""SMART scopes in plain words, for the consent page and the list of what apps may do.

https://hl7.org/fhir/smart-app-launch/STU2.2/best-practices.html
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from typing import Final

import msgspec

from fhir_facade.access.scopes import ScopeSet, parse_scopes, write_scope
from fhir_facade.api.pages.texts import Text
from fhir_facade.values import Scope

STAYING: Final = {"offline_access": "consent.offline", "online_access": "consent.online"}
IDENTITY: Final = frozenset({"openid", "fhirUser", "profile"})
_VERBS: Final = (("see", "rs"), ("add", "c"), ("change", "u"), ("delete", "d"))


@dataclass(frozen=True, slots=True)
class Part:
    """A kind of data to which a permission can be limited."""

    scope: str
    text: str


@dataclass(frozen=True, slots=True)
class Permission:
    """One line that can be unticked: `scope` is what the form sends, `text` what the person reads. `parts` are narrower
    scopes that can be allowed instead, `what` the name of the data they are parts of."""

    scope: str
    text: str
    what: str = ""
    parts: tuple[Part, ...] = ()


def permissions(scopes: ScopeSet, t: Text, *, own: bool = False) -> list[Permission]:
    """What can be unticked: every scope on data, and access while the person is away. `own`: the record in question is
    the reader's."""
    lines = [_permission(scope, t, v1=scope in scopes.v1, own=own) for scope in scopes.fhir]
    return lines + [Permission(name, t(key)) for name, key in STAYING.items() if name in scopes.launch]


def facts(scopes: ScopeSet, t: Text, *, own: bool = False) -> list[str]:
    """What goes along without a choice. `own` as of permissions."""
    known = []
    if IDENTITY & scopes.launch:
        known.append(t("consent.fact.identity"))
    if "launch/patient" in scopes.launch:
        known.append(t("consent.fact.own" if own else "consent.fact.patient"))
    if "launch" in scopes.launch:
        known.append(t("consent.fact.launch"))
    return known


def narrowed(ticked: Sequence[str], only: Sequence[str]) -> list[str]:
    """What was ticked, but where parts of some data were chosen, those parts instead of all of it."""
    parts, all_of = parse_scopes(" ".join(only)).fhir, frozenset(parse_scopes(" ".join(ticked)).fhir)
    instead = [part for part in parts if _whole(part) in all_of]
    replaced = {_whole(part) for part in instead}
    kept = [word for word in ticked if not replaced & set(parse_scopes(word).fhir)]
    return kept + [write_scope(part) for part in instead]


def _whole(part: Scope) -> Scope:
    return replace(part, params=())


def _permission(scope: Scope, t: Text, *, v1: bool, own: bool) -> Permission:
    categories = () if scope.params else _kinds().get(scope.type, {}).items()
    parts = tuple(
        Part(write_scope(replace(scope, params=(("category", value),))), t(f"category.{key}"))
        for value, key in categories
    )
    return Permission(write_scope(scope, v1=v1), _sentence(scope, t, own=own), _name(scope, t), parts)


def _sentence(scope: Scope, t: Text, *, own: bool) -> str:
    what, others = _what(scope, t, own=own), []
    for name, value in scope.params:
        kinds = _categories(scope.type, name, value)
        if kinds:
            what = t("consent.limited_to", what=what, kinds=_either([t(f"category.{key}") for key in kinds], t))
        else:
            others.append(_limit(name, value, t))
    if others:
        what = t("consent.limited", what=what, limits=", ".join(others))
    return t("consent.verbs", verbs=_verbs(scope, t), what=what)


def _categories(type_name: str, name: str, value: str) -> list[str]:
    """The keys of the categories that a value names; nothing when one of them is not known."""
    if name != "category":
        return []
    keys = [_kinds().get(type_name, {}).get(part) or _by_code(type_name, part) for part in value.split(",")]
    return [key for key in keys if key] if all(keys) else []


def _limit(name: str, value: str, t: Text) -> str:
    """A code without the address of its system."""
    codes = [part.rpartition("|")[2] or part for part in value.split(",")]
    return t("consent.limit", name=t(f"limit.{name}"), value=_either(codes, t))


def _either(words: Sequence[str], t: Text) -> str:
    return f" {t('consent.or')} ".join(words)


def _by_code(type_name: str, value: str) -> str | None:
    """A code without its system, when only one category has it."""
    found = [key for known, key in _kinds().get(type_name, {}).items() if known.rpartition("|")[2] == value]
    return found[0] if len(found) == 1 else None


@cache
def _kinds() -> Mapping[str, Mapping[str, str]]:
    """Categories by type: `system|code` -> the key of their name."""
    table = msgspec.json.decode(files(__package__).joinpath("categories.json").read_bytes())
    systems = table["systems"]
    return {
        type_name: {f"{systems[system]}|{code}": code for system, codes in rows.items() for code in codes}
        for type_name, rows in table["categories"].items()
    }


def _what(scope: Scope, t: Text, *, own: bool) -> str:
    patients = "consent.of_own" if own else "consent.of_patient"
    return t("consent.of_user" if scope.context == "user" else patients, what=_name(scope, t))


def _name(scope: Scope, t: Text) -> str:
    try:
        return t(f"type.{scope.type}")
    except KeyError:
        return t("type.other", type=scope.type)


def _verbs(scope: Scope, t: Text) -> str:
    first, *more = [verb for verb, letters in _VERBS if scope.letters & set(letters)]
    head = t("verb.see") if first == "see" else t(f"verb.alone.{first}")
    return ", ".join([head, *(t(f"verb.{verb}") for verb in more)])
