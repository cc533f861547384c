"""The generated tables: JSON schema definitions, and per definition the members that need a look of our own.

Made by `generate.py` from https://hl7.org/fhir/R4/downloads.html.
"""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any

import msgspec

from fhir_facade.fhir.validation.amounts_and_times import TYPE_INVARIANTS
from fhir_facade.fhir.validation.invariants import INVARIANTS, Rule
from fhir_facade.fhir.validation.resource_invariants import RESOURCE_INVARIANTS

NESTED = "ResourceList"
EXTENSION = "Extension"
"""Looked at where something else has to be looked at anyway: else every element would have to be."""


@dataclass(slots=True)
class Member:
    """What our own checks want to know about one member.

    `targets` None: no Reference; empty: any type. `codes` are those of a required binding, by system.
    """

    choice: str | None = None
    targets: frozenset[str] | None = None
    codes: Mapping[str, frozenset[str]] | None = None
    shape: Shape | None = None
    nested: bool = False
    sparse: bool = False


@dataclass(slots=True)
class Shape:
    """Members of a definition that need a look, and its invariants; both empty: nothing below needs one."""

    members: dict[str, Member] = field(default_factory=dict)
    rules: tuple[Rule, ...] = ()


Rules = Mapping[str, tuple[Rule, ...]]


@cache
def asset() -> Mapping[str, Any]:
    """The generated file, loaded on first use."""
    packed = files("fhir_facade.fhir.validation").joinpath("r4.json.gz").read_bytes()
    loaded: Mapping[str, Any] = msgspec.json.decode(gzip.decompress(packed))
    return loaded


@cache
def shapes(*, every: bool = False) -> Mapping[str, Shape]:
    """All shapes by definition name; members whose definition has nothing to look at are left out.

    `every`: with all invariants. Without, those that a write has to keep: many records in the world break others, and
    are worth more stored than refused.
    """
    checks, bindings, rules = asset()["checks"], _bindings(), _rules(every=every)
    found = {name: Shape(rules=rules.get(name, ())) for name in {*checks, *rules}}
    busy = _busy({name: members for name, members in checks.items() if name != EXTENSION}, rules) | {EXTENSION}
    for name, members in checks.items():
        found[name].members = {
            member: _member(check, found, bindings) for member, check in members.items() if _matters(check, busy)
        }
    return found


def _rules(*, every: bool) -> Rules:
    found: dict[str, tuple[Rule, ...]] = {}
    for table in (INVARIANTS, TYPE_INVARIANTS, RESOURCE_INVARIANTS) if every else (INVARIANTS,):
        for name, rules in table.items():
            found[name] = (*found.get(name, ()), *rules)
    return found


def _bindings() -> Mapping[str, Mapping[str, frozenset[str]]]:
    return {
        url: {system: frozenset(codes) for system, codes in systems.items()}
        for url, systems in asset()["bindings"].items()
    }


def _busy(checks: Mapping[str, Any], rules: Rules) -> set[str]:
    """Definitions with something to look at in them or below them."""
    busy = set(rules)
    while True:
        more = {
            name
            for name, members in checks.items()
            if name not in busy and any(_matters(check, busy) for check in members.values())
        }
        if not more:
            return busy
        busy |= more


def _matters(check: Mapping[str, Any], busy: set[str]) -> bool:
    return any(check.get("type") in (NESTED, *busy) if key == "type" else True for key in check)


def _member(check: Mapping[str, Any], found: Mapping[str, Shape], bindings: Mapping[str, Any]) -> Member:
    kind = check.get("type")
    return Member(
        choice=check.get("choice"),
        targets=frozenset(check["targets"]) if "targets" in check else None,
        codes=bindings[check["binding"]] if "binding" in check else None,
        shape=found.get(kind) if kind is not None else None,
        nested=kind == NESTED,
        sparse=check.get("sparse", False),
    )
