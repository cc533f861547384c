"""Search parameters whose values are those of others together (`combo-code`: `code` and `component-code`).

An index needs no rows of their own for them. https://hl7.org/fhir/R4/observation.html#search
"""

from __future__ import annotations

from functools import cache

from fhir_facade.fhir.definitions.tables import SearchParameter, search_parameters


@cache
def parts_of(type: str, code: str) -> tuple[str, ...]:
    """The parameters that together find exactly what `code` finds; itself alone where there are none."""
    asked = search_parameters(type).get(code)
    if asked is None or len(_branches(asked)) < 2:
        return (code,)
    within = {
        other.code: _branches(other)
        for other in search_parameters(type).values()
        if _is_alike(asked, other) and _branches(other) < _branches(asked)
    }
    covered = frozenset[str]().union(*within.values())
    return tuple(within) if covered == _branches(asked) else (code,)


@cache
def unions(type: str) -> frozenset[str]:
    """The parameters of a type that have such parts."""
    return frozenset(code for code in search_parameters(type) if parts_of(type, code) != (code,))


def _branches(parameter: SearchParameter) -> frozenset[str]:
    return frozenset(branch.strip() for branch in parameter.expression.split("|"))


def _is_alike(one: SearchParameter, other: SearchParameter) -> bool:
    """Whether what they read from the same place is the same."""
    return one.kind == other.kind and _read(one) == _read(other)


def _read(parameter: SearchParameter) -> list[tuple[str, str]]:
    return [(component.kind, component.expression) for component in parameter.components]
