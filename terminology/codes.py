"""Look up codes, value sets and concept maps that ship with the project: https://hl7.org/fhir/R4/codesystem.html

    display(system, code) -> str                     UnknownCode when the project does not ship the code
    coding(system, code) -> {system, code, display}
    concept((system, code), ...) -> CodeableConcept
    in_value_set(url, system, code) -> bool
    resources(kind) -> every CodeSystem, ValueSet or ConceptMap by url, to be served

Files are read on first use and kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any, TypedDict

import msgspec


class Coding(TypedDict):
    """FHIR Coding with the three members this project always writes."""

    system: str
    code: str
    display: str


class UnknownCode(ValueError):
    """The code system, code, value set or map is not shipped with the project."""


def _read(path: Traversable) -> dict[str, Any]:
    resource: dict[str, Any] = msgspec.json.decode(path.read_bytes())
    return resource


@cache
def resources(kind: str) -> Mapping[str, Mapping[str, Any]]:
    """All shipped resources of one kind (`CodeSystem`, `ValueSet`, `ConceptMap`) by their url."""
    folder = files("terminology") / kind
    loaded = [_read(path) for path in folder.iterdir() if path.name.endswith(".json")]
    return {resource["url"]: resource for resource in loaded}


def _flat(concepts: list[dict[str, Any]]) -> Iterator[tuple[str, str]]:
    for concept_ in concepts:
        yield concept_["code"], concept_["display"]


@cache
def _displays(system: str) -> Mapping[str, str]:
    found = resources("CodeSystem").get(system)
    if found is None:
        raise UnknownCode(f"Code system {system} is not shipped with this server")
    return dict(_flat(found["concept"]))


@cache
def display(system: str, code: str) -> str:
    """The display of a code; `UnknownCode` when the project does not ship it."""
    known = _displays(system).get(code)
    if known is None:
        raise UnknownCode(f"Code {code} of {system} is not shipped with this server")
    return known


def coding(system: str, code: str) -> Coding:
    """A Coding with its official display. A new dict each time: callers may change it."""
    return {"system": system, "code": code, "display": display(system, code)}


def concept(*codes: tuple[str, str]) -> dict[str, Any]:
    """A CodeableConcept of (system, code) pairs; its text is the display of the first."""
    codings = [coding(system, code) for system, code in codes]
    return {"coding": codings, "text": codings[0]["display"]}


@cache
def _members(url: str) -> frozenset[tuple[str, str]]:
    found = resources("ValueSet").get(url)
    if found is None:
        raise UnknownCode(f"Value set {url} is not shipped with this server")
    return frozenset(pair for include in found["compose"]["include"] for pair in _included(include))


def _included(include: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    system = include["system"]
    codes = [entry["code"] for entry in include["concept"]] if "concept" in include else list(_displays(system))
    return ((system, code) for code in codes)


def in_value_set(url: str, system: str, code: str) -> bool:
    """Whether the value set contains the code; `UnknownCode` when the value set is not shipped."""
    return (system, code) in _members(url)
