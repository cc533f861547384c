"""Parameters that shape the answer instead of choosing matches (https://hl7.org/fhir/R4/search.html#return)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, cast, get_args

from fhir_facade.errors import BadRequest, UnknownParameter
from fhir_facade.fhir.definitions.tables import Element, children, is_resource_type, search_parameters
from fhir_facade.fhir.query.criterion import known_parameter, reference_parameter
from fhir_facade.values import Include, Sort

MAX_COUNT: Final = 1000
MAX_SORT: Final = 10
"""Keys of one order: each is a table more that a store joins, and SQLite joins 64."""
TotalMode = Literal["none", "estimate", "accurate"]
Summary = Literal["true", "text", "data", "count", "false"]
Contained = Literal["false", "true", "both"]
ContainedType = Literal["container", "contained"]
_WHOLE = re.compile(r"\d{1,9}", re.ASCII)
_UNSORTABLE: Final = frozenset({"composite", "special"})


@dataclass(slots=True)
class Controls:
    """What the control parameters of a query have said so far."""

    fhir_type: str
    sort: list[Sort] = field(default_factory=list)
    includes: list[Include] = field(default_factory=list)
    elements: list[str] = field(default_factory=list)
    types: list[str] = field(default_factory=list)
    count: int | None = None
    total_mode: TotalMode | None = None
    summary: Summary | None = None
    contained: Contained = "false"
    contained_type: ContainedType = "container"


def whole_number(name: str, text: str) -> int:
    """A number that counts something: 0 or more, at most nine digits. BadRequest otherwise."""
    if not _WHOLE.fullmatch(text):
        raise BadRequest(f"{name}: {text!r} is not a whole number from 0 up")
    return int(text)


def sort(controls: Controls, raw: str, *, descending: bool = False) -> None:
    """`descending` is the direction as a modifier, from the releases before R4, which HAPI understands still. What is
    named again decides nothing, in whatever direction."""
    parts = raw.split(",")
    if len(controls.sort) + len(parts) > MAX_SORT:
        raise BadRequest(f"_sort: more than {MAX_SORT} keys; the first ones decide, so leave the last ones out")
    keys = [_key(controls.fhir_type, part, descending=descending) for part in parts]  # all of them or none
    first: dict[str, Sort] = {}
    for key in (*controls.sort, *keys):
        first.setdefault(key.name, key)
    controls.sort = list(first.values())


def _key(fhir_type: str, part: str, *, descending: bool) -> Sort:
    name = part.removeprefix("-")
    parameter = known_parameter(fhir_type, name)
    if parameter.kind in _UNSORTABLE or not parameter.expression:
        raise UnknownParameter(f"_sort: {name} has no order; sort by a plain search parameter or _lastUpdated")
    return Sort(name, parameter.kind, descending=descending or part != name)


def count(controls: Controls, raw: str) -> None:
    controls.count = min(whole_number("_count", raw), MAX_COUNT)


def total(controls: Controls, raw: str) -> None:
    """`estimated` is how HAPI's client writes `estimate`."""
    said = "estimate" if raw == "estimated" else raw
    controls.total_mode = cast("TotalMode", _one_of("_total", said, get_args(TotalMode)))


def total_method(controls: Controls, raw: str) -> None:
    """How fhirpy asks for the total, in the words of another server."""
    _one_of("_totalMethod", raw, ("count", "estimate"))
    controls.total_mode = "accurate"


def summary(controls: Controls, raw: str) -> None:
    controls.summary = cast("Summary", _one_of("_summary", raw, get_args(Summary)))


def contained(controls: Controls, raw: str) -> None:
    controls.contained = cast("Contained", _one_of("_contained", raw, get_args(Contained)))


def contained_type(controls: Controls, raw: str) -> None:
    controls.contained_type = cast("ContainedType", _one_of("_containedType", raw, get_args(ContainedType)))


def _one_of(name: str, raw: str, allowed: tuple[str, ...]) -> str:
    if raw not in allowed:
        raise BadRequest(f"{name}: {raw!r}; allowed are {', '.join(allowed)}")
    return raw


def elements(controls: Controls, raw: str) -> None:
    """Names of elements of the type; some clients write the type before them, or that of a choice behind them, or
    name a part: R4 knows base elements only, so that the whole of it is meant."""
    known = children(controls.fhir_type)
    names = [_base_element(controls.fhir_type, said, known) for said in raw.split(",")]
    controls.elements += [name for name in dict.fromkeys(names) if name not in controls.elements]


def _base_element(fhir_type: str, said: str, known: Mapping[str, Element]) -> str:
    first, *inner = said.removeprefix(f"{fhir_type}.").split(".")
    name = _element_name(first, known)
    if name != "resourceType" and not _has(known, [name, *inner]):
        raise UnknownParameter(f"_elements: {fhir_type} has no element {said!r}; known are {', '.join(known)}")
    return name


def _has(known: Mapping[str, Element], path: Sequence[str]) -> bool:
    """Whether there is such a part of an element; of a choice, any of its types may have it."""
    name, *inner = path
    found = known.get(_element_name(name, known))
    if found is None or not inner:
        return found is not None
    return any(_has(children(content), inner) for content in (found.types if found.choice else (found.content,)))


def _element_name(said: str, known: Mapping[str, Element]) -> str:
    """`value` of `value[x]` and `valueQuantity`."""
    if said in known:
        return said
    name = said.removesuffix("[x]")
    choices = (own for own, found in known.items() if found.choice and name.startswith(own))
    typed = (own for own in choices if name[len(own) :].lower() in {"", *map(str.lower, known[own].types)})
    return next(typed, said)


def types(controls: Controls, raw: str) -> None:
    for name in raw.split(","):
        if not is_resource_type(name):
            raise BadRequest(f"_type: {name!r} is not a resource type of R4")
        if name not in controls.types:
            controls.types.append(name)


_POINTING = "Type:parameter, Type:parameter:Target, Type:* and *"


def include(controls: Controls, raw: str, *, reverse: bool, iterate: bool) -> None:
    """`Type:parameter[:Target]`, `Type:*[:Target]` and `*`."""
    word = "_revinclude" if reverse else "_include"
    source, *rest = raw.split(":")
    if source == "*" and not rest:
        controls.includes.append(Include("*", "*", None, reverse, iterate))
        return
    if len(rest) not in (1, 2) or not is_resource_type(source):
        raise BadRequest(f"{word}: {raw!r}; allowed are {_POINTING}")
    name, target = rest[0], rest[1] if len(rest) > 1 else None
    targets = _targets(source, name)
    if target is not None and target not in targets:
        raise UnknownParameter(f"{word}: {source}:{name} never points to {target!r}; it points to {', '.join(targets)}")
    if reverse and not iterate and controls.fhir_type not in (*targets, "Resource"):
        raise UnknownParameter(f"{word}: {source}:{name} never points to {controls.fhir_type}")
    controls.includes.append(Include(source, name, target, reverse, iterate))


def _targets(source: str, name: str) -> tuple[str, ...]:
    """What the parameter, or with `*` any parameter of the type, can point to."""
    if name != "*":
        return reference_parameter(source, name).targets
    return tuple(sorted({target for own in search_parameters(source).values() for target in own.targets}))
