"""What a function of FHIRPath is. https://hl7.org/fhirpath/N1/#functions"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from fhir_facade.fhir.patch.fhirpath.focus import Argument, Focus
from fhir_facade.fhir.patch.fhirpath.items import Items, one_value
from fhir_facade.fhir.patch.fhirpath.tokens import NotTaken

Arguments = Sequence[Argument]


@dataclass(frozen=True, slots=True)
class Function:
    """`arity`: how many arguments it may have. `apply` evaluates them as it needs them."""

    arity: range
    apply: Callable[[Items, Arguments, Focus], Items]


def exactly(count: int) -> range:
    return range(count, count + 1)


def plain(calculate: Callable[[Items], Items]) -> Function:
    """A function of the collection alone."""
    return Function(exactly(0), lambda items, _, __: calculate(items))


def whole_number(argument: Argument, of: str) -> int:
    value = one_value(argument.items(), of)
    if type(value) is not int:
        raise NotTaken(f"{of} needs a whole number")
    return value


def of_values(name: str, calculate: Callable[..., Any], *kinds: Any, optional: int = 0) -> Function:
    """A function of one value and of one value of each argument, empty when one is; `kinds` are their types.

    NotTaken for a value of another type.
    """

    def apply(items: Items, arguments: Arguments, _: Focus) -> Items:
        values = [one_value(items, name), *(one_value(argument.items(), name) for argument in arguments)]
        if None in values:
            return ()
        if not all(isinstance(value, kind) for value, kind in zip(values, kinds, strict=False)):
            raise NotTaken(f"{name} is called on or with a value of another type")
        result = calculate(*values)
        return () if result is None else (result,)

    return Function(range(len(kinds) - 1 - optional, len(kinds)), apply)
