"""How often a reference can occur: what decides whether two criteria on it speak of the same record.

https://hl7.org/fhir/R4/search.html#chaining
"""

from __future__ import annotations

import re
from functools import cache
from typing import Final

from fhir_facade.access.compartment import type_rules
from fhir_facade.fhir.definitions.occurrence import path_occurs_once
from fhir_facade.fhir.definitions.tables import search_parameters

_PATH: Final = re.compile(r"(?P<path>[A-Za-z.]+)(?:\.where\(resolve\(\) is [A-Za-z]+\))?")


@cache
def reference_path(type_name: str, name: str) -> str | None:
    """The element path of a reference parameter; None when it is not one plain path."""
    parameter = search_parameters(type_name).get(name)
    found = _PATH.fullmatch(parameter.expression) if parameter is not None else None
    return found["path"] if found is not None else None


@cache
def single_valued(type_name: str, name: str) -> bool:
    """Whether the parameter reads one element that occurs at most once."""
    path = reference_path(type_name, name)
    return path is not None and path_occurs_once(path)


@cache
def single_owner(type_name: str) -> bool:
    """Whether a record that the narrowing finds belongs to nobody else besides."""
    owner = type_rules()[type_name].owner
    return owner is None or single_valued(type_name, owner)
