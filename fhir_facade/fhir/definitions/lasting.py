"""Which dates may last from one moment to another, instead of being a day, a month or a moment.

https://hl7.org/fhir/R4/search.html#date
"""

from __future__ import annotations

import re
from functools import cache
from typing import Final

from fhir_facade.fhir.definitions.occurrence import untyped
from fhir_facade.fhir.definitions.tables import element, search_parameters

_OF_A_TYPE: Final = re.compile(r"\bas[ (]+(?P<type>[A-Za-z]+)\)")
_LASTING: Final = frozenset(("Period", "Timing"))
_COARSE: Final = frozenset(("date", "dateTime"))


@cache
def may_last(type: str, code: str) -> bool:
    """Whether the date parameter reads periods or timings, perhaps among others."""
    return _reads(type, code, _LASTING)


@cache
def may_be_coarse(type: str, code: str) -> bool:
    """Whether the date parameter reads what may be a day, a month or a year, perhaps among others."""
    return _reads(type, code, _COARSE)


def _reads(type: str, code: str, types: frozenset[str]) -> bool:
    parameter = search_parameters(type)[code]
    return any(types.intersection(_types(branch)) for branch in parameter.expression.split(" | "))


def _types(branch: str) -> tuple[str, ...]:
    named = _OF_A_TYPE.search(branch)
    if named is not None:
        return (named["type"],)
    read = element(untyped(branch))
    assert read is not None, f"R4 has no {branch}"
    return read.types
