"""Typed access to the official R4 definitions, loaded on first use (https://hl7.org/fhir/R4/searchparameter-registry.html).

resource_types() -> tuple[str, ...]                                    the 146 concrete types, sorted
search_parameters(type) -> Mapping[str, SearchParameter]               own and common ones, by code
element("Observation.value") -> Element | None                         choice elements without `[x]`
children("Observation.component") -> Mapping[str, Element]             elements below a path or a data type
reference_targets("Observation", "subject") -> tuple[str, ...]         types a reference parameter can point to
compartment("Patient") -> Mapping[str, tuple[str, ...]]                type -> its linking reference parameters
provenance() -> Mapping[str, Any]                                      where the table came from
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import msgspec

from fhir_facade.values import ParamKind

TABLE = Path(__file__).parent / "r4.json.gz"
ANY_TYPE = "Resource"
_BRANCH: Final = re.compile(r"(?P<path>[A-Za-z.]+?)(?:\.as\((?P<cast>\w+)\)| as (?P<type>\w+))?")
_CANONICALS: Final = frozenset(("canonical", "uri"))


class _Table(msgspec.Struct, frozen=True):
    provenance: dict[str, Any]
    types: tuple[str, ...]
    parameters: dict[str, msgspec.Raw]
    elements: dict[str, msgspec.Raw]
    compartments: dict[str, dict[str, tuple[str, ...]]]


class _Parameter(msgspec.Struct, frozen=True, array_like=True):
    kind: ParamKind
    expression: str
    targets: tuple[str, ...]
    components: tuple[tuple[str, ParamKind, str], ...]


class _Element(msgspec.Struct, frozen=True, array_like=True):
    types: tuple[str, ...]
    min: int
    max: int
    flags: str
    targets: tuple[str, ...]
    system: str
    content: str


@dataclass(frozen=True, slots=True)
class Component:
    """One part of a composite parameter: the parameter it is like, and its path below the composite's element."""

    code: str
    kind: ParamKind
    expression: str


@dataclass(frozen=True, slots=True)
class SearchParameter:
    """`code` as it stands in a query. `expression` holds this type's branches only; "" when R4 defines it in prose.

    `targets` are the types a reference parameter can point to, all 146 spelled out where R4 says any; of a canonical
    those that have a canonical URL.
    """

    type: str
    code: str
    kind: ParamKind
    expression: str
    targets: tuple[str, ...] = ()
    components: tuple[Component, ...] = ()


@dataclass(frozen=True, slots=True)
class Element:
    """One element definition. `max` None is `*`; `choice`: JSON names end in the type (`valueQuantity`).

    `targets` of a Reference or canonical; `system` is the code system a required binding implies for a `code`;
    `content`: where the children of the element are defined (itself, another path, or a data type).
    """

    path: str
    types: tuple[str, ...]
    min: int
    max: int | None
    choice: bool = False
    summary: bool = False
    modifier: bool = False
    targets: tuple[str, ...] = ()
    system: str = ""
    content: str = ""


@cache
def _table() -> _Table:
    return msgspec.json.decode(gzip.decompress(TABLE.read_bytes()), type=_Table)


def provenance() -> Mapping[str, Any]:
    """Package, version, licence and SHA-256 of the files the table was generated from."""
    return MappingProxyType(_table().provenance)


def resource_types() -> tuple[str, ...]:
    """The 146 concrete resource types of R4, sorted."""
    return _table().types


@cache
def _type_names() -> frozenset[str]:
    return frozenset(_table().types)


def is_resource_type(name: str) -> bool:
    """Whether R4 has a concrete type of this name; asked of what clients write, so answers are not kept."""
    return name in _type_names()


@cache
def search_parameters(type: str) -> Mapping[str, SearchParameter]:
    """The parameters of a type by code, common ones included; `Resource`: the common ones alone. KeyError: no type."""
    rows = _parameters("Resource") if type == ANY_TYPE else {**_parameters("Resource"), **_parameters(type)}
    return MappingProxyType({code: _parameter(type, code, row) for code, row in sorted(rows.items())})


def _parameters(owner: str) -> dict[str, _Parameter]:
    return msgspec.json.decode(_table().parameters[owner], type=dict[str, _Parameter])


def _parameter(owner: str, code: str, row: _Parameter) -> SearchParameter:
    targets = _any_target(row.expression) if row.targets == ("*",) else row.targets
    return SearchParameter(owner, code, row.kind, row.expression, targets, tuple(Component(*p) for p in row.components))


def _any_target(expression: str) -> tuple[str, ...]:
    return canonical_types() if reads_canonical(expression) else resource_types()


@cache
def canonical_types() -> tuple[str, ...]:
    """The types whose resources have a canonical URL and a business version to be referred to by, sorted."""
    return tuple(name for name in resource_types() if {"url", "version"} <= _parameters(name).keys())


@cache
def reads_canonical(expression: str) -> bool:
    """Whether a reference parameter with this expression reads canonical URLs, and nothing else."""
    branches = re.sub(r"\.where\([^)]*\)", "", expression).split("|")
    return bool(expression) and all(_is_canonical(branch.strip(" ()")) for branch in branches)


def _is_canonical(branch: str) -> bool:
    found = _BRANCH.fullmatch(branch)
    if found is None:
        return False
    cast = found["cast"] or found["type"]
    if cast is not None:
        return cast in _CANONICALS
    read = element(found["path"])
    return read is not None and _CANONICALS.issuperset(read.types)


def reference_targets(type: str, code: str) -> tuple[str, ...]:
    """Types that the reference parameter `code` of `type` can point to; empty when it is no reference parameter."""
    found = search_parameters(type).get(code)
    return found.targets if found else ()


@cache
def _elements(owner: str) -> dict[str, Element]:
    raw = _table().elements.get(owner)
    rows = msgspec.json.decode(raw, type=dict[str, _Element]) if raw is not None else {}
    return {path: _build(f"{owner}.{path}" if path else owner, row) for path, row in rows.items()}


def _build(path: str, row: _Element) -> Element:
    return Element(
        path=path,
        types=row.types,
        min=row.min,
        max=None if row.max < 0 else row.max,
        choice="x" in row.flags,
        summary="s" in row.flags,
        modifier="m" in row.flags,
        targets=row.targets,
        system=row.system,
        content=row.content or (path if row.types in (("BackboneElement",), ("Element",)) else "".join(row.types[:1])),
    )


def element(path: str) -> Element | None:
    """The definition at `Type.a.b`, following data types and content references; None when R4 has none."""
    owner, *steps = path.split(".")
    found = _elements(owner).get("")
    for step in steps:
        if found is None:
            return None
        found = children(found.content).get(step)
    return found


@cache
def children(path: str) -> Mapping[str, Element]:
    """Elements directly below a data type (`Quantity`) or an `Element.content` path, by name; empty for primitives."""
    owner, _, inner = path.partition(".")
    start = f"{inner}." if inner else ""
    found = {
        name.removeprefix(start): item
        for name, item in _elements(owner).items()
        if name.startswith(start) and name and "." not in name.removeprefix(start)
    }
    return MappingProxyType(found)


@cache
def compartment(name: str) -> Mapping[str, tuple[str, ...]]:
    """Type -> reference parameters that put a resource into the compartment (Patient, Practitioner, Encounter, Device,
    RelatedPerson). The compartment's own resource belongs to it by its id. KeyError: no compartment."""
    return MappingProxyType(_table().compartments[name])
