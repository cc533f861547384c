"""Walks over the values of a resource, put together of smaller ones: each takes values and adds rows."""

from __future__ import annotations

from collections.abc import Mapping

from fhir_facade.fhir.extract.emitting import Emit, Values
from fhir_facade.fhir.extract.paths import Equals
from fhir_facade.fhir.extract.rows import IndexRows


def one_after_the_other(visits: tuple[Emit, ...]) -> Emit:
    """The first with all values, then the next."""
    if len(visits) == 1:
        return visits[0]

    def visit(values: Values, rows: IndexRows) -> None:
        for each in visits:
            each(values, rows)

    return visit


def value_by_value(visits: tuple[Emit, ...]) -> Emit:
    """All of them at the first value, then at the next, so that the rows stand as their values do."""
    if len(visits) == 1:
        return visits[0]

    def visit(values: Values, rows: IndexRows) -> None:
        for value in values:
            alone = (value,)
            for each in visits:
                each(alone, rows)

    return visit


def at(place: int | None, visit: Emit) -> Emit:
    """The value at this place alone; None: all of them."""
    if place is None:
        return visit

    def emit(values: Values, rows: IndexRows) -> None:
        visit(values[place : place + 1], rows)

    return emit


def members(handlers: Mapping[str, Emit]) -> Emit:
    """What stands in the members of objects, by their names; the shorter of the two lists is gone through."""
    get, pairs, few = handlers.get, tuple(handlers.items()), len(handlers)

    def visit(values: Values, rows: IndexRows) -> None:
        for value in values:
            if not isinstance(value, dict):
                continue
            if few < len(value):
                for name, handle in pairs:
                    if name in value:
                        item = value[name]
                        handle(item if isinstance(item, list) else (item,), rows)
                continue
            for name, item in value.items():
                found = get(name)
                if found is not None:
                    found(item if isinstance(item, list) else (item,), rows)

    return visit


def where(step: Equals, visit: Emit) -> Emit:
    """Those values alone that have the member with this value."""
    name, expected = step.name, step.value

    def equals(values: Values, rows: IndexRows) -> None:
        visit([value for value in values if isinstance(value, dict) and value.get(name) == expected], rows)

    return equals
