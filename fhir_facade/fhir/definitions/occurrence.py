"""How often the value of a search parameter can occur: criteria on one that occurs once speak of the same value.

https://hl7.org/fhir/R4/search.html#combining
"""

from __future__ import annotations

import re
from functools import cache
from typing import Final

from fhir_facade.fhir.definitions.tables import element, search_parameters

_PLAIN: Final = re.compile(r"[A-Za-z]+(\.[A-Za-z]+)+")
_OF_A_TYPE: Final = re.compile(r"\((?P<path>[A-Za-z.]+) as [A-Za-z]+\)|(?P<same>[A-Za-z.]+?)\.as\([A-Za-z]+\)")
_REFERENCE: Final = re.compile(r"(?P<path>[A-Za-z.]+)(?:\.where\(resolve\(\) is [A-Za-z]+\))?")


@cache
def occurs_once(type: str, code: str) -> bool:
    """Whether the parameter reads one element of a resource that is there at most once, in one type or several."""
    parameter = search_parameters(type).get(code)
    branches = () if parameter is None else {untyped(branch) for branch in parameter.expression.split(" | ")}
    if len(branches) != 1:
        return False
    (path,) = branches
    return _PLAIN.fullmatch(path) is not None and path_occurs_once(path)


def untyped(branch: str) -> str:
    """`(Patient.deceased as dateTime)` and `Condition.onset.as(Period)` without the type."""
    found = _OF_A_TYPE.fullmatch(branch)
    return branch if found is None else found["path"] or found["same"]


@cache
def reference_path(type_name: str, name: str) -> str | None:
    """The element path of a reference parameter; None when it is not one plain path."""
    parameter = search_parameters(type_name).get(name)
    found = _REFERENCE.fullmatch(parameter.expression) if parameter is not None else None
    return found["path"] if found is not None else None


@cache
def single_valued(type_name: str, name: str) -> bool:
    """Whether a reference parameter reads one element that occurs at most once."""
    path = reference_path(type_name, name)
    return path is not None and path_occurs_once(path)


def path_occurs_once(path: str) -> bool:
    """Whether no step of an element path repeats."""
    steps = path.split(".")
    found = [element(".".join(steps[:end])) for end in range(2, len(steps) + 1)]
    return all(step is not None and step.max == 1 for step in found)
