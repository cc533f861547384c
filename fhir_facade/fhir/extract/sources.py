"""Which kinds of index rows a resource has because of a member: what did not change cannot change others.

https://hl7.org/fhir/R4/searchparameter-registry.html
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from types import MappingProxyType
from typing import Final

from fhir_facade.fhir.definitions.tables import SearchParameter, children, search_parameters
from fhir_facade.fhir.extract.emit import emitter
from fhir_facade.fhir.extract.paths import Field, OfType, Path, parse
from fhir_facade.fhir.extract.rows import ROWS_OF

_MADE_OF: Final = {"reference": frozenset({"reference", "token"})}
"""The identifier of a reference is a token."""


@cache
def kinds_by_member(fhir_type: str) -> Mapping[str, frozenset[str]]:
    """For each member at the top of a resource of this type, the kinds of parameters (`ROWS_OF`) whose rows may be
    others when it changes; what is not named has none."""
    found: dict[str, frozenset[str]] = {}
    for parameter in search_parameters(fhir_type).values():
        kinds = _MADE_OF.get(parameter.kind, frozenset({parameter.kind}))
        for member in _members(parameter) if parameter.kind in ROWS_OF and parameter.expression else ():
            found[member] = found.get(member, frozenset()) | kinds
    return MappingProxyType(found)


def _members(parameter: SearchParameter) -> Iterator[str]:
    for path in parse(parameter.expression):
        if path.steps:
            yield from _first(parameter.type, path, parameter.kind)
        for component in parameter.components:
            for part in parse(component.expression):
                if part.root or not path.steps:
                    yield from _first(parameter.type, part, component.kind)


def _first(fhir_type: str, path: Path, kind: str) -> Iterator[str]:
    """The names under which JSON has the element with which a path begins."""
    step = path.steps[0]
    assert isinstance(step, Field), "paths begin with an element of the type, or they are not compiled"
    element = children(fhir_type)[step.name]
    if not element.choice:
        yield step.name
        return
    for type_ in _read(element.types, path, kind):
        yield step.name + type_[0].upper() + type_[1:]


def _read(types: Sequence[str], path: Path, kind: str) -> Sequence[str]:
    """Those of a choice that the path reads."""
    following = path.steps[1:]
    if following and isinstance(following[0], OfType):
        cast = following[0].type.lower()
        return [type_ for type_ in types if type_.lower() == cast]
    if following or path.predicate or kind == "reference":
        return types
    return [type_ for type_ in types if emitter(kind, type_, ("",)) is not None]
