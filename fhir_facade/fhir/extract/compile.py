"""Search parameter expressions of one type, compiled into one walk over its JSON (https://hl7.org/fhir/R4/search.html).

All expressions of a type become a tree of element names, so what a resource does not hold costs nothing, and values
that several parameters read are read once. Compiled on first use, kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import product
from typing import Any, Final

from fhir_facade.fhir.definitions.tables import Component, SearchParameter, children, search_parameters
from fhir_facade.fhir.extract.emit import emitter
from fhir_facade.fhir.extract.emitting import Emit, Values
from fhir_facade.fhir.extract.paths import Equals, Field, OfType, Path, PathError, Refers, Step, parse
from fhir_facade.fhir.extract.rows import ROWS_OF, IndexRows, TokenRow, composite_row
from fhir_facade.fhir.extract.targets import Readers, reference
from fhir_facade.fhir.extract.visits import at, members, one_after_the_other, value_by_value, where

_ROOTS: Final = ("Resource", "DomainResource")


@dataclass(slots=True)
class _Node:
    """A place in the document while compiling: what is emitted there and what lies below.

    `references` has the parameters of a Reference by the type that its target must have, "" for any.
    """

    emits: dict[tuple[str, str, str], list[str]] = field(default_factory=dict)
    references: dict[str, list[str]] = field(default_factory=dict)
    below: dict[Field, _Node] = field(default_factory=dict)
    filtered: dict[Equals, _Node] = field(default_factory=dict)
    composites: dict[Any, _Composite] = field(default_factory=dict)
    ready: list[Emit] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Cursor:
    """A node together with the FHIR type found there; `content` is where its children are defined.

    `target`: the type of resource that a Reference must refer to, "" for any.
    """

    node: _Node
    type: str
    content: str
    system: str = ""
    target: str = ""


@cache
def extractor(fhir_type: str, texts: bool, without: frozenset[str]) -> Emit:
    """Everything a resource of this type has to say to an index; PathError when an expression cannot be compiled."""
    asked = [each for each in search_parameters(fhir_type).values() if each.code not in without]
    return _compiled(fhir_type, asked, texts)


@cache
def single_extractor(fhir_type: str, code: str) -> Emit:
    """The rows of one parameter, `:text` rows included. KeyError when the type has no such parameter."""
    return _compiled(fhir_type, [search_parameters(fhir_type)[code]], texts=True)


def _compiled(fhir_type: str, parameters: Iterable[SearchParameter], texts: bool) -> Emit:
    root = _Node()
    for parameter in parameters:
        if parameter.kind in ROWS_OF and parameter.expression:
            _plant(root, fhir_type, parameter, texts)
    return value_by_value(tuple(_visits(root)))


def _plant(root: _Node, fhir_type: str, parameter: SearchParameter, texts: bool) -> None:
    start = _Cursor(root, fhir_type, fhir_type)
    planted = [_plant_path(start, path, parameter, texts) for path in parse(parameter.expression)]
    if not any(planted):
        raise PathError(f"{fhir_type}.{parameter.code}: {parameter.expression!r} reaches no value of its kind")


def _plant_path(start: _Cursor, path: Path, parameter: SearchParameter, texts: bool) -> int:
    if path.root not in (start.type, *_ROOTS):
        raise PathError(f"{path.root} is not the root of {start.type}")
    if path.predicate:
        start.node.ready.append(_predicate(start, path, parameter.code))
        return 1
    ends = _walk(start, path.steps)
    if parameter.kind == "composite":
        return sum(_plant_composite(end, parameter) for end in ends)
    return sum(_plant_emit(end, parameter.kind, parameter.code, texts) for end in ends)


def _plant_emit(end: _Cursor, kind: str, code: str, texts: bool) -> int:
    if (kind, end.type) == ("reference", "Reference"):
        end.node.references.setdefault(end.target, []).append(code)
        return 1
    if end.target or emitter(kind, end.type, (code,), end.system) is None:
        return 0
    end.node.emits.setdefault((kind, end.type, end.system), []).append(code)
    if texts and kind == "token" and emitter("text", end.type, (code,)) is not None:
        end.node.emits.setdefault(("text", end.type, ""), []).append(code)
    return 1


# --- following a path through the element definitions -----------------------------------------------------------


def _walk(start: _Cursor, steps: Iterable[Step]) -> list[_Cursor]:
    cursors = [start]
    for step in steps:
        cursors = [found for cursor in cursors for found in _advance(cursor, step)]
    return cursors


def _advance(cursor: _Cursor, step: Step) -> Iterator[_Cursor]:
    if isinstance(step, Field):
        yield from _descend(cursor, step)
    elif isinstance(step, OfType):
        # R4 writes as(DateTime) once where it means dateTime.
        if step.type.lower() == cursor.type.lower():
            yield cursor
    elif isinstance(step, Refers):
        yield replace(cursor, target=step.type)
    else:
        node = cursor.node.filtered.setdefault(step, _Node())
        yield _Cursor(node, cursor.type, cursor.content, cursor.system)


def _descend(cursor: _Cursor, step: Field) -> Iterator[_Cursor]:
    element = children(cursor.content).get(step.name)
    if element is None or cursor.target:
        return
    if not element.choice:
        node = cursor.node.below.setdefault(step, _Node())
        yield _Cursor(node, "".join(element.types[:1]), element.content, element.system)
        return
    for fhir_type in element.types:
        name = step.name + fhir_type[0].upper() + fhir_type[1:]
        yield _Cursor(cursor.node.below.setdefault(Field(name), _Node()), fhir_type, fhir_type)


# --- from nodes to visits -----------------------------------------------------------------------------------------


def _visits(node: _Node) -> Iterator[Emit]:
    """What to do with one value at this node."""
    for (kind, fhir_type, system), codes in node.emits.items():
        emit = emitter(kind, fhir_type, tuple(dict.fromkeys(codes)), system)
        assert emit is not None, "only known pairs are planted"
        yield emit
    if node.references:
        yield reference(_readers(node.references))
    for step, below in node.filtered.items():
        yield where(step, value_by_value(tuple(_visits(below))))
    if handlers := _handlers(node):
        yield members(handlers)
    if node.composites:
        yield _composites(tuple(node.composites.values()))
    yield from node.ready


def _readers(references: Mapping[str, list[str]]) -> Readers:
    by_type = {fhir_type: tuple(dict.fromkeys(codes)) for fhir_type, codes in references.items()}
    return Readers(by_type.pop("", ()), by_type)


def _handlers(node: _Node) -> dict[str, Emit]:
    found: dict[str, list[Emit]] = {}
    for step, below in node.below.items():
        visits = tuple(_visits(below))
        if visits:
            found.setdefault(step.name, []).append(at(step.only, value_by_value(visits)))
    return {name: one_after_the_other(tuple(handlers)) for name, handlers in found.items()}


def _predicate(start: _Cursor, path: Path, code: str) -> Emit:
    """`x.exists() and x != false` as a boolean that every resource has."""
    scratch = _Cursor(_Node(), start.type, start.content)
    _walk(scratch, path.steps)
    names = [step.name for step in scratch.node.below]

    def emit(values: Values, rows: IndexRows) -> None:
        for value in values:
            there = any(value.get(name, False) is not False for name in names)
            rows.tokens.append(TokenRow(code, None, "true" if there else "false"))

    return emit


# --- composites -------------------------------------------------------------------------------------------------


def _plant_composite(end: _Cursor, parameter: SearchParameter) -> int:
    """Parameters with the same components share one walk; their rows differ by the parameter alone."""
    key = tuple((component.expression, component.kind) for component in parameter.components)
    if key not in end.node.composites:
        parts = tuple(_part(end, component) for component in parameter.components)
        end.node.composites[key] = _Composite(parts)
    end.node.composites[key].codes.append(parameter.code)
    return 1


@dataclass(slots=True)
class _Composite:
    """The components that stand for every parameter of `codes`."""

    parts: tuple[_Part, ...]
    codes: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Part:
    """One component: its walk, the list of rows it fills, and the members one of which must be there."""

    walk: Emit
    rows: str
    members: frozenset[str]
    of_resource: bool


def _part(end: _Cursor, component: Component) -> _Part:
    node = _Node()
    of_resource = component.expression.startswith("%resource")
    planted = 0
    for path in parse(component.expression):
        content = end.content.split(".", maxsplit=1)[0] if of_resource else end.content
        for found in _walk(_Cursor(node, end.type, content), path.steps):
            planted += _plant_emit(found, component.kind, component.code, texts=False)
    if not planted:
        raise PathError(f"component {component.expression!r} of {end.content} reaches no value of its kind")
    members = frozenset(_handlers(node))
    return _Part(value_by_value(tuple(_visits(node))), ROWS_OF[component.kind], members, of_resource)


def _composites(composites: tuple[_Composite, ...]) -> Emit:
    """Composites of one place begin with the same component, so the last one shows soonest that a part is absent."""

    def emit(values: Values, rows: IndexRows) -> None:
        for value in values:
            if not isinstance(value, dict):
                continue
            for composite in composites:
                for part in reversed(composite.parts):
                    if part.members.isdisjoint(rows.resource if part.of_resource else value):
                        break
                else:
                    _combine(composite, value, rows)

    return emit


def _combine(composite: _Composite, value: Any, rows: IndexRows) -> None:
    found = [_taken(part, value, rows) for part in composite.parts]
    for parts in product(*found):
        for code in composite.codes:
            rows.composites.append(composite_row((code, parts)))


def _taken(part: _Part, value: Any, rows: IndexRows) -> list[Any]:
    """What the part adds to the rows, taken from them again."""
    among: list[Any] = getattr(rows, part.rows)
    before = len(among)
    part.walk((rows.resource if part.of_resource else value,), rows)
    found = among[before:]
    del among[before:]
    return found
