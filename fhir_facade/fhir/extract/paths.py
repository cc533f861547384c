"""The subset of FHIRPath that the official search parameters use, parsed (https://hl7.org/fhir/R4/searchparameter-registry.html).

Not a FHIRPath engine: paths, unions, `as`, `ofType`, `where` on a fixed string or on the type of a reference, an
index, `extension`, and the one predicate of `Patient-deceased`. Anything else is a `PathError`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass


class PathError(ValueError):
    """An expression outside the subset: a defect of the shipped table, never of a request."""


@dataclass(frozen=True, slots=True)
class Field:
    """An element by name; `only`: just the item at this place (`entry[0]`)."""

    name: str
    only: int | None = None


@dataclass(frozen=True, slots=True)
class OfType:
    type: str


@dataclass(frozen=True, slots=True)
class Refers:
    """`where(resolve() is X)`, decided by what the reference says, never by fetching it."""

    type: str


@dataclass(frozen=True, slots=True)
class Equals:
    """`where(name='value')`."""

    name: str
    value: str


Step = Field | OfType | Refers | Equals


@dataclass(frozen=True, slots=True)
class Path:
    """`root` is a type, `%resource`, or "" for a path relative to a composite's element.

    `predicate`: the value is not what the path reaches but whether it is there and not false.
    """

    root: str
    steps: tuple[Step, ...]
    predicate: bool = False


_PREDICATE = re.compile(r"(?P<path>[\w.]+)\.exists\(\) and (?P=path) != false")
_TOKEN = re.compile(
    r"\.?(?:ofType|as)\((?P<type>\w+)\)"
    r"| as (?P<cast>\w+)"
    r"|\.?where\(resolve\(\) is (?P<refers>\w+)\)"
    r"|\.?where\((?P<name>\w+)='(?P<value>[^']*)'\)"
    r"|\.?extension\('(?P<extension>[^']*)'\)"
    r"|\.?(?P<field>%?[A-Za-z]\w*)(?:\[(?P<index>\d+)\])?"
)


def parse(expression: str) -> tuple[Path, ...]:
    """The branches of a union, in order."""
    return tuple(_branch(part.strip()) for part in expression.split("|"))


def _branch(text: str) -> Path:
    found = _PREDICATE.fullmatch(text)
    if found is not None:
        return Path(*_rooted(_steps(found["path"])), predicate=True)
    return Path(*_rooted(_steps(_unwrapped(text))))


def _unwrapped(text: str) -> str:
    """`(a.b as T).c` without its parentheses; R4 nests none."""
    if not text.startswith("("):
        return text
    depth = 0
    for place, char in enumerate(text):
        depth += (char == "(") - (char == ")")
        if depth == 0:
            return text[1:place] + text[place + 1 :]
    raise PathError(f"unbalanced parentheses in {text!r}")


def _rooted(steps: list[Step]) -> tuple[str, tuple[Step, ...]]:
    first = steps[0]
    if isinstance(first, Field) and (first.name[0] == "%" or first.name[0].isupper()):
        return first.name, tuple(steps[1:])
    return "", tuple(steps)


def _steps(text: str) -> list[Step]:
    place = 0
    steps: list[Step] = []
    while place < len(text):
        found = _TOKEN.match(text, place)
        if found is None:
            raise PathError(f"cannot read {text!r} at {place}")
        steps.extend(_step(found))
        place = found.end()
    if not steps:
        raise PathError("an empty path")
    return steps


def _step(found: re.Match[str]) -> Iterator[Step]:
    if found["type"] or found["cast"]:
        yield OfType(found["type"] or found["cast"])
    elif found["refers"]:
        yield Refers(found["refers"])
    elif found["name"]:
        yield Equals(found["name"], found["value"])
    elif found["extension"]:
        yield Field("extension")
        yield Equals("url", found["extension"])
    else:
        yield Field(found["field"], int(found["index"]) if found["index"] else None)
