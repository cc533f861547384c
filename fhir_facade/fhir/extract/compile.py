"""Search parameter expressions of one type, compiled into one walk over its JSON (https://hl7.org/fhir/R4/search.html).

All expressions of a type become a tree of element names, so what a resource does not hold costs nothing, and values
that several parameters read are read once. Compiled on first use, kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from itertools import product
from typing import Any, Final

from fhir_facade.fhir.definitions.tables import Component, SearchParameter, children, search_parameters
from fhir_facade.fhir.definitions.unions import unions
from fhir_facade.fhir.extract.emit import emitter
from fhir_facade.fhir.extract.emitting import Emit
from fhir_facade.fhir.extract.paths import Equals, Field, OfType, Path, PathError, Refers, Step, parse
from fhir_facade.fhir.extract.rows import CompositeRow, IndexRows, TokenRow
from fhir_facade.fhir.extract.targets import refers_to

_ROOTS: Final = ("Resource", "DomainResource")
_WITH_VALUES: Final = frozenset({"token", "string", "date", "number", "quantity", "reference", "uri", "composite"})
_ROWS_OF: Final = {
    "token": "tokens",
    "string": "strings",
    "date": "dates",
    "number": "numbers",
    "quantity": "quantities",
    "reference": "references",
    "uri": "uris",
}


@dataclass(slots=True)
class _Node:
    """A place in the document while compiling: what is emitted there and what lies below."""

    emits: dict[tuple[str, str, str], list[str]] = field(default_factory=dict)
    below: dict[Field, _Node] = field(default_factory=dict)
    filtered: dict[Refers | Equals, _Node] = field(default_factory=dict)
    composites: dict[Any, _Composite] = field(default_factory=dict)
    ready: list[Emit] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Cursor:
    """A node together with the FHIR type found there; `content` is where its children are defined."""

    node: _Node
    type: str
    content: str
    system: str = ""


@cache
def extractor(fhir_type: str, texts: bool, with_unions: bool) -> Emit:
    """Everything a resource of this type has to say to an index; PathError when an expression cannot be compiled."""
    left_out = frozenset[str]() if with_unions else unions(fhir_type)
    asked = [each for each in search_parameters(fhir_type).values() if each.code not in left_out]
    return _compiled(fhir_type, asked, texts)


@cache
def single_extractor(fhir_type: str, code: str) -> Emit:
    """The rows of one parameter, `:text` rows included. KeyError when the type has no such parameter."""
    return _compiled(fhir_type, [search_parameters(fhir_type)[code]], texts=True)


def _compiled(fhir_type: str, parameters: Iterable[SearchParameter], texts: bool) -> Emit:
    root = _Node()
    for parameter in parameters:
        if parameter.kind in _WITH_VALUES and parameter.expression:
            _plant(root, fhir_type, parameter, texts)
    return _all(tuple(_visits(root)))


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
    if emitter(kind, end.type, (code,), end.system) is None:
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
    else:
        node = cursor.node.filtered.setdefault(step, _Node())
        yield _Cursor(node, cursor.type, cursor.content, cursor.system)


def _descend(cursor: _Cursor, step: Field) -> Iterator[_Cursor]:
    element = children(cursor.content).get(step.name)
    if element is None:
        return
    if not element.choice:
        node = cursor.node.below.setdefault(step, _Node())
        yield _Cursor(node, "".join(element.types[:1]), element.content, element.system)
        return
    for fhir_type in element.types:
        name = step.name + fhir_type[0].upper() + fhir_type[1:]
        yield _Cursor(cursor.node.below.setdefault(Field(name), _Node()), fhir_type, fhir_type)


# --- closures ---------------------------------------------------------------------------------------------------


def _visits(node: _Node) -> Iterator[Emit]:
    """What to do with one value at this node."""
    for (kind, fhir_type, system), codes in node.emits.items():
        emit = emitter(kind, fhir_type, tuple(dict.fromkeys(codes)), system)
        assert emit is not None, "only known pairs are planted"
        yield emit
    for step, below in node.filtered.items():
        yield _filter(step, _all(tuple(_visits(below))))
    if node.below:
        yield _members(_handlers(node))
    yield from (_composite(tuple(each.codes), each.parts) for each in node.composites.values())
    yield from node.ready


def _handlers(node: _Node) -> dict[str, Emit]:
    found: dict[str, list[Emit]] = {}
    for step, below in node.below.items():
        found.setdefault(step.name, []).append(_items(tuple(_visits(below)), step.only))
    return {name: _all(tuple(handlers)) for name, handlers in found.items()}


def _all(visits: tuple[Emit, ...]) -> Emit:
    if len(visits) == 1:
        return visits[0]

    def visit(value: Any, rows: IndexRows) -> None:
        for each in visits:
            each(value, rows)

    return visit


def _items(visits: tuple[Emit, ...], only: int | None) -> Emit:
    visit = _all(visits)

    def items(value: Any, rows: IndexRows) -> None:
        if not isinstance(value, list):
            visit(value, rows)
            return
        for item in value if only is None else value[only : only + 1]:
            visit(item, rows)

    return items


def _members(handlers: Mapping[str, Emit]) -> Emit:
    get, pairs, few = handlers.get, tuple(handlers.items()), len(handlers)

    def members(value: Any, rows: IndexRows) -> None:
        if not isinstance(value, dict):
            return
        if few < len(value):
            for name, handle in pairs:
                if name in value:
                    handle(value[name], rows)
            return
        for name, item in value.items():
            found = get(name)
            if found is not None:
                found(item, rows)

    return members


def _filter(step: Refers | Equals, visit: Emit) -> Emit:
    if isinstance(step, Refers):
        wanted = step.type

        def refers(value: Any, rows: IndexRows) -> None:
            if refers_to(value, wanted):
                visit(value, rows)

        return refers
    name, expected = step.name, step.value

    def equals(value: Any, rows: IndexRows) -> None:
        if isinstance(value, dict) and value.get(name) == expected:
            visit(value, rows)

    return equals


def _predicate(start: _Cursor, path: Path, code: str) -> Emit:
    """`x.exists() and x != false` as a boolean that every resource has."""
    scratch = _Cursor(_Node(), start.type, start.content)
    _walk(scratch, path.steps)
    names = [step.name for step in scratch.node.below]

    def emit(value: Any, rows: IndexRows) -> None:
        there = any(value.get(name, False) is not False for name in names)
        rows.tokens.append(TokenRow(code, None, "true" if there else "false"))

    return emit


# --- composites -------------------------------------------------------------------------------------------------


def _plant_composite(end: _Cursor, parameter: SearchParameter) -> int:
    """Parameters with the same components share one walk; their rows differ by the parameter alone."""
    key = tuple((component.expression, component.kind) for component in parameter.components)
    if key not in end.node.composites:
        end.node.composites[key] = _Composite([_part(end, component) for component in parameter.components])
    end.node.composites[key].codes.append(parameter.code)
    return 1


@dataclass(slots=True)
class _Composite:
    """The components that stand for every parameter of `codes`."""

    parts: list[_Part]
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
    members = frozenset(step.name for step in node.below)
    return _Part(_all(tuple(_visits(node))), _ROWS_OF[component.kind], members, of_resource)


def _composite(codes: tuple[str, ...], parts: list[_Part]) -> Emit:
    def emit(value: Any, rows: IndexRows) -> None:
        if not isinstance(value, dict):
            return
        resource = rows.resource
        for part in parts:
            if part.members.isdisjoint(resource if part.of_resource else value):
                return
        scratch = rows.scratch()
        found = []
        for part in parts:
            part.walk(resource if part.of_resource else value, scratch)
            found.append(getattr(scratch, part.rows))
            setattr(scratch, part.rows, [])
        rows.composites.extend([CompositeRow(code, parts_) for parts_ in product(*found) for code in codes])

    return emit
