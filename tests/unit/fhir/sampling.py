"""Minimal resources that reach a given search parameter, built from the official element definitions."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

from fhir_facade.fhir.definitions.tables import SearchParameter, children
from fhir_facade.fhir.extract.paths import Equals, Field, OfType, Path, Refers, Step, parse

CODED = {"system": "urn:example:system", "code": "c-1", "display": "Näme"}
AMOUNT = {"value": 5.4, "unit": "milligram", "system": "http://unitsofmeasure.org", "code": "mg"}

# (kind of parameter, type of element) -> a value, and how a search for it is written
LEAVES: dict[tuple[str, str], tuple[Any, str]] = {
    ("token", "Coding"): (CODED, "urn:example:system|c-1"),
    ("token", "CodeableConcept"): ({"coding": [CODED], "text": "some text"}, "urn:example:system|c-1"),
    ("token", "Identifier"): ({"system": "urn:example:ids", "value": "a|b,c"}, r"urn:example:ids|a\|b\,c"),
    ("token", "ContactPoint"): ({"system": "phone", "value": "+1 555"}, "phone|+1 555"),
    ("token", "boolean"): (True, "true"),
    ("token", "code"): ("c-1", "c-1"),
    ("token", "id"): ("id-1", "id-1"),
    ("token", "string"): ("s-1", "s-1"),
    ("token", "uri"): ("urn:example:u", "urn:example:u"),
    ("string", "string"): ("Åse Müller", "ase mul"),
    ("string", "markdown"): ("# Title", "# ti"),
    ("string", "HumanName"): ({"family": "Müller", "given": ["Zoë"]}, "zoe"),
    ("string", "Address"): ({"line": ["1 Main St"], "city": "Ulm"}, "ulm"),
    ("uri", "uri"): ("http://example.org/u", "http://example.org/u"),
    ("uri", "url"): ("http://example.org/u", "http://example.org/u"),
    ("uri", "canonical"): ("http://example.org/u|1", "http://example.org/u"),
    ("date", "date"): ("2024-02-29", "2024-02"),
    ("date", "dateTime"): ("2024-02-29T12:00:00+02:00", "2024-02-29"),
    ("date", "instant"): ("2024-02-29T12:00:00.120Z", "2024-02-29T12:00"),
    ("date", "Period"): ({"start": "2024-01", "end": "2024-02"}, "2024"),
    ("date", "Timing"): ({"event": ["2024-02-28", "2024-03-01"]}, "2024"),
    ("number", "decimal"): (0.25, "0.25"),
    ("number", "integer"): (7, "7"),
    ("number", "Range"): ({"low": {"value": 0.1}, "high": {"value": 0.2}}, "gt0.15"),
    ("quantity", "Quantity"): (AMOUNT, "5.4|http://unitsofmeasure.org|mg"),
    ("quantity", "Age"): (AMOUNT, "5.4||milligram"),
    ("quantity", "Duration"): (AMOUNT, "5.40||mg"),
    ("quantity", "Money"): ({"value": 12.5, "currency": "EUR"}, "12.5|urn:iso:std:iso:4217|EUR"),
    ("quantity", "Range"): ({"low": AMOUNT, "high": AMOUNT}, "5.4"),
    ("quantity", "SampledData"): ({"origin": AMOUNT | {"value": 5}, "data": "0 1 E"}, "ge6||mg"),
    ("reference", "canonical"): ("http://example.org/c|2", "http://example.org/c|2"),
    ("reference", "uri"): ("http://example.org/c", "http://example.org/c"),
}


def samples(parameter: SearchParameter) -> Iterator[tuple[dict[str, Any], str]]:
    """(resource, search text) for every branch and type that the parameter can read."""
    for found in branches(parameter):
        yield from found


def branches(parameter: SearchParameter) -> Iterator[list[tuple[dict[str, Any], str]]]:
    """The samples of each branch of the expression; of a composite, of each way through its components."""
    if parameter.kind == "composite":
        for context in parse(parameter.expression):
            for paths in itertools.product(*(parse(component.expression) for component in parameter.components)):
                yield list(_composite(parameter, context, paths))
        return
    for path in parse(parameter.expression):
        if path.predicate:
            yield [({"resourceType": parameter.type, f"{path.steps[0].name}Boolean": True}, "true")]
        else:
            found = _documents(parameter.type, path.steps, parameter)
            yield [({"resourceType": parameter.type} | document, text) for document, text in found]


def _composite(
    parameter: SearchParameter, context: Path, paths: Sequence[Path]
) -> Iterator[tuple[dict[str, Any], str]]:
    each = []
    for component, path in zip(parameter.components, paths, strict=True):
        steps = path.steps if path.root == "%resource" else (*context.steps, *path.steps)
        each.append(list(_documents(parameter.type, steps, SearchParameter("", component.code, component.kind, ""))))
    for parts in itertools.product(*each):
        document: dict[str, Any] = {"resourceType": parameter.type}
        for part, _ in parts:
            document = _merged(document, part)
        yield document, "$".join(text for _, text in parts)


def _documents(
    content: str, steps: Sequence[Step], parameter: SearchParameter, leaf: str = "", refers: str | None = None
) -> Iterator[tuple[dict[str, Any], str]]:
    if not steps:
        yield from _leaf(leaf, parameter, refers)
        return
    step, rest = steps[0], steps[1:]
    match step:
        case Refers():
            yield from _documents(content, rest, parameter, leaf, step.type)
        case Equals():
            for document, text in _documents(content, rest, parameter, leaf, refers):
                yield {**document, step.name: step.value}, text.replace("phone|", f"{step.value}|")
        case OfType():
            yield from _documents(content, rest, parameter, leaf, refers)
        case Field():
            yield from _members(content, step, rest, parameter)


def _members(
    content: str, step: Field, rest: Sequence[Step], parameter: SearchParameter
) -> Iterator[tuple[dict[str, Any], str]]:
    element = children(content)[step.name]
    wanted = rest[0].type.lower() if rest and isinstance(rest[0], OfType) else None
    for fhir_type in element.types or ("",):
        if wanted is not None and fhir_type.lower() != wanted:
            continue
        name = step.name + fhir_type[0].upper() + fhir_type[1:] if element.choice else step.name
        below = fhir_type if element.choice else element.content
        for value, text in _documents(below, rest, parameter, fhir_type):
            yield {name: value if element.max == 1 else [value]}, text


def _leaf(leaf: str, parameter: SearchParameter, refers: str | None) -> Iterator[tuple[Any, str]]:
    if leaf == "Reference":
        target = refers or (parameter.targets or ("Patient",))[0]
        if parameter.kind == "reference":
            yield {"reference": f"{target}/r-1"}, f"{target}/r-1"
    elif leaf == "Resource":
        yield {"resourceType": parameter.targets[0], "id": "r-1"}, f"{parameter.targets[0]}/r-1"
    elif (parameter.kind, leaf) in LEAVES:
        yield LEAVES[parameter.kind, leaf]


def _merged(first: Any, second: Any) -> Any:
    if isinstance(first, dict):
        return {**first, **{k: _merged(first[k], v) if k in first else v for k, v in second.items()}}
    return [_merged(first[0], second[0])] if isinstance(first, list) else second
